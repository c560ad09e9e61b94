"""The transposed convolution equals Linen's and PyTorch's definition, in value, gradient and every transformation."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from zoo.convolution import plain_convolution
from zoo.measure import count_flops
from zoo.transposed import ConvTranspose

KEY = jax.random.key(0)
CASES = {  # height, width, kernel, stride, padding, padding as Linen has it
    "first layer, 4/1/0": (1, 1, 4, 1, 0, "VALID"),
    "4/2/1": (4, 5, 4, 2, 1, ((2, 2), (2, 2))),
    "4/2 SAME": (3, 3, 4, 2, "SAME", "SAME"),
    "5/2 SAME": (4, 3, 5, 2, "SAME", "SAME"),
    "5/2 VALID": (3, 4, 5, 2, "VALID", "VALID"),
    "5/2/2, one row and column more": (4, 4, 5, 2, ((2, 1), (2, 1)), ((2, 3), (2, 3))),
    "5x4/3x2": (3, 4, (5, 4), (3, 2), ((1, 0), (0, 2)), ((3, 4), (3, 1))),
}
each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def build(case: tuple) -> tuple[nn.Module, nn.Module, dict, jax.Array]:
    """Ours, Linen's, variables for both, and an input."""
    height, width, kernel, stride, padding, border = case
    x = jax.random.normal(KEY, (2, height, width, 3))
    ours = ConvTranspose(4, kernel, stride, padding, bias_init=nn.initializers.normal())
    windows, strides = ((n, n) if isinstance(n, int) else n for n in (kernel, stride))
    return ours, nn.ConvTranspose(4, windows, strides, border), jax.jit(ours.init)(KEY, x), x


def close(actual: object, desired: object) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), actual, desired)


@each
def test_value_and_gradients_equal_linen(case: tuple) -> None:
    ours, linen, variables, x = build(case)

    def run(model: nn.Module) -> tuple:
        loss = lambda v, x: (jnp.sin(y := model.apply(v, x)).sum(), y)  # noqa: E731
        return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(variables, x)

    close(run(ours), run(linen))


def test_it_is_the_gradient_of_a_convolution_as_in_pytorch() -> None:
    ours, _, variables, x = build(CASES["4/2/1"])
    y = jax.jit(lambda: ours.apply({"params": {**variables["params"], "bias": jnp.zeros(4)}}, x))()
    flipped = variables["params"]["kernel"][::-1, ::-1].swapaxes(2, 3)  # (kh, kw, features, C)
    forward = lambda large: plain_convolution(large, flipped, (2, 2), ((1, 1), (1, 1)))  # noqa: E731
    assert y.shape == (2, 8, 10, 4)
    close(y, jax.jit(lambda: jax.vjp(forward, jnp.zeros_like(y))[1](x)[0])())


def test_curvature_seeds_and_tangents_equal_linen() -> None:
    ours, linen, variables, x = build(CASES["5/2 SAME"])

    def everything(model: nn.Module) -> tuple:
        loss = lambda v, x: jnp.sum(jnp.sin(model.apply(v, x)))  # noqa: E731
        stack = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), (variables, x))
        curvature = jax.jvp(jax.grad(loss, (0, 1)), (variables, x), (variables, x))[1]
        return curvature, jax.vmap(jax.grad(loss, (0, 1)))(*stack)

    close(jax.jit(partial(everything, ours))(), jax.jit(partial(everything, linen))())


def test_no_zeros_are_multiplied() -> None:
    ours, linen, variables, x = build(CASES["4/2/1"])
    products: Callable[[nn.Module], int] = lambda model: count_flops(model.apply, variables, x)  # noqa: E731
    assert products(ours) == products(linen) == 2 * 2 * (8 * 10) * (4 * 4 / 4) * 3 * 4
    jaxpr = str(jax.make_jaxpr(ours.apply)(variables, x))
    assert "lhs_dilation=(2, 2)" not in jaxpr
    assert jaxpr.count("conv_general_dilated") >= 4


def test_half_precision_stays_half() -> None:
    ours, _, variables, x = build(CASES["4/2/1"])
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (variables, x))
    assert jax.eval_shape(ours.apply, *half).dtype == jnp.bfloat16
    assert jax.eval_shape(ours.apply, half[0], x).dtype == jnp.float32
