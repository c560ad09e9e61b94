"""Layers that several models share: convolution, pooling, normalization, stochastic depth, a tied head.

Images are (B, H, W, C) throughout. Attention is in zoo/attention.py.
"""

import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from zoo.convolution import Padding, Pair, convolution, is_tuned, pads, pair, plain_convolution
from zoo.fields import require

ONES = nn.initializers.ones_init()


def single_matmul(x: Array, kernel: Array, dimensions: Any = None, precision: Any = None) -> Array:
    """Compute x (..., D) @ kernel (D, features) as one multiplication of two matrices.

    The signature is that of `dot_general` in `nn.Dense`. Without this reshape XLA:CPU takes twice as long for
    the gradient of x (B, T, D).
    """
    rows = lax.dot(x.reshape(-1, x.shape[-1]), kernel, precision=precision)
    return rows.reshape(*x.shape[:-1], kernel.shape[-1])


Dense = partial(nn.Dense, dot_general=single_matmul)
"""nn.Dense with a fast gradient for x (B, T, D)."""


class Conv(nn.Module):
    """Convolution x (B, H, W, C) -> (B, H', W', features), parameters `kernel` (kh, kw, C / groups, features), `bias`.

    An integer padding applies to all four sides. The output has the promoted dtype of x and the parameters.
    """

    features: int
    kernel: Pair
    stride: Pair = 1
    padding: Padding = "SAME"
    groups: int = 1
    bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        window, stride = pair(self.kernel), pair(self.stride)
        kernel = self.param(
            "kernel", self.kernel_init, (*window, x.shape[-1] // self.groups, self.features), jnp.float32
        )
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32) if self.bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias)
        padding = pads(self.padding, x.shape[1:3], window, stride)
        if not is_tuned():
            y = plain_convolution(x, kernel, stride, padding, groups=self.groups)
        else:
            parts = zip(jnp.split(x, self.groups, -1), jnp.split(kernel, self.groups, -1), strict=True)
            y = jnp.concatenate([convolution(x, k, stride, padding) for x, k in parts], -1)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def pool(x: Array, window: Pair, stride: Pair, padding: Padding, fill: float, join: Callable) -> Array:
    """Pad x (B, H, W, C) with `fill`, then reduce each window with `join`, first over its rows, then over its columns.

    XLA's own pooling is as fast forward, but its gradient takes ten times as long on a CPU.
    """
    window, stride = pair(window), pair(stride)
    border = pads(padding, x.shape[1:3], window, stride)
    x = jnp.pad(x, ((0, 0), *border, (0, 0)), constant_values=fill)
    for axis, size, step in zip((1, 2), window, stride, strict=True):
        span = (x.shape[axis] - size) // step * step + 1
        x = reduce(join, (lax.slice_in_dim(x, i, i + span, step, axis) for i in range(size)))
    return x


def max_pool(x: Array, window: Pair, stride: Pair, padding: Padding = 0) -> Array:
    """Take the maximum over windows, x (B, H, W, C) -> (B, H', W', C); padding counts as -inf.

    Elements that tie for the maximum share its gradient (XLA's own pooling gives it to the first of them).
    """
    return pool(x, window, stride, padding, -jnp.inf, jnp.maximum)


def avg_pool(x: Array, window: Pair, stride: Pair, padding: Padding = 0) -> Array:
    """Take the mean over windows, x (B, H, W, C) -> (B, H', W', C), of their pixels inside the image."""
    total = pool(x, window, stride, padding, 0, jnp.add)
    border = pads(padding, x.shape[1:3], pair(window), pair(stride))
    if not any(map(any, border)):
        return total / math.prod(pair(window))
    rows, columns = (
        _inside(n, size, step, sides)
        for n, size, step, sides in zip(x.shape[1:3], pair(window), pair(stride), border, strict=True)
    )
    return total / jnp.asarray(rows[None, :, None, None] * columns[None, None, :, None], x.dtype)


def _inside(n: int, size: int, step: int, border: tuple[int, int]) -> np.ndarray:
    """Return how many of the n pixels of an axis each window covers."""
    first = np.arange(0, n + sum(border) - size + 1, step) - border[0]
    return np.minimum(first + size, n) - np.maximum(first, 0)


