"""FCN: a classifier's dense layers slide over the image, and finer maps are added to the coarse one."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.errors import UserError
from zoo.fcn import bilinear, enlarged
from zoo.library import features
from zoo.transposed import ConvTranspose

KEY = jax.random.key(0)
SMALL = {"depths": (1, 1, 1), "widths": (4, 6, 8), "kernel": 3, "hidden": 8, "classes": 5}


def test_the_maps_have_the_sizes_of_the_paper() -> None:
    """Section 4.2: pool5 has 1/32 of each side; its scores are doubled, and pool4's and pool3's are added."""
    model = zoo.create("fcn8s")
    x = jax.ShapeDtypeStruct((1, 224, 320, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(KEY, x, train=False), x)
    _, inside = jax.eval_shape(lambda v, x: features(model, v, x), variables, x)
    shapes = {name: leaf.shape[1:] for name, leaf in inside.items()}
    assert shapes["fc7"] == (7, 10, 4096)
    assert shapes["head"] == (7, 10, 21)
    assert shapes["up4"] == shapes["head4"] == (14, 20, 21)
    assert shapes["up3"] == shapes["head3"] == (28, 40, 21)
    assert variables["params"]["fc6"]["kernel"].shape == (7, 7, 512, 4096)
    coarse = jax.eval_shape(lambda x: zoo.create("fcn32s").init(KEY, x, train=False), x)
    assert coarse["params"].keys() == {"trunk", "fc6", "fc7", "head"}


def test_enlargements_begin_as_linear_interpolation() -> None:
    x = jax.random.normal(KEY, (2, 6, 7, 3))
    layer = ConvTranspose(3, 4, 2, bias=False, kernel_init=bilinear)
    y, _ = layer.init_with_output(KEY, x)
    wanted = jax.image.resize(x, (2, 12, 14, 3), "bilinear")
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], wanted[:, 1:-1, 1:-1], atol=1e-6)


def test_the_last_enlargement_interpolates() -> None:
    x = jax.random.normal(KEY, (2, 3, 5, 4))
    np.testing.assert_allclose(enlarged(x, 24, 40), jax.image.resize(x, (2, 24, 40, 4), "bilinear"), atol=1e-5)


def test_all_scores_are_0_at_the_start_and_each_fused_map_is_added() -> None:
    model = zoo.create("fcn8s", **SMALL)
    x = jax.random.normal(KEY, (2, 16, 24, 3))
    variables = model.init(KEY, x, train=False)
    assert not np.any(model.apply(variables, x, train=False))
    params = dict(variables["params"])
    params["head1"] = {**params["head1"], "bias": jnp.arange(5.0)}
    y = model.apply({"params": params}, x, train=False)
    np.testing.assert_allclose(y, np.broadcast_to(np.arange(5.0), (2, 16, 24, 5)), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "shape", "said"),
    [
        ({**SMALL, "fused": 3}, (1, 16, 16, 3), "fcn: fused must be below the 3 stages of the trunk, not 3"),
        ({**SMALL, "widths": (4,)}, (1, 16, 16, 3), "fcn: widths must be 3 numbers, like depths"),
        (SMALL, (1, 20, 16, 3), "fcn: images must be of sides that are multiples of 8 pixels, not '20x16'"),
        (SMALL, (1, 4, 16, 3), "fcn needs images of at least 8x8 pixels, not 4x16"),
    ],
)
def test_what_does_not_fit_is_one_line(fields: dict, shape: tuple, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        zoo.create("fcn8s", **fields).init(KEY, jnp.zeros(shape), train=False)
