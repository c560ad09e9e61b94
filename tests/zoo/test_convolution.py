"""A convolution equals XLA's own in every form, in value, gradient and every transformation."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from zoo.convolution import convolution
from zoo.layers import Conv
from zoo.measure import count_flops

KEY = jax.random.key(0)
CASES = [  # batch, height, width, channels, features, kernel, stride, padding, groups
    (2, 8, 8, 3, 4, 3, 1, "SAME", 1),
    (2, 6, 9, 1, 2, (2, 5), 1, ((1, 0), (0, 3)), 1),  # one channel: strips, which the last columns do not fill
    (2, 8, 8, 1, 4, 3, 1, "SAME", 1),
    (3, 9, 7, 4, 6, 3, 2, 1, 1),
    (2, 9, 8, 4, 6, (3, 5), (2, 1), "VALID", 2),
    (2, 11, 12, 1, 2, 5, 3, ((2, 0), (1, 3)), 1),
    (2, 8, 7, 3, 5, 1, 2, 0, 1),
    (2, 7, 10, 6, 6, 7, 2, 3, 3),
    (35, 6, 5, 2, 3, 3, 2, "SAME", 1),  # more examples than one part of the kernel's gradient takes
    (2, 5, 5, 2, 3, 5, 1, "VALID", 1),  # the window is the image
    (3, 2, 2, 4, 6, 3, 1, "SAME", 1),  # and larger than it
    (2, 4, 5, 4, 6, (3, 4), (2, 3), ((1, 0), (2, 1)), 2),
    (2, 1, 9, 2, 3, (1, 12), 2, ((0, 0), (4, 3)), 1),
]


def close(actual: object, desired: object, tolerance: float = 2e-5) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), actual, desired)


@cache
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


@pytest.mark.parametrize("case", [CASES[2], CASES[3], CASES[1], CASES[-2]], ids=str)
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


def test_convolution_keeps_half_precision() -> None:
    conv, variables, x, _ = build(CASES[0])
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (variables, x))
    y, grads = jax.jit(jax.value_and_grad(lambda v, x: conv.apply(v, x).sum()))(*half)
    assert {a.dtype for a in jax.tree.leaves((y, grads))} == {jnp.dtype(jnp.bfloat16)}
    assert jax.eval_shape(conv.apply, half[0], x).dtype == jnp.float32  # promotion of input and parameters


def test_kernel_gradient_in_half_precision_adds_up_a_large_batch() -> None:
    x, kernel = jnp.ones((10_000, 3, 3, 1), jnp.bfloat16), jnp.ones((3, 3, 1, 1), jnp.bfloat16)
    grad = jax.jit(jax.grad(lambda k: convolution(x, k, (1, 1), ((0, 0), (0, 0))).sum()))(kernel)
    np.testing.assert_allclose(np.asarray(grad, np.float32), 10_000, rtol=0.01)


def test_gradient_inside_a_scan_has_only_canonical_convolutions() -> None:
    """On a CPU any other order of axes falls back to code that is up to 100 times slower."""
    x, kernel = jnp.ones((2, 8, 8, 8)), jnp.ones((3, 3, 8, 8))
    loss = jax.grad(lambda x, k: convolution(x, k, (1, 1), ((1, 1), (1, 1))).sum(), (0, 1))
    text = jax.jit(lambda: jax.lax.scan(lambda c, _: (jax.tree.map(jnp.add, c, loss(*c)), None), (x, kernel), length=2))
    labels = [line.split("dim_labels=")[1].split(",")[0] for line in hlo(text).splitlines() if "dim_labels=" in line]
    assert labels
    assert set(labels) == {"b01f_01io->b01f"}


def test_a_grey_image_meets_no_convolution() -> None:
    """XLA:CPU took five times as long for the first layer of LeNet-5."""
    for channels, expected in ((1, False), (3, True)):
        x, k = jnp.ones((2, 8, 8, channels)), jnp.ones((3, 3, channels, 8))
        loss = jax.grad(lambda x, k: convolution(x, k, (1, 1), ((1, 1), (1, 1))).sum(), (0, 1))
        assert ("convolution(" in hlo(jax.jit(partial(loss, x, k)))) == expected


def test_operations_are_counted_in_the_plain_form() -> None:
    """The strips of a grey image multiply by zeros too, which no paper counts."""
    x, kernel = jnp.ones((2, 8, 8, 1)), jnp.ones((3, 3, 1, 5))
    assert count_flops(lambda x, k: Conv(5, 3, bias=False).apply({"params": {"kernel": k}}, x), x, kernel) == (
        2 * (2 * 8 * 8) * 5 * (3 * 3 * 1)
    )


def test_an_image_smaller_than_the_window_meets_no_convolution() -> None:
    """XLA:CPU would swap the two: ResNet-20 spent two thirds of its time on 2 x 2 pixels."""
    for size, kernel, stride, expected in ((2, 3, 1, False), (4, 3, 2, False), (4, 3, 1, True)):
        x, k = jnp.ones((2, size, size, 8)), jnp.ones((kernel, kernel, 8, 8))
        loss = jax.grad(lambda x, k, s=stride: convolution(x, k, (s, s), ((1, 1), (1, 1))).sum(), (0, 1))
        assert ("convolution(" in hlo(jax.jit(partial(loss, x, k)))) == expected


def hlo(f: object) -> str:
    return f.lower().compile().as_text()


@pytest.mark.parametrize(("x", "kernel"), [((0, 8, 8, 3), (3, 3, 3, 4)), ((2, 8, 8, 3), (3, 3, 3, 0))])
def test_the_gradient_of_no_numbers_is_zero(x: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    loss = lambda x, k: convolution(x, k, (1, 1), ((1, 1), (1, 1))).sum()  # noqa: E731
    to_x, to_kernel = jax.grad(loss, (0, 1))(jnp.ones(x), jnp.ones(kernel))
    assert not np.any(to_x)
    np.testing.assert_array_equal(to_kernel, np.zeros(kernel))


def test_a_batch_of_any_size_is_one_program() -> None:
    """A grey image was reshaped by len(x), which is a number: LeNet-5 could not be exported."""
    (batch,) = jax.export.symbolic_shape("batch")
    for size, channels in ((8, 1), (8, 3), (2, 1)):
        x = jax.ShapeDtypeStruct((batch, size, size, channels), jnp.float32)
        out = jax.eval_shape(lambda x, k: convolution(x, k, (1, 1), ((1, 1), (1, 1))), x, jnp.ones((3, 3, channels, 4)))
        assert out.shape == (batch, size, size, 4)
