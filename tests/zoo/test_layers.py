"""Layers equal XLA's own, in value, gradient and every transformation; normalization equals the paper's formula."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from zoo.convolution import pads
from zoo.layers import BatchNorm, DropPath, TiedHead, avg_pool, local_response_norm, max_pool

KEY = jax.random.key(0)


def close(actual: object, desired: object, tolerance: float = 2e-5) -> None:
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), actual, desired)


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 2, ((0, 1), (0, 1))), ((2, 3), (1, 2), "SAME")]
)
def test_pooling_equals_linen(window: object, stride: object, padding: object) -> None:
    x = jax.random.normal(KEY, (2, 9, 8, 3))
    both = [(n, n) if isinstance(n, int) else n for n in (window, stride)]
    border = pads(padding, (9, 8), *both)
    for ours, linen in ((max_pool, nn.max_pool), (avg_pool, partial(nn.avg_pool, count_include_pad=False))):
        run = lambda f: jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.sin(f(x)))))(x)  # noqa: E731
        close(run(lambda x: ours(x, window, stride, padding)), run(lambda x: linen(x, *both, border)))  # noqa: B023


def test_a_mean_counts_the_pixels_inside_the_image_only() -> None:
    """As in cuda-convnet: the mean of ones is one at the border too."""
    for padding in (0, 1, ((0, 1), (0, 1)), "SAME"):
        np.testing.assert_array_equal(avg_pool(jnp.ones((1, 4, 4, 1)), 3, 2, padding), 1.0)
    corner = avg_pool(jnp.arange(16.0).reshape(1, 4, 4, 1), 3, 2, ((0, 1), (0, 1)))[0, 1, 1, 0]
    assert corner == (10 + 11 + 14 + 15) / 4


def test_elements_that_tie_share_the_gradient_of_their_maximum() -> None:
    x = jnp.zeros((1, 2, 2, 1))
    np.testing.assert_array_equal(jax.grad(lambda x: max_pool(x, 2, 2).sum())(x).sum(), 1.0)
    x = jnp.array([[[[3.0], [1.0]], [[3.0], [2.0]]]])
    np.testing.assert_array_equal(jax.grad(lambda x: max_pool(x, 2, 2).sum())(x).ravel(), [0.5, 0, 0.5, 0])


def test_pooling_keeps_half_precision() -> None:
    x = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    assert max_pool(x, 3, 2, 1).dtype == avg_pool(x, 3, 2, 1).dtype == jnp.bfloat16


@pytest.mark.parametrize("use_bias", [True, False])
def test_batch_normalization_equals_linen(use_bias: bool) -> None:
    """Values, statistics, gradients, curvature and seeds; in training and in evaluation."""
    x = 1 + 2 * jax.random.normal(KEY, (4, 3, 5, 6))
    variables = jax.jit(nn.BatchNorm(False, use_bias=use_bias).init)(KEY, x)
    variables = jax.tree.map(lambda a: a + jax.random.uniform(KEY, a.shape), variables)

    def everything(kind: type) -> tuple:
        layer = kind(False, momentum=0.9, use_bias=use_bias)

        def loss(params: dict, x: jax.Array) -> tuple:
            y, new = layer.apply(variables | {"params": params}, x, mutable="batch_stats")
            return jnp.sum(jnp.sin(y)), (y, new)

        gradient = jax.value_and_grad(loss, (0, 1), has_aux=True)
        args = variables["params"], x
        value = gradient(*args)
        curvature = jax.jvp(lambda *args: gradient(*args)[1], args, args)[1]
        seeds = jax.vmap(gradient)(*jax.tree.map(lambda a: jnp.stack([a, 2 * a]), args))
        return value, curvature, seeds, kind(True, use_bias=use_bias).apply(variables, x)

    assert jax.tree.structure(BatchNorm(False).init(KEY, x)) == jax.tree.structure(nn.BatchNorm(False).init(KEY, x))
    close(jax.jit(everything, static_argnums=0)(BatchNorm), jax.jit(everything, static_argnums=0)(nn.BatchNorm), 1e-4)


def test_batch_normalization_with_a_mask_is_that_of_linen() -> None:
    x, mask = jax.random.normal(KEY, (8, 3)), (jnp.arange(8) < 5)[:, None]
    ours, linen = (kind(False).init_with_output(KEY, x, mask=mask) for kind in (BatchNorm, nn.BatchNorm))
    close(ours, linen, 1e-6)


def test_the_gradient_of_batch_normalization_has_two_sums() -> None:
    """Those of the gradients of scale and bias; JAX's own adds up the images three times."""

    def sums(kind: type) -> int:
        layer, ones = kind(False), {"scale": jnp.ones(8), "bias": jnp.ones(8)}
        x = jnp.ones((64, 8))
        back = jax.vjp(lambda p, x: layer.apply({"params": p}, x, mutable="batch_stats")[0], ones, x)[1]
        return jax.jit(back).lower(x).compile().as_text().count(" reduce(")

    assert (sums(BatchNorm), sums(nn.BatchNorm)) == (2, 3)


def test_batch_normalization_computes_statistics_of_half_precision_in_float32() -> None:
    x = (1000 + jax.random.normal(KEY, (512, 3))).astype(jnp.bfloat16)
    _, new = BatchNorm(False).init_with_output(KEY, x)
    _, new = BatchNorm(False, momentum=0.0).apply(new, x, mutable="batch_stats")
    np.testing.assert_allclose(new["batch_stats"]["mean"], np.asarray(x, np.float64).mean(0), rtol=1e-6)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_response_normalization_is_the_paper_s_sum(size: int) -> None:
    x = np.asarray(jax.random.normal(KEY, (2, 3, 2, 7)))
    expected = np.empty_like(x)
    for i in range(7):
        low, high = max(0, i - size // 2), min(6, i + (size - 1) // 2)
        expected[..., i] = x[..., i] / (2 + 0.3 * np.square(x[..., low : high + 1]).sum(-1)) ** 0.75
    close(local_response_norm(jnp.asarray(x), size, 0.3, 0.75, 2.0), expected)


def test_drop_path_drops_whole_examples_and_keeps_the_mean() -> None:
    x = jnp.ones((4000, 2, 3))
    y = DropPath(0.25).apply({}, x, train=True, rngs={"dropout": KEY})
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert abs(float(y.mean()) - 1) < 0.05
    np.testing.assert_array_equal(DropPath(0.25).apply({}, x, train=False), x)


def test_a_tied_head_multiplies_by_the_table() -> None:
    x, table = jax.random.normal(KEY, (2, 3, 4)), jax.random.normal(KEY, (5, 4))
    close(TiedHead().apply({}, x, table), jnp.einsum("btd,vd->btv", x, table))
    shift = {"params": {"bias": jnp.arange(5.0)}}
    close(
        TiedHead(bias=True).apply(shift, x, table), jnp.einsum("btd,vd->btv", x, table) + jnp.arange(5).reshape(1, 1, 5)
    )
