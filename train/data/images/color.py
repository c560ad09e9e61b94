"""The augmentations of SimCLR that change colors and sharpness (Chen et al. 2020, arXiv 2002.05709, appendix A).

Images are float (B, H, W, 3) and stay in [0, 1]. Whether an image is changed is sampled for each image. As in later
reproductions, this differs from the listing in the paper:
- The brightness is multiplied, and the contrast is changed around the mean luminance, as in Pillow and torchvision.
- Values are clipped to [0, 1] after each of the four changes. Their order is that of the listing for every image.
- The blur reflects the image at its edges, where the paper pads with black.
"""

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from jax import Array

APPLIED = 0.8  # share of images whose colors are distorted
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601), as in Pillow
SIGMA = (0.1, 2.0)  # of the blur, in pixels

Planes = tuple[Array, Array, Array]
"""Red, green and blue of images, each (B, H, W). A CPU is more than twice as fast on these as on (B, H, W, 3)."""


def color(key: Array, x: Array, labels: Array, strength: float) -> tuple[Array, Array]:
    """Distort brightness, contrast, saturation and hue, in this order, in 80 % of the images.

    The first three change by up to 0.8 · strength, the hue by up to 0.2 · strength of the color circle.
    """
    apply_key, *keys = jax.random.split(key, 5)

    def factor(key: Array) -> Array:
        return jax.random.uniform(key, (len(x), 1, 1), x.dtype, max(0.0, 1 - 0.8 * strength), 1 + 0.8 * strength)

    reach = min(0.2 * strength, 0.5)
    y = brightness(planes(x), factor(keys[0]))
    y = contrast(y, factor(keys[1]))
    y = saturation(y, factor(keys[2]))
    y = hue(y, jax.random.uniform(keys[3], (len(x), 1, 1), x.dtype, -reach, reach))
    return jnp.where(_chosen(apply_key, x, APPLIED), jnp.stack(y, axis=-1).astype(x.dtype), x), labels


def grey(key: Array, x: Array, labels: Array, share: float) -> tuple[Array, Array]:
    """Convert each image to gray with probability `share`: its three channels become equal."""
    return jnp.where(_chosen(key, x, share), luminance(planes(x))[..., None].astype(x.dtype), x), labels


def blur(key: Array, x: Array, labels: Array, share: float) -> tuple[Array, Array]:
    """Blur each image with probability `share`, by a Gaussian whose deviation is uniform between 0.1 and 2 pixels.

    The kernel has 10 % of the side, an odd number of pixels and at least 3. Images may have any number of channels.
    """
    apply_key, sigma_key = jax.random.split(key)
    sigma = jax.random.uniform(sigma_key, (len(x), 1, 1, 1), jnp.float32, *SIGMA)
    blurred = smooth(smooth(x, sigma, axis=1), sigma, axis=2)
    return jnp.where(_chosen(apply_key, x, share), blurred, x), labels


def _chosen(key: Array, x: Array, share: float) -> Array:
    """Sample which images are changed: (B, 1, 1, 1) bool."""
    return jax.random.bernoulli(key, share, (len(x), 1, 1, 1))


def planes(x: Array) -> Planes:
    """Return the three channels of x (B, H, W, 3)."""
    return x[..., 0], x[..., 1], x[..., 2]


def brightness(x: Planes, factor: Array) -> Planes:
    """Multiply each pixel by factor (B, 1, 1)."""
    return _each(x, lambda plane: plane * factor)


def contrast(x: Planes, factor: Array) -> Planes:
    """Multiply the difference of each pixel from the mean luminance of its image by factor (B, 1, 1)."""
    mean = luminance(x).mean((1, 2), keepdims=True)
    return _each(x, lambda plane: mean + factor * (plane - mean))


def saturation(x: Planes, factor: Array) -> Planes:
    """Multiply the difference of each channel from the luminance of its pixel by factor (B, 1, 1)."""
    own = luminance(x)
    return _each(x, lambda plane: own + factor * (plane - own))


def hue(x: Planes, by: Array) -> Planes:
    """Rotate the hue of HSV by `by` (B, 1, 1), in turns. Value and saturation do not change (Smith 1978)."""
    red, green, blue = x
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    safe = jnp.where(chroma > 0, chroma, 1)
    sixths = jnp.where(  # the hue in sixths of the circle, starting at red
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths += 6 * by

    def channel(start: int) -> Array:
        angle = start + sixths
        angle -= 6 * jnp.floor(angle / 6)
        return value - chroma * jnp.clip(jnp.minimum(angle, 4 - angle), 0, 1)

    return _clip(channel(5)), _clip(channel(3)), _clip(channel(1))  # rounding can exceed [0, 1] slightly


def luminance(x: Planes) -> Array:
    """Return the luminance (B, H, W)."""
    total = sum(weight * plane for weight, plane in zip(LUMINANCE, x, strict=True))
    return cast(Array, total)  # the sum of nothing would be 0, and there are three planes


def _each(x: Planes, change: Callable[[Array], Array]) -> Planes:
    red, green, blue = x
    return _clip(change(red)), _clip(change(green)), _clip(change(blue))


def _clip(plane: Array) -> Array:
    return jnp.clip(plane, 0, 1)


def smooth(x: Array, sigma: Array, axis: int) -> Array:
    """Convolve x (B, H, W, C) along `axis` with a truncated Gaussian of standard deviation sigma (B, 1, 1, 1)."""
    size = x.shape[axis]
    radius = max(1, size // 20)
    offsets = range(-radius, radius + 1)
    weights = [jnp.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
    total = sum(weights)
    edges = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = jnp.pad(x, edges, mode="reflect")
    # A sum of a few shifted copies is faster than a convolution with a different kernel for each image.
    shifted = [jax.lax.slice_in_dim(padded, start, start + size, axis=axis) for start in range(2 * radius + 1)]
    smoothed = sum((weight / total).astype(x.dtype) * copy for weight, copy in zip(weights, shifted, strict=True))
    return cast(Array, smoothed)  # the sum of nothing would be 0, and there are at least three copies