def local_response_norm(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Krizhevsky et al. 2012, section 3.3: x / (k + alpha * sum of x^2 over `size` neighbouring channels)^beta."""
    half = size // 2
    square = jnp.pad(jnp.square(x), ((0, 0),) * (x.ndim - 1) + ((half, size - 1 - half),))
    channels = x.shape[-1]
    total = sum(square[..., i : i + channels] for i in range(size))
    return x * (k + alpha * total) ** -beta


class BatchNorm(nn.BatchNorm):
    """`nn.BatchNorm` over all axes of x (..., C) but the last, whose gradient takes half the time on a CPU.

    Parameters, statistics and values are those of `nn.BatchNorm`.
    """

    @nn.compact
    def __call__(self, x: Array, use_running_average: bool | None = None, *, mask: Array | None = None) -> Array:
        if mask is not None:
            return super().__call__(x, use_running_average, mask=mask)
        frozen = nn.merge_param("use_running_average", self.use_running_average, use_running_average)
        channels = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        scale = self.param("scale", self.scale_init, channels, jnp.float32)
        bias = self.param("bias", self.bias_init, channels, jnp.float32) if self.use_bias else jnp.zeros(channels)
        dtype = jnp.promote_types(x.dtype, scale.dtype)
        if frozen:
            rows = x.reshape(-1, *channels)
            y = (rows - mean.value[None]) * (lax.rsqrt(var.value + self.epsilon) * scale)[None] + bias[None]
            return y.reshape(x.shape).astype(dtype)
        y, batch_mean, batch_var = normalize(x.reshape(-1, *channels), scale[None], bias[None], self.epsilon)
        if not self.is_initializing():
            for average, of_batch in ((mean, batch_mean[0]), (var, batch_var[0])):
                average.value = self.momentum * average.value + (1 - self.momentum) * of_batch
        return y.reshape(x.shape).astype(dtype)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def normalize(x: Array, scale: Array, bias: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithm 1: x (N, C) -> (normalized, mean (1, C), variance (1, C)).

    scale, bias: (1, C). The statistics are at least float32. JAX's own gradient passes over x twice as often.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean(0, keepdims=True)
    var = jnp.maximum(jnp.square(wide).mean(0, keepdims=True) - jnp.square(mean), 0)
    return (x - mean) * (lax.rsqrt(var + epsilon) * scale) + bias, mean, var


@normalize.defjvp
def _normalize_tangent(epsilon: float, primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """Return the outputs and their tangents, whose transpose has two sums over x: those of the scale and of the bias.

    That is why the means are taken of dx itself, and multiplied by the scale afterwards.
    """
    (x, scale, bias), (dx, dscale, dbias) = primals, tangents
    y, mean, var = normalize(x, scale, bias, epsilon)
    rate = lax.rsqrt(var + epsilon)
    unit = (x - mean) * rate
    mean_dx = dx.astype(mean.dtype).mean(0, keepdims=True)
    mean_unit_dx = (unit * dx).mean(0, keepdims=True)
    factor = rate * scale
    # The minus belongs to the small arrays: negating dx would make its sums other ones than those of scale and bias.
    dy = dx * factor + mean_dx * -factor + unit * (mean_unit_dx * -factor) + unit * dscale + dbias
    return (y, mean, var), (dy, mean_dx, 2 / rate * mean_unit_dx)


def batch_norm(
    x: Array,
    *,
    train: bool,
    name: str,
    scale_init: nn.initializers.Initializer = ONES,
    use_bias: bool = True,
) -> Array:
    """Normalize x (B, ..., C) over all axes but the last; running statistics move by 0.1 a step to those of the batch.

    Call it in a compact method: it adds the module `name`. An empty batch, whose mean would be NaN, is treated as in
    evaluation and leaves the running statistics as they are.
    """
    average = not train or x.size == 0
    norm = BatchNorm(average, momentum=0.9, epsilon=1e-5, use_bias=use_bias, scale_init=scale_init, name=name)
    return norm(x)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): drops x for a whole example with probability `rate`, scales the others.

    x (B, ...) -> same shape. Draws from the rng stream "dropout".
    """

    rate: float

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require(0 <= self.rate < 1, "drop_path", "rate", "at least 0 and below 1", self.rate)
        if not train or self.rate == 0:
            return x
        keep = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, (x.shape[0],) + (1,) * (x.ndim - 1))
        return jnp.where(keep, x / (1 - self.rate), 0)


class TiedHead(nn.Module):
    """Output layer that shares the token embedding, table (V, D): x (..., D) -> logits (..., V).

    Press and Wolf 2017, arXiv:1608.05859.
    """

    bias: bool = False

    @nn.compact
    def __call__(self, x: Array, table: Array) -> Array:
        y = single_matmul(x, table.T)
        if self.bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (len(table),), jnp.float32)
            y = y + bias.reshape((1,) * (y.ndim - 1) + (-1,))
        return y
