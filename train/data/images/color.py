"""The augmentations of SimCLR that change colours and sharpness (Chen et al. 2020, arXiv 2002.05709, appendix A).

Images are float (B, H, W, 3) in 0..1 and stay there; each is changed or left as it is by its own draw. Departs from
the paper's listing as later reproductions do: brightness is multiplied, contrast is changed about the mean luminance
(both as in Pillow and torchvision), values are cut to 0..1 after each of the four changes, whose order is that of the
listing for every image, and a blur goes on beyond the edge with the image mirrored, where the paper's sees black.
"""

import jax
import jax.numpy as jnp
from jax import Array

APPLIED = 0.8  # share of images whose colours are distorted
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601), as in Pillow
SIGMA = (0.1, 2.0)  # of the blur, in pixels

Planes = tuple[Array, Array, Array]
"""Red, green and blue of images, each (B, H, W): a CPU computes on these more than twice as fast as on (B, H, W, 3)."""


def color(key: Array, x: Array, labels: Array, strength: float) -> tuple[Array, Array]:
    """Distorts brightness, contrast, saturation (each by up to 0.8 · strength) and hue (0.2 · strength of the circle),
    in this order, in 80 % of the images."""
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
    """Takes the colours, each image with probability `share`: three equal channels."""
    return jnp.where(_chosen(key, x, share), luminance(planes(x))[..., None].astype(x.dtype), x), labels


def blur(key: Array, x: Array, labels: Array, share: float) -> tuple[Array, Array]:
    """Gaussian blur, each image with probability `share`; deviation 0.1 to 2 pixels, drawn evenly.

    The kernel is 10 % of the side, an odd number of pixels and at least 3. Images of any number of channels.
    """
    apply_key, sigma_key = jax.random.split(key)
    sigma = jax.random.uniform(sigma_key, (len(x), 1, 1, 1), jnp.float32, *SIGMA)
    blurred = smooth(smooth(x, sigma, axis=1), sigma, axis=2)
    return jnp.where(_chosen(apply_key, x, share), blurred, x), labels


def _chosen(key: Array, x: Array, share: float) -> Array:
    """(B, 1, 1, 1) bool: which images are changed."""
    return jax.random.bernoulli(key, share, (len(x), 1, 1, 1))


def planes(x: Array) -> Planes:
    """x (B, H, W, 3) taken apart."""
    return x[..., 0], x[..., 1], x[..., 2]


def brightness(x: Planes, factor: Array) -> Planes:
    """Each pixel times factor (B, 1, 1)."""
    return tuple(_cut(plane * factor) for plane in x)


def contrast(x: Planes, factor: Array) -> Planes:
    """What sets each pixel apart from the mean luminance of its image, times factor (B, 1, 1)."""
    mean = luminance(x).mean((1, 2), keepdims=True)
    return tuple(_cut(mean + factor * (plane - mean)) for plane in x)


def saturation(x: Planes, factor: Array) -> Planes:
    """What sets each channel apart from the luminance of its pixel, times factor (B, 1, 1)."""
    own = luminance(x)
    return tuple(_cut(own + factor * (plane - own)) for plane in x)


def hue(x: Planes, by: Array) -> Planes:
    """Turns the hue of HSV by `by` (B, 1, 1), in circles; value and saturation stay (Smith 1978)."""
    red, green, blue = x
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    safe = jnp.where(chroma > 0, chroma, 1)
    sixths = jnp.where(  # where on the circle, in sixths from red
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths += 6 * by

    def channel(start: int) -> Array:
        place = start + sixths
        place -= 6 * jnp.floor(place / 6)
        return value - chroma * jnp.clip(jnp.minimum(place, 4 - place), 0, 1)

    return tuple(_cut(channel(start)) for start in (5, 3, 1))  # rounding may leave 0..1 by a bit


def luminance(x: Planes) -> Array:
    """(B, H, W)."""
    return sum(weight * plane for weight, plane in zip(LUMINANCE, x, strict=True))


def _cut(plane: Array) -> Array:
    return jnp.clip(plane, 0, 1)


def smooth(x: Array, sigma: Array, axis: int) -> Array:
    """x (B, H, W, C) convolved along `axis` with a Gaussian of deviation sigma (B, 1, 1, 1), cut to the kernel."""
    size = x.shape[axis]
    radius = max(1, size // 20)
    offsets = range(-radius, radius + 1)
    weights = [jnp.exp(-(offset**2) / (2 * sigma**2)) for offset in offsets]
    total = sum(weights)
    edges = [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)]
    padded = jnp.pad(x, edges, mode="reflect")
    # Few shifted copies, added up in one pass, cost less than a convolution of its own for each image.
    shifted = [jax.lax.slice_in_dim(padded, start, start + size, axis=axis) for start in range(2 * radius + 1)]
    return sum((weight / total).astype(x.dtype) * copy for weight, copy in zip(weights, shifted, strict=True))
