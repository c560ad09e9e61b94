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


def color(key: Array, x: Array, labels: Array, strength: float) -> tuple[Array, Array]:
    """Distorts brightness, contrast, saturation (each by up to 0.8 · strength) and hue (0.2 · strength of the circle),
    in this order, in 80 % of the images."""
    apply_key, *keys = jax.random.split(key, 5)
    shape = (len(x), 1, 1, 1)

    def factor(key: Array) -> Array:
        return jax.random.uniform(key, shape, x.dtype, max(0.0, 1 - 0.8 * strength), 1 + 0.8 * strength)

    reach = min(0.2 * strength, 0.5)
    y = brightness(x, factor(keys[0]))
    y = contrast(y, factor(keys[1]))
    y = saturation(y, factor(keys[2]))
    y = hue(y, jax.random.uniform(keys[3], shape, x.dtype, -reach, reach))
    return jnp.where(jax.random.bernoulli(apply_key, APPLIED, shape), y, x), labels


def grey(key: Array, x: Array, labels: Array, share: float) -> tuple[Array, Array]:
    """Takes the colours, each image with probability `share`: three equal channels."""
    return jnp.where(jax.random.bernoulli(key, share, (len(x), 1, 1, 1)), luminance(x), x), labels


def blur(key: Array, x: Array, labels: Array, share: float) -> tuple[Array, Array]:
    """Gaussian blur, each image with probability `share`; deviation 0.1 to 2 pixels, drawn evenly.

    The kernel is 10 % of the side, an odd number of pixels and at least 3. Images of any number of channels.
    """
    apply_key, sigma_key = jax.random.split(key)
    sigma = jax.random.uniform(sigma_key, (len(x), 1, 1, 1), jnp.float32, *SIGMA)
    blurred = smooth(smooth(x, sigma, axis=1), sigma, axis=2)
    return jnp.where(jax.random.bernoulli(apply_key, share, (len(x), 1, 1, 1)), blurred, x), labels


def brightness(x: Array, factor: Array) -> Array:
    """x (B, H, W, 3) times factor (B, 1, 1, 1)."""
    return jnp.clip(x * factor, 0, 1)


def contrast(x: Array, factor: Array) -> Array:
    """What sets each pixel apart from the mean luminance of its image, times factor (B, 1, 1, 1)."""
    mean = luminance(x).mean((1, 2), keepdims=True)
    return jnp.clip(mean + factor * (x - mean), 0, 1)


def saturation(x: Array, factor: Array) -> Array:
    """What sets each channel apart from the luminance of its pixel, times factor (B, 1, 1, 1)."""
    own = luminance(x)
    return jnp.clip(own + factor * (x - own), 0, 1)


def hue(x: Array, by: Array) -> Array:
    """Turns the hue of HSV by `by` (B, 1, 1, 1), in circles; value and saturation stay (Smith 1978)."""
    red, green, blue = (x[..., i] for i in range(3))
    value = x.max(-1)
    chroma = value - x.min(-1)
    safe = jnp.where(chroma > 0, chroma, 1)
    sixths = jnp.where(  # where on the circle, in sixths from red
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sixths += 6 * by[..., 0]

    def channel(start: int) -> Array:
        place = (start + sixths) % 6
        return value - chroma * jnp.clip(jnp.minimum(place, 4 - place), 0, 1)

    return jnp.stack([channel(5), channel(3), channel(1)], axis=-1).astype(x.dtype)


def luminance(x: Array) -> Array:
    """x (B, H, W, 3) -> (B, H, W, 1)."""
    return jnp.sum(x * jnp.array(LUMINANCE, x.dtype).reshape(1, 1, 1, 3), axis=-1, keepdims=True)


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
    return sum(
        (weight / total).astype(x.dtype) * jax.lax.slice_in_dim(padded, radius + offset, radius + offset + size, axis=axis)
        for offset, weight in zip(offsets, weights, strict=True)
    )
