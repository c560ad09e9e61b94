"""Layers that several models share: convolution, pooling, response normalization, stochastic depth, a tied head.

Images are (B, H, W, C) throughout. Attention is in zoo/attention.py.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array, lax

from zoo.fields import require

Pair = int | Sequence[int]
Padding = str | int | Sequence[Sequence[int]]
Border = Sequence[tuple[int, int]]  # ((top, bottom), (left, right)) pixels of padding
ONES = nn.initializers.ones_init()


def pair(value: Pair) -> tuple[int, int]:
    """Return (height, width) of a value that may be one integer for both."""
    if isinstance(value, int):
        return value, value
    height, width = value
    return height, width


def pads(padding: Padding, size: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> Border:
    """Return padding as ((top, bottom), (left, right)), from "SAME", "VALID", one integer for all sides, or pairs.

    `size`, `window` and `stride` are (height, width) of the image, the kernel and its step.
    """
    if isinstance(padding, str):
        return tuple(lax.padtype_to_pads(size, window, stride, padding))
    if isinstance(padding, int):
        return ((padding, padding),) * 2
    return tuple((low, high) for low, high in padding)


def plain_convolution(
    x: Array,
    kernel: Array,
    stride: Sequence[int],
    padding: Border,
    *,
    groups: int = 1,
    input_dilation: Sequence[int] | None = None,
    kernel_dilation: Sequence[int] | None = None,
) -> Array:
    """Run XLA's convolution in its canonical layout: x (B, H, W, C), kernel (kh, kw, C / groups, F)."""
    return lax.conv_general_dilated(
        x,
        kernel,
        stride,
        padding,
        lhs_dilation=input_dilation,
        rhs_dilation=kernel_dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Compute `plain_convolution` in the way that is fastest on XLA:CPU, forward and backward.

    If an image has fewer pixels than the window, XLA:CPU swaps the two, which makes it ten times slower.
    """
    sizes = zip(x.shape[1:3], padding, kernel.shape, stride, strict=False)
    out = [(n + sum(border) - k) // s + 1 for n, border, k, s in sizes]
    if min(math.prod(x.shape[1:3]), math.prod(out)) < math.prod(kernel.shape[:2]):
        return matmul_convolution(x, kernel, stride, padding)
    return canonical_convolution(x, kernel, stride, padding)


def matmul_convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Compute a convolution as one matrix multiplication: the windows of x, one per row, times the kernel (im2col)."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    spans = [(n - k) // s * s + 1 for n, k, s in zip(x.shape[1:3], kernel.shape, stride, strict=False)]
    offsets = itertools.product(*map(range, kernel.shape[:2]))
    windows = [x[:, i : i + spans[0] : stride[0], j : j + spans[1] : stride[1]] for i, j in offsets]
    return single_matmul(jnp.concatenate(windows, -1), kernel.reshape(-1, kernel.shape[-1]))


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def canonical_convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Compute `plain_convolution`, with gradients that XLA:CPU runs as fast as the convolution itself, even in a scan.

    JAX writes both gradients as convolutions with permuted axes. XLA:CPU restores the canonical order only outside
    loops; inside a loop it falls back to code that is up to 100 times slower.
    """
    return plain_convolution(x, kernel, stride, padding)


@canonical_convolution.defjvp
def _tangent(stride: Sequence[int], padding: Border, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """Return (output, tangent), the tangent written as the transpose of the gradient we want.

    Reverse mode transposes it once more and so runs exactly that gradient; forward mode, higher derivatives and vmap
    keep working.
    """
    (x, kernel), (dx, dkernel) = primals, tangents
    y = canonical_convolution(x, kernel, stride, padding)
    to_x = jax.linear_transpose(lambda dy: input_gradient(dy, kernel, x.shape, stride, padding), y)
    to_kernel = jax.linear_transpose(lambda dy: kernel_gradient(x, dy, kernel.shape, stride, padding), y)
    return y, to_x(dx)[0] + to_kernel(dkernel)[0]


def input_gradient(dy: Array, kernel: Array, shape: tuple[int, ...], stride: Sequence[int], padding: Border) -> Array:
    """Return the gradient of a convolution with respect to its input, which has `shape`.

    It is dy, dilated by the stride, convolved with the kernel rotated by 180 degrees.
    """
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    border = []
    for n, out, k, s, (low, _) in zip(shape[1:3], dy.shape[1:3], kernel.shape, stride, padding, strict=False):
        before = k - 1 - low
        border.append((before, n + k - 1 - before - ((out - 1) * s + 1)))
    return plain_convolution(dy, flipped, (1, 1), border, input_dilation=stride)


def kernel_gradient(x: Array, dy: Array, shape: tuple[int, ...], stride: Sequence[int], padding: Border) -> Array:
    """Return the gradient of a convolution with respect to its kernel, which has `shape`.

    It is x convolved with dy, dilated by the stride, where the examples play the role of channels. For a 1x1 kernel it
    is a matrix multiplication.
    """
    if not x.size or not dy.size:
        return jnp.zeros(shape, dy.dtype)
    border, used = [], []  # `used`: the rows and columns of x inside a window; the last window may end before them
    for n, out, k, s, (low, _) in zip(x.shape[1:3], dy.shape[1:3], shape, stride, padding, strict=False):
        high = (out - 1) * s + k - n - low
        border.append((low, max(high, 0)))
        used.append(slice(0, n + min(high, 0)))
    x = x[:, used[0], used[1]]

    if shape[:2] == (1, 1):
        x = jnp.pad(x, ((0, 0), *border, (0, 0)))[:, :: stride[0], :: stride[1]]
        return jnp.einsum("bhwc,bhwf->cf", x, dy)[None, None]

    # A few examples at a time keep their dy (up to 1 MiB in float32) in the CPU's cache: 2 to 4 times faster.
    size = max(1, min(16, len(x), 2**18 // math.prod(dy.shape[1:])))
    x, dy = (jnp.pad(a, ((0, -len(a) % size), (0, 0), (0, 0), (0, 0))) for a in (x, dy))
    x, dy = (a.reshape(-1, size, *a.shape[1:]) for a in (x, dy))  # (parts, b, H, W, C)

    def add_part(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        return total + plain_convolution(*part, (1, 1), border, kernel_dilation=stride), None

    # total: (C, kh, kw, F) in float32, because a sum in half precision would lose the later parts of a large batch.
    total = jnp.zeros((shape[2], *shape[:2], shape[3]), jnp.promote_types(dy.dtype, jnp.float32))
    parts = (x.transpose(0, 4, 2, 3, 1), dy.transpose(0, 2, 3, 1, 4))  # images (C, H, W, b), kernels (H', W', b, F)
    return lax.scan(add_part, total, parts)[0].transpose(1, 2, 0, 3).astype(dy.dtype)


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
        if jax.default_backend() != "cpu":
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
    norm = nn.BatchNorm(average, momentum=0.9, epsilon=1e-5, use_bias=use_bias, scale_init=scale_init, name=name)
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
