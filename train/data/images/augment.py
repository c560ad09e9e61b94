"""Augmentation on the device, inside the compiled training step. Each example has its own randomness.

Images are float (B, H, W, C) in [0, 1] and not yet normalized, so that 0 is black. Labels are probabilities
(B, classes). The operations `crop` and `resized_crop` change the size; evaluation then takes the center crop of the
same size. The operations on colors are in `train.data.images.color`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.config.augmentations import OWN_AUGMENTATIONS, augmentation_names
from train.config.ways import resolve
from train.data.images import color
from zoo.errors import UserError, unknown

Pixels = TypeVar("Pixels", Array, np.ndarray)


class Operation(NamedTuple):
    """One augmentation by its name. The strength is in pixels, an alpha or a share; flip has none, which is 0."""

    name: str
    strength: float


CROPS = ("crop", "resized_crop")
"""Operations that make images squares of side `strength`."""
COLORS = ("color", "grey")
"""Operations that need red, green and blue."""
MIXES = ("mixup", "cutmix")
"""Operations that mix an image with another, and their labels."""
SHARES = ("grey", "blur")
"""Operations whose strength is the share of images that they change."""


def parse(names: tuple[str, ...], image_shape: tuple[int, int, int] | None = None) -> tuple[Operation, ...]:
    """Parse names such as ("shift_2", "flip") to the operations of `augment`, in the same order.

    image_shape: (H, W, C), to reject strengths in pixels that exceed the image; None before the data is read.
    Raises UserError for an unknown name, a strength that is missing, malformed or not positive, and for an operation on
    colors of images that are not RGB.
    """
    operations = []
    for name in names:
        operations.append(_parse_one(name, image_shape))
        image_shape = image_shape and output_shape(operations[-1:], image_shape)
    return tuple(operations)


def _parse_one(text: str, image_shape: tuple[int, int, int] | None) -> Operation:
    known = augmentation_names()
    name, _, strength = (text, "", "") if text in known else text.rpartition("_")
    if name not in known:
        raise unknown("data.augment", text, known)
    if name in OWN_AUGMENTATIONS and not strength:
        return Operation(name, 1.0)
    if name == "flip":
        if strength:
            raise UserError(f"data.augment {text!r}: flip takes no strength, write 'flip'")
        return Operation(name, 0)
    number, kind = int, "a whole number of pixels above 0"
    if name in (*MIXES, "color", *SHARES, *OWN_AUGMENTATIONS):
        number, kind = float, "an alpha above 0" if name in MIXES else "a strength above 0"
    if name in SHARES:
        kind = "a share above 0 and at most 1"
    try:
        value = number(strength)
    except ValueError:
        value = 0
    if not 0 < value < float("inf") or (name in SHARES and value > 1):
        raise UserError(f"data.augment {text!r}: {name} needs {kind}, such as '{name}_1'")
    if name in COLORS and image_shape and image_shape[2] != 3:
        raise UserError(f"data.augment {text!r}: {name} needs images of 3 channels, and these have {image_shape[2]}")
    if number is int and image_shape:
        side, whole = min(image_shape[:2]), name in CROPS
        if value > side or (value == side and not whole):
            limit = "at most" if whole else "smaller than"
            raise UserError(f"data.augment {text!r}: must be {limit} the image, {image_shape[0]}×{image_shape[1]}")
    return Operation(name, value)


def output_shape(operations: Sequence[Operation], image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape (H, W, C) of the images after `augment` and `for_evaluation`. image_shape: before them."""
    for name, strength in operations:
        if name in CROPS:
            image_shape = (int(strength), int(strength), image_shape[2])
    return image_shape


def for_evaluation(operations: Sequence[Operation], x: Pixels) -> Pixels:
    """Return x (B, H, W, C) as evaluation uses it: a center crop if training crops, without any other operation."""
    height, width, _ = output_shape(operations, (x.shape[1], x.shape[2], x.shape[3]))
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def augment(
    operations: tuple[Operation, ...], key: Array, x: Array, labels: Array, mean: Array | np.ndarray | float = 0.0
) -> tuple[Array, Array]:
    """Apply the operations in order. The i-th one uses fold_in(key, i). Only crops change the shape of the images.

    mean: what is subtracted from the images afterwards, () or of a shape like (C,); `cutout` fills with it.
    """
    for position, (name, strength) in enumerate(operations):
        if name == "cutout":
            x = _cutout(jax.random.fold_in(key, position), x, int(strength), mean)
            continue
        function = resolve(OWN_AUGMENTATIONS[name]) if name in OWN_AUGMENTATIONS else _FUNCTIONS[name]
        x, labels = function(jax.random.fold_in(key, position), x, labels, strength)
    return x, labels


def _shift(key: Array, x: Array, labels: Array, pixels: int) -> tuple[Array, Array]:
    """Shift each image by -pixels to pixels on both axes, filled with black (pad by `pixels` and crop at random)."""
    offsets = jax.random.randint(key, (2, len(x)), -pixels, pixels + 1)

    # Gathers are slow on CPU. A multiplication with one-hot rows is fast everywhere, and exact at full precision: each
    # output is one pixel times 1, or black where the source is outside of the image and its row has only zeros.
    def one_hot_sources(size: int, offset: Array) -> Array:
        return jax.nn.one_hot(jnp.arange(size)[None, :] - offset[:, None], size, dtype=x.dtype)

    rows, columns = one_hot_sources(x.shape[1], offsets[0]), one_hot_sources(x.shape[2], offsets[1])
    x = jnp.einsum("bij,bjwc->biwc", rows, x, precision="highest")
    return jnp.einsum("bij,bhjc->bhic", columns, x, precision="highest"), labels


