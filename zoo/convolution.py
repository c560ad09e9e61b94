"""Convolution of images (B, H, W, C) as a function, in the forms that are fast on XLA:CPU, forward and backward.

Every form computes the same sums of products in another order. `zoo.measure` counts the operations of the plain form,
whichever of them a machine runs.
"""

import contextlib
import contextvars
import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

Pair = int | Sequence[int]
Padding = str | int | Sequence[Sequence[int]]
Border = Sequence[tuple[int, int]]  # ((top, bottom), (left, right)) pixels of padding


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


STRIP = 4  # pixels; measured: faster than 2 and 8

_PLAIN = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_forms() -> Iterator[None]:
    """Trace convolutions in their plain form, which multiplies nothing that the definition does not."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def is_tuned() -> bool:
    """Return whether convolutions take the form that is fastest on a CPU. Other devices get XLA's own."""
    return jax.default_backend() == "cpu" and not _PLAIN.get()


def convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Compute `plain_convolution` in the way that is fastest on XLA:CPU, forward and backward.

    If an image has fewer pixels than the window, XLA:CPU swaps the two, which makes it ten times slower. If it has one
    channel, XLA:CPU takes longer to collect the windows than to multiply them; then it is faster to multiply by zeros
    too. (With three channels no network became faster.)
    """
    sizes = zip(x.shape[1:3], padding, kernel.shape, stride, strict=False)
    out = [(n + sum(border) - k) // s + 1 for n, border, k, s in sizes]
    if min(math.prod(x.shape[1:3]), math.prod(out)) < math.prod(kernel.shape[:2]):
        return matmul_convolution(x, kernel, stride, padding)
    if kernel.shape[2] == 1 and tuple(stride) == (1, 1):
        return strip_convolution(x, kernel, padding, STRIP)
    return canonical_convolution(x, kernel, stride, padding)


def matmul_convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Compute a convolution as one matrix multiplication: the windows of x, one per row, times the kernel (im2col)."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    spans = [(n - k) // s * s + 1 for n, k, s in zip(x.shape[1:3], kernel.shape, stride, strict=False)]
    offsets = itertools.product(*map(range, kernel.shape[:2]))
    windows = [x[:, i : i + spans[0] : stride[0], j : j + spans[1] : stride[1]] for i, j in offsets]
    return _times(jnp.concatenate(windows, -1), kernel.reshape(-1, kernel.shape[-1]))


def _times(rows: Array, matrix: Array) -> Array:
    """Multiply rows (..., D) by a matrix (D, F), as one multiplication of two matrices: see `layers.single_matmul`."""
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    return (flat @ matrix).reshape(*rows.shape[:-1], matrix.shape[1])


def strip_convolution(x: Array, kernel: Array, padding: Border, columns: int) -> Array:
    """Compute a convolution of stride 1 as one matrix multiplication, each row of which makes a strip of the output.

    A strip is `columns` neighbouring pixels. Its window is wider by columns - 1 than the kernel, so the matrix has the
    kernel once for each pixel, shifted, with zeros beside it.
    """
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = x.shape[1] - kernel.shape[0] + 1, x.shape[2] - kernel.shape[1] + 1
    strips = -(-width // columns)
    window = kernel.shape[1] + columns - 1
    x = jnp.pad(x, ((0, 0), (0, 0), (0, (strips - 1) * columns + window - x.shape[2]), (0, 0)))
    last = (strips - 1) * columns + 1
    offsets = itertools.product(range(kernel.shape[0]), range(window))
    windows = [x[:, i : i + height, j : j + last : columns] for i, j in offsets]  # each (B, H', strips, C)
    matrix = shift_kernel(kernel, columns).reshape(len(windows) * x.shape[3], columns * kernel.shape[3])
    y = _times(jnp.concatenate(windows, -1), matrix)
    return y.reshape(x.shape[0], height, strips * columns, kernel.shape[3])[:, :, :width]


def shift_kernel(kernel: Array, columns: int) -> Array:
    """Repeat a kernel (kh, kw, C, F), shifted by 0 to columns - 1 pixels -> (kh, kw + columns - 1, C, columns, F)."""
    shifts = [((0, 0), (i, columns - 1 - i), (0, 0), (0, 0)) for i in range(columns)]
    return jnp.stack([jnp.pad(kernel, shift) for shift in shifts], 3)


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
