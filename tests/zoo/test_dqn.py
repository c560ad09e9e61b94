"""The agents' networks: published sizes, frames of bytes, Torch's initial values, and the dueling head."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo import measure

KEY = jax.random.key(0)
PUBLISHED = [  # beside those in test_registry; MinAtar has a channel for each kind of object in a game
    ("dqn_minatar", {}, (10, 10, 6), 132_854),
    ("dqn_minatar", {}, (10, 10, 7), 132_998),
    ("dqn_minatar", {}, (10, 10, 10), 133_430),
    ("dqn_nature", {"dueling": True}, (84, 84, 4), 77_984 + 2 * 1_606_144 + 513 + 4 * 513),
]
FRAMES = {"channels": (4, 6), "kernels": (3, 2), "strides": (2, 1), "hidden": (8,), "actions": 3}


@functools.cache
def made(shape: tuple[int, ...], **fields: Any) -> tuple[Any, dict]:
    model = zoo.create("dqn_2013" if len(shape) == 3 else "dqn_mlp", **fields)
    return model, jax.jit(lambda key: model.init(key, jnp.zeros((1, *shape)), train=False))(KEY)


@pytest.mark.parametrize(("name", "fields", "shape", "params"), PUBLISHED)
def test_sizes_are_the_published(name: str, fields: dict, shape: tuple[int, ...], params: int) -> None:
    assert measure.param_count(zoo.create(name, **fields), {"x": (shape, "float32")}) == params


def test_layers_shrink_the_screen_as_in_the_paper() -> None:
    card = zoo.card("dqn_nature")
    rows = {row.path: row.output for row in measure.layer_table(card.make(), card.inputs)}
    assert [rows[f"conv{i}"] for i in (0, 1, 2)] == [(20, 20, 32), (9, 9, 64), (7, 7, 64)]
    assert (rows["head/hidden0"], rows["head/out"]) == ((512,), (4,))


def test_bytes_are_scaled_and_floats_are_not() -> None:
    model, variables = made((8, 8, 2), **FRAMES)
    apply = jax.jit(lambda v, x: model.apply(v, x, train=False))
    x = jax.random.randint(KEY, (4, 8, 8, 2), 0, 256).astype(jnp.uint8)
    scaled = x.astype(jnp.float32) / 255
    np.testing.assert_allclose(apply(variables, x), apply(variables, scaled), rtol=1e-4, atol=1e-6)
    assert not np.allclose(apply(variables, x.astype(jnp.float32)), apply(variables, scaled), rtol=0.1)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables)
    assert jax.eval_shape(apply, half, x).dtype == jnp.bfloat16  # bytes do not force single precision


def test_dueling_centres_the_advantages() -> None:
    model, variables = made((5,), hidden=(8,), actions=3, dueling=True)
    q, found = jax.jit(lambda v, x: zoo.features(model, v, x))(variables, jax.random.normal(KEY, (4, 5)))
    value, advantage = found["head/value"], found["head/advantage"]
    assert (value.shape, advantage.shape) == ((4, 1), (4, 3))
    np.testing.assert_allclose(q.mean(axis=1, keepdims=True), value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(q[:, 1:] - q[:, :-1], advantage[:, 1:] - advantage[:, :-1], rtol=1e-4, atol=1e-6)


def test_every_parameter_starts_within_one_over_the_root_of_its_inputs() -> None:
    card = zoo.card("dqn_2013")
    params = jax.jit(lambda: card.make().init(KEY, jnp.zeros((1, 84, 84, 4)), train=False))()["params"]
    layers = (params["conv0"], params["conv1"], params["head"]["hidden0"], params["head"]["out"])
    for layer, inputs in zip(layers, (8 * 8 * 4, 4 * 4 * 16, 9 * 9 * 32, 256), strict=True):
        assert 0.95 < jnp.abs(layer["kernel"]).max() * inputs**0.5 <= 1
        assert 0.5 < jnp.abs(layer["bias"]).max() * inputs**0.5 <= 1


@pytest.mark.parametrize(("name", "size"), [("dqn_2013", 20), ("dqn_nature", 36), ("dqn_minatar", 3)])
def test_the_smallest_frame_works_and_a_smaller_one_is_one_line(name: str, size: int) -> None:
    inputs = lambda size: {"x": ((size, size, 4), "float32")}  # noqa: E731
    assert measure.param_count(zoo.create(name), inputs(size)) > 0
    with pytest.raises(zoo.UserError, match=f"^dqn needs images of at least {size}x{size} pixels"):
        measure.param_count(zoo.create(name), inputs(size - 1))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"actions": 0}, "dqn: actions must be a positive integer, not 0"),
        ({"kernels": (8,)}, "dqn: kernels must be 2 numbers, like channels, not (8,)"),
        ({"duelling": True}, "dqn_2013: unknown field 'duelling': did you mean dueling?"),
    ],
)
def test_a_wrong_name_or_value_is_one_line(fields: dict, line: str) -> None:
    with pytest.raises(zoo.UserError) as error:
        zoo.create("dqn_2013", **fields)
    assert str(error.value) == line


def test_a_network_for_frames_takes_no_vectors() -> None:
    with pytest.raises(zoo.UserError, match="dqn takes images"):
        measure.param_count(zoo.create("dqn_2013"), {"x": ((4,), "float32")})
