"""Transposed convolution, with which generators enlarge images, in a form that is fast on a CPU.

Images are (B, H, W, C).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array

from zoo.convolution import Border, Padding, Pair, convolution, is_tuned, pads, pair, plain_convolution


class ConvTranspose(nn.Module):
    """x (B, H, W, C) -> (B, H', W', features), parameters `kernel` (kh, kw, C, features), `bias`.

    Stride and padding (at most kernel - stride on each side) are those of the convolution it inverts, as in PyTorch:
    H' = (H - 1) * stride + kernel - padding of both sides; with "SAME", H' = H * stride. The kernel is not flipped, as
    in `nn.ConvTranspose`; PyTorch's kernel is this one rotated by 180 degrees. The output has the promoted dtype of x
    and the parameters.
    """

    features: int
    kernel: Pair
    stride: Pair = 1
    padding: Padding = "SAME"
    bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    bias_init: Callable = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        window, stride = pair(self.kernel), pair(self.stride)
        kernel = self.param("kernel", self.kernel_init, (*window, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32) if self.bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias)
        larger = (x.shape[1] * stride[0], x.shape[2] * stride[1])
        padding = pads(self.padding, larger, window, stride)
        if is_tuned():
            y = transposed_convolution(x, kernel, stride, padding)
        else:
            border = [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, padding, strict=True)]
            y = plain_convolution(x, kernel, (1, 1), border, input_dilation=stride)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def transposed_convolution(x: Array, kernel: Array, stride: Sequence[int], padding: Border) -> Array:
    """Convolve x (B, H, W, C), with stride - 1 zeros between its pixels, with the kernel (kh, kw, C, F).

    The zeros are never stored: each phase of the output (its rows and columns modulo the stride) is one small
    convolution of x with every stride-th row and column of the kernel.
    """
    axes = [_Axis(*axis) for axis in zip(x.shape[1:3], kernel.shape[:2], stride, padding, strict=True)]
    rows, columns = (axis.phases() for axis in axes)
    parts = [[convolution(x, kernel[r, c], (1, 1), (top, left)) for c, left in columns] for r, top in rows]
    y = jnp.stack([jnp.stack(part, axis=3) for part in parts], axis=2)  # (B, H'/s, s, W'/s, s, F), rounded up
    y = y.reshape(x.shape[0], y.shape[1] * stride[0], y.shape[3] * stride[1], y.shape[5])
    return y[:, : axes[0].size, : axes[1].size]


class _Axis(NamedTuple):
    """One axis of a transposed convolution: n pixels, k kernel rows, and the stride and padding that it inverts."""

    n: int
    k: int
    stride: int
    padding: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of output pixels."""
        return (self.n - 1) * self.stride + self.k - sum(self.padding)

    def phases(self) -> list[tuple[slice, tuple[int, int]]]:
        """Return, for each phase, the part of the kernel that meets pixels (not zeros) and the padding that x needs."""
        found = []
        for phase in range(self.stride):
            before, first = divmod(self.k - 1 - self.padding[0] - phase, self.stride)
            taps = len(range(first, self.k, self.stride))
            after = -(-self.size // self.stride) + taps - 1 - self.n - before
            found.append((slice(first, None, self.stride), (before, after)))
        return found
