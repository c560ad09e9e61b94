"""FLOPs are counted exactly, whatever the operation stands in; the layer table adds up."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import zoo
from zoo import measure

MATRIX = jax.ShapeDtypeStruct((5, 5), jnp.float32)
ONCE = 2 * 5**3


def square(x: jax.Array) -> jax.Array:
    return x @ x


@jax.custom_vjp
def custom(x: jax.Array) -> jax.Array:
    return x @ x


custom.defvjp(lambda x: (custom(x), x), lambda x, g: (g @ x.T,))


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (square, ONCE),
        (jax.jit(lambda x: jax.jit(square)(x) + 1), ONCE),
        (custom, ONCE),
        (jax.checkpoint(square), ONCE),
        (lambda x: lax.scan(lambda c, _: (square(c), None), x, length=7)[0], 7 * ONCE),
        (lambda x: lax.cond(x.sum() > 0, lambda x: square(square(x)), square, x), 2 * ONCE),
        (jax.grad(lambda x: square(x).sum()), 3 * ONCE),  # forward, and one product for each factor
        (jax.grad(lambda x: custom(x).sum()), 2 * ONCE),
        (lambda x: jnp.einsum("abc,cd->abd", x.reshape(5, 1, 5), x), ONCE),
        (lambda x: jnp.einsum("ij,ij->i", x, x), 2 * 25),
        (lambda x: jnp.sin(x) + x, 0),
    ],
)
def test_products_are_counted_wherever_they_stand(fn: Callable, expected: int) -> None:
    assert measure.count_flops(fn, MATRIX) == expected


def convolve(groups: int, stride: int, dilation: int) -> Callable:
    return lambda x, w: lax.conv_general_dilated(
        x,
        w,
        (stride, stride),
        ((0, 0), (0, 0)),
        lhs_dilation=(dilation, dilation),
        feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (2, 1), (4, 3)])
def test_convolutions_without_border_equal_xla(groups: int, stride: int) -> None:
    x = jax.ShapeDtypeStruct((2, 11, 9, 4), jnp.float32)
    w = jax.ShapeDtypeStruct((3, 2, 4 // groups, 8), jnp.float32)
    fn = convolve(groups, stride, 1)
    assert measure.count_flops(fn, x, w) == jax.jit(fn).lower(x, w).cost_analysis()["flops"]


def test_transposed_convolution_skips_the_zeros_in_between() -> None:
    x, w = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32), jax.ShapeDtypeStruct((2, 2, 4, 6), jnp.float32)
    # 15 x 15 pixels, a zero after each; a 2 x 2 window meets exactly one pixel at each of 14 x 14 places.
    assert measure.count_flops(convolve(1, 1, 2), x, w) == 14 * 14 * 2 * 4 * 6


@pytest.mark.parametrize(
    "name", ["lenet5", "alexnet", "resnet50", "vit_mini_patch4", "transformer_mini", "gpt_char_mini"]
)
def test_layer_table_adds_up(name: str) -> None:
    card = zoo.card(name)
    rows = {row.path: row for row in measure.layer_table(card.make(), card.inputs)}
    whole = rows[""]
    assert (whole.output, whole.params, whole.flops) == (card.output, card.params, card.flops)
    top = [row for path, row in rows.items() if path and "/" not in path]
    assert sum(row.flops for row in top) == card.flops
    assert card.params - sum(row.params for row in top) in (
        0,
        128 + 65 * 128,
    )  # class token and positions: the ViT's own
    assert list(rows)[-1] == "head"


def test_layer_table_gives_each_layer_its_own() -> None:
    rows = {row.path: row for row in measure.layer_table(zoo.create("lenet5"), zoo.card("lenet5").inputs)}
    assert rows["c1"] == ("c1", "Conv", (28, 28, 6), 156, 2 * 28 * 28 * 25 * 6)
    assert rows["c5"] == ("c5", "Dense", (120,), 48_120, 2 * 400 * 120)
    rows = {row.path: row for row in measure.layer_table(zoo.create("resnet20"), zoo.card("resnet20").inputs)}
    assert rows["s1b0/norm1"].params == 64
    assert rows["s1b0"].flops == rows["s1b0/conv1"].flops + rows["s1b0/conv2"].flops > 0


def test_of_several_calls_and_outputs_the_first_is_shown() -> None:
    inputs = {"source": ((3,), "int32"), "source_mask": ((3,), "bool"), "target": ((5,), "int32")}
    rows = {row.path: row for row in measure.layer_table(zoo.create("transformer_mini"), inputs)}
    assert rows["tokens"].output == (3, 256)
    assert rows["decoder0"].output == (5, 256)
    assert measure.layer_table(zoo.create("bert_tiny"), {"tokens": ((7,), "int32")})[0].output == (7, 128)


def test_param_count_agrees_with_arrays() -> None:
    model, card = zoo.create("lenet5"), zoo.card("lenet5")
    variables = jax.jit(lambda key: model.init(key, jnp.zeros((1, 32, 32, 1)), train=False))(jax.random.key(0))
    total = sum(np.asarray(p).size for p in jax.tree.leaves(variables))
    assert measure.param_count(model, card.inputs) == total
