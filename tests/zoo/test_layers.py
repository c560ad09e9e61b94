"""Layers equal XLA's own, in value, gradient and every transformation; normalization equals the paper's formula."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from zoo.layers import Conv, DropPath, attention, avg_pool, convolution, local_response_norm, max_pool, pads

KEY = jax.random.key(0)
CASES = [  # batch, height, width, channels, features, kernel, stride, padding, groups
    (2, 8, 8, 3, 4, 3, 1, "SAME", 1),
    (3, 9, 7, 4, 6, 3, 2, 1, 1),
    (2, 9, 8, 4, 6, (3, 5), (2, 1), "VALID", 2),
    (2, 11, 12, 1, 2, 5, 3, ((2, 0), (1, 3)), 1),
    (2, 8, 7, 3, 5, 1, 2, 0, 1),
    (2, 7, 10, 6, 6, 7, 2, 3, 3),
    (35, 6, 5, 2, 3, 3, 2, "SAME", 1),  # more examples than one part of the kernel's gradient takes
    (2, 5, 5, 2, 3, 5, 1, "VALID", 1),  # the window is the image
]


def close(actual: object, desired: object, tolerance: float = 2e-5) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), actual, desired)


def build(case: tuple) -> tuple:
    """The layer, its variables and input, and XLA's convolution of the same."""
    batch, height, width, channels, features, kernel, stride, padding, groups = case
    x = jax.random.normal(KEY, (batch, height, width, channels))
    conv = Conv(features, kernel, stride, padding, groups, bias_init=nn.initializers.normal())
    variables = jax.jit(conv.init)(KEY, x)
    strides = (stride, stride) if isinstance(stride, int) else stride

    def reference(variables: dict, x: jax.Array) -> jax.Array:
        p = variables["params"]
        border = padding if isinstance(padding, str) else [(padding,) * 2] * 2 if isinstance(padding, int) else padding
        numbers = ("NHWC", "HWIO", "NHWC")
        y = lax.conv_general_dilated(
            x, p["kernel"], strides, border, dimension_numbers=numbers, feature_group_count=groups
        )
        return y + p["bias"][None, None, None]

    return conv, variables, x, reference


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_and_both_gradients_equal_xla(case: tuple) -> None:
    conv, variables, x, reference = build(case)
    loss = lambda f: jax.jit(jax.value_and_grad(lambda v, x: jnp.sum(jnp.sin(f(v, x))), (0, 1)))  # noqa: E731
    close(loss(conv.apply)(variables, x), loss(reference)(variables, x), 1e-4)


@pytest.mark.parametrize("case", [CASES[1], CASES[2]], ids=str)
def test_convolution_under_every_transformation(case: tuple) -> None:
    conv, variables, x, reference = build(case)

    def everything(f: object) -> tuple:
        loss = lambda v, x: jnp.sum(jnp.sin(f(v, x)))  # noqa: E731
        stack = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), (variables, x))
        forward = jax.jvp(f, (variables, x), (variables, x))[1]
        curvature = jax.jvp(jax.grad(loss, (0, 1)), (variables, x), (variables, x))[1]
        seeds = jax.vmap(jax.grad(loss, (0, 1)))(*stack)
        examples = jax.vmap(jax.grad(loss), (None, 0))(variables, x[:, None])
        return forward, curvature, seeds, examples

    close(jax.jit(partial(everything, conv.apply))(), jax.jit(partial(everything, reference))(), 1e-4)
