"""VGG: names, the stages that other networks take, and that stacked small kernels see as far as a large one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.vgg import Trunk

SMALL = {"depths": (2, 1), "widths": (4, 6), "hidden": 8, "grid": 2, "classes": 5}
X = jax.random.normal(jax.random.key(1), (2, 8, 12, 3))


@functools.cache
def made(**changes: Any) -> tuple[Any, dict]:
    model = zoo.create("vgg16", **{**SMALL, **changes})
    return model, jax.jit(lambda key: model.init(key, X, train=False))(jax.random.key(0))


def test_parameters_have_the_names_of_the_layers() -> None:
    _, variables = zoo.card("vgg16").shapes()
    params = variables["params"]
    assert set(params) == {"trunk", "fc6", "fc7", "head"}
    depths = enumerate((2, 2, 3, 3, 3), start=1)
    assert set(params["trunk"]) == {f"conv{i}_{j}" for i, depth in depths for j in range(1, depth + 1)}
    assert params["trunk"]["conv4_1"]["kernel"].shape == (3, 3, 256, 512)
    assert params["fc6"]["kernel"].shape == (7 * 7 * 512, 4096)


def test_maps_have_the_sizes_of_the_paper_and_dropout_follows_the_dense_layers() -> None:
    rows = {row.path: row for row in zoo.measure.layer_table(zoo.create("vgg19"), zoo.card("vgg19").inputs)}
    assert [rows[f"trunk/conv{i}_2"].output for i in range(1, 6)] == [
        *((224, 224, 64), (112, 112, 128), (56, 56, 256), (28, 28, 512), (14, 14, 512))
    ]
    assert rows["trunk"].output == (7, 7, 512)
    assert list(rows)[-5:] == ["fc6", "dropout6", "fc7", "dropout7", "head"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_trunk_gives_the_maps_of_every_stage_from_the_weights_of_a_vgg(batch_norm: bool) -> None:
    model, variables = made(batch_norm=batch_norm)
    trunk = Trunk(model.cfg.depths, model.cfg.widths, batch_norm=batch_norm)
    own = {collection: tree["trunk"] for collection, tree in variables.items()}
    first, second = trunk.apply(own, X, train=False, method="stages")
    _, inside = zoo.features(model, variables, X)
    last = "norm" if batch_norm else "conv"
    np.testing.assert_allclose(first.maps, jax.nn.relu(inside[f"trunk/{last}1_2"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second.pooled, inside["trunk"], rtol=1e-5, atol=1e-6)
    assert (first.maps.shape, first.pooled.shape) == ((2, 8, 12, 4), (2, 4, 6, 4))
    assert (second.maps.shape, second.pooled.shape) == ((2, 4, 6, 6), (2, 2, 3, 6))
    blocks = first.maps.reshape(2, 4, 2, 6, 2, 4)
    np.testing.assert_array_equal(first.pooled, blocks.max((2, 4)))


def test_a_vgg_represents_an_image_by_its_last_hidden_layer() -> None:
    model, variables = made()
    output, inside = zoo.features(model, variables, X)
    hidden = model.apply(variables, X, train=False, method="represent")
    np.testing.assert_allclose(hidden, jax.nn.relu(inside["fc7"]), rtol=1e-6)
    np.testing.assert_allclose(inside["head"], output, rtol=1e-6)


def test_the_first_convolution_may_have_a_wider_border() -> None:
    trunk = Trunk((1, 1), (4, 6), border=10)
    first, second = jax.eval_shape(lambda: trunk.init_with_output(jax.random.key(0), X, train=False, method="stages"))[
        0
    ]
    assert (first.maps.shape[1:3], second.maps.shape[1:3]) == ((26, 30), (13, 15))


def seen(depth: int, kernel: int) -> tuple[tuple[int, int], int]:
    """Rows and columns that one pixel of a stage's maps depends on, and the weights of the stage's kernels."""
    trunk = Trunk((depth,), (4,), kernel)
    x = jnp.ones((1, 15, 15, 4))
    ones = jax.tree.map(jnp.ones_like, trunk.init(jax.random.key(0), x, train=False))
    slope = jax.grad(lambda x: trunk.apply(ones, x, train=False, method="stages")[0].maps[0, 7, 7].sum())(x)
    field = tuple(int(np.any(slope[0, ..., 0], axis=axis).sum()) for axis in (1, 0))
    return field, sum(leaf.size for leaf in jax.tree.leaves(ones) if leaf.ndim == 4)


@pytest.mark.parametrize("depth", [2, 3])
def test_stacked_small_kernels_see_as_far_as_a_large_one_with_fewer_weights(depth: int) -> None:
    """Section 2.3: two see 5x5 and three 7x7, with 18 and 27 weights for 25 and 49, where the features stay as many."""
    side = 2 * depth + 1
    small, large = seen(depth, 3), seen(1, side)
    assert small == ((side, side), 9 * depth * 4 * 4)
    assert large == ((side, side), side**2 * 4 * 4)


@pytest.mark.parametrize("size", [32, 45, 224, 256])
def test_any_size_of_image_reaches_the_dense_layers(size: int) -> None:
    assert zoo.measure.param_count(zoo.create("vgg11"), {"x": ((size, size + 3, 3), "float32")}) == 132_863_336