def _crop(key: Array, x: Array, labels: Array, side: int) -> tuple[Array, Array]:
    """Crop a square of `side` pixels at a random position. Krizhevsky et al. 2012, section 4.1."""
    free = jnp.array(x.shape[1:3])[:, None] - side + 1
    top, left = jax.random.randint(key, (2, len(x)), 0, free)

    def cut(x: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(x, (top, left, 0), (side, side, x.shape[2]))

    return jax.vmap(cut)(x, top, left), labels


def _resized_crop(key: Array, x: Array, labels: Array, side: int) -> tuple[Array, Array]:
    """Crop a box of 8 to 100 % of the area and an aspect ratio of 3:4 to 4:3, and resize it to a square (antialiased).

    Szegedy et al. 2014, arXiv 1409.4842, section 6. The area is sampled uniformly, the ratio log-uniformly. A box that
    exceeds the image is cut off at its edges and not sampled again.
    """
    area_key, ratio_key, place_key = jax.random.split(key, 3)
    height, width, channels = x.shape[1:]
    area = jax.random.uniform(area_key, (len(x),), minval=0.08) * height * width
    ratio = jnp.exp(jax.random.uniform(ratio_key, (len(x),), minval=-1, maxval=1) * jnp.log(4 / 3))
    box = jnp.stack([jnp.minimum(jnp.sqrt(area / ratio), height), jnp.minimum(jnp.sqrt(area * ratio), width)])  # (2, B)
    corner = jax.random.uniform(place_key, box.shape) * (jnp.array([[height], [width]]) - box)

    def resample(x: Array, box: Array, corner: Array) -> Array:
        scale = side / box
        return jax.image.scale_and_translate(x, (side, side, channels), (0, 1), scale, -corner * scale, "linear")

    return jax.vmap(resample, (0, 1, 1))(x, box, corner).astype(x.dtype), labels


def _flip(key: Array, x: Array, labels: Array, _: float) -> tuple[Array, Array]:
    """Flip each image horizontally with probability 0.5."""
    flipped = jax.random.bernoulli(key, shape=(len(x), 1, 1, 1))
    return jnp.where(flipped, x[:, :, ::-1], x), labels


def _box(center: Array, height: Array | int, width: Array | int, shape: tuple[int, ...]) -> Array:
    """Return a mask (B, H, W, 1) of boxes around center (2, B), cut off at the edges. Sizes are () or (B,)."""

    def within(size: int, middle: Array, length: Array | int) -> Array:
        start = (middle - length // 2)[:, None]
        position = jnp.arange(size)[None, :]
        return (position >= start) & (position < start + jnp.reshape(length, (-1, 1)))

    rows, columns = within(shape[1], center[0], height), within(shape[2], center[1], width)
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _center(key: Array, shape: tuple[int, ...]) -> Array:
    """Sample a pixel of each image uniformly: (2, B) int32."""
    sides = jnp.array(shape[1:3])[:, None]
    return jax.random.randint(key, (2, shape[0]), 0, sides)


def _cutout(key: Array, x: Array, pixels: int, mean: Array | np.ndarray | float) -> Array:
    """Set a square of side `pixels` around a random pixel to `mean`. Part of it may be outside of the image.

    DeVries and Taylor 2017, arXiv 1708.04552, section 3.2: the square is 0 in the images that the network sees, which
    are normalized, so that it does not change their mean.
    """
    return jnp.where(_box(_center(key, x.shape), pixels, pixels, x.shape), jnp.asarray(mean, x.dtype), x)


def _partner(a: Array) -> Array:
    """Pair each example with its neighbor in the batch. The pairs are random, because batches are shuffled."""
    return jnp.roll(a, 1, axis=0)


def _mixup(key: Array, x: Array, labels: Array, alpha: float) -> tuple[Array, Array]:
    """Mix images and labels with those of a partner: λ · own + (1 - λ) · partner, λ ~ Beta(alpha, alpha) per example.

    Zhang et al. 2017, arXiv 1710.09412, section 2.
    """
    lambdas = jax.random.beta(key, alpha, alpha, (len(x),))

    def mix(a: Array) -> Array:
        lam = lambdas.reshape(-1, *(1,) * (a.ndim - 1)).astype(a.dtype)
        return lam * a + (1 - lam) * _partner(a)

    return mix(x), mix(labels)


def _cutmix(key: Array, x: Array, labels: Array, alpha: float) -> tuple[Array, Array]:
    """Paste a box of the partner's image; its share of the area is 1 - λ before it is cut off at the edges.

    λ ~ Beta(alpha, alpha). The labels are mixed by the final share of pixels. Yun et al. 2019, arXiv 1905.04899,
    section 3.1.
    """
    lambda_key, center_key = jax.random.split(key)
    side = jnp.sqrt(1 - jax.random.beta(lambda_key, alpha, alpha, (len(x),)))
    height, width = ((side * size).astype(jnp.int32) for size in x.shape[1:3])
    pasted = _box(_center(center_key, x.shape), height, width, x.shape)
    own = (1 - jnp.mean(pasted, axis=(1, 2))).astype(labels.dtype)
    return jnp.where(pasted, _partner(x), x), own * labels + (1 - own) * _partner(labels)


# The last argument is the strength, which `parse` made an int for operations in pixels.
_FUNCTIONS: dict[str, Callable[[Array, Array, Array, Any], tuple[Array, Array]]] = {
    "shift": _shift,
    "pad_crop": _shift,  # the same operation by its name in papers on CIFAR-10
    "crop": _crop,
    "resized_crop": _resized_crop,
    "flip": _flip,
    "mixup": _mixup,
    "cutmix": _cutmix,
    "color": color.color,
    "grey": color.grey,
    "blur": color.blur,
}
