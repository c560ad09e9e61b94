"""Augmentation on the device, inside the compiled training step, each example with its own randomness.

Images are float (B, H, W, C) in 0..1, before normalization, so that the fill of 0 is black. Labels are
probabilities (B, classes). Two operations change the size, `crop` and `resized_crop`; where those are used,
evaluation sees the centre of the image in the same size. Those of colours are in `train.data.color`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from train.config import AUGMENTATIONS
from train.data.images import color
from zoo.errors import UserError, unknown


class Operation(NamedTuple):
    """One augmentation by its name in AUGMENTATIONS; strength in pixels, as alpha or as a share, 0 for flip, which has
    none."""

    name: str
    strength: float


CROPS = ("crop", "resized_crop")
"""Operations after which images are squares of side `strength`."""
COLORS = ("color", "grey")
"""Operations that need red, green and blue."""
MIXES = ("mixup", "cutmix")
"""Operations that mix an image with another, and their labels."""
SHARES = ("grey", "blur")
"""Operations whose strength is the share of images they change."""


def parse(names: tuple[str, ...], image_shape: tuple[int, int, int] | None = None) -> tuple[Operation, ...]:
    """("shift_2", "flip") -> operations for `augment`, in that order.

    image_shape: (H, W, C), to refuse pixels that exceed the image; None skips that when data is not read yet.
    Raises UserError for an unknown name, a strength that is missing, malformed or not positive, colours of an image
    that has none.
    """
    operations = []
    for name in names:
        operations.append(_parse_one(name, image_shape))
        image_shape = image_shape and output_shape(operations[-1:], image_shape)
    return tuple(operations)


def _parse_one(text: str, image_shape: tuple[int, int, int] | None) -> Operation:
    name, _, strength = (text, "", "") if text in AUGMENTATIONS else text.rpartition("_")
    if name not in AUGMENTATIONS:
        raise unknown("data.augment", text, AUGMENTATIONS)
    if name == "flip":
        if strength:
            raise UserError(f"data.augment {text!r}: flip takes no strength, write 'flip'")
        return Operation(name, 0)
    number, kind = int, "a whole number of pixels above 0"
    if name in (*MIXES, "color", *SHARES):
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
    """(H, W, C) of the images that leave `augment` and `for_evaluation`, from that of those that enter."""
    for name, strength in operations:
        if name in CROPS:
            image_shape = (int(strength), int(strength), image_shape[2])
    return image_shape


def for_evaluation(operations: Sequence[Operation], x: Array) -> Array:
    """x (B, H, W, C) of any dtype, its centre taken wherever training crops; all other operations are left out."""
    height, width, _ = output_shape(operations, x.shape[1:])
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def augment(operations: tuple[Operation, ...], key: Array, x: Array, labels: Array) -> tuple[Array, Array]:
    """Applies the operations in order; dtypes stay, and shapes but for crops. The i-th draws from fold_in(key, i)."""
    for position, (name, strength) in enumerate(operations):
        x, labels = _FUNCTIONS[name](jax.random.fold_in(key, position), x, labels, strength)
    return x, labels


def _shift(key: Array, x: Array, labels: Array, pixels: int) -> tuple[Array, Array]:
    """Moves each image by -pixels..pixels on either axis, black coming in: pad by `pixels`, crop at random."""
    by = jax.random.randint(key, (2, len(x)), -pixels, pixels + 1)

    # Gathers are slow on CPU. A product with one-hot rows is fast everywhere, and exact at full precision: each
    # output is one pixel times one, or black where the source lies outside and its row is all zeros.
    def sources(size: int, by: Array) -> Array:
        return jax.nn.one_hot(jnp.arange(size)[None, :] - by[:, None], size, dtype=x.dtype)

    rows, columns = sources(x.shape[1], by[0]), sources(x.shape[2], by[1])
    x = jnp.einsum("bij,bjwc->biwc", rows, x, precision="highest")
    return jnp.einsum("bij,bhjc->bhic", columns, x, precision="highest"), labels


def _crop(key: Array, x: Array, labels: Array, side: int) -> tuple[Array, Array]:
    """A square of `side` pixels from anywhere in the image. Krizhevsky et al. 2012, section 4.1."""
    free = jnp.array(x.shape[1:3])[:, None] - side + 1
    top, left = jax.random.randint(key, (2, len(x)), 0, free)

    def cut(x: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(x, (top, left, 0), (side, side, x.shape[2]))

    return jax.vmap(cut)(x, top, left), labels


def _resized_crop(key: Array, x: Array, labels: Array, side: int) -> tuple[Array, Array]:
    """A box of 8 to 100 % of the area, width to height from 3:4 to 4:3, resized (bilinear, antialiased) to a square.

    Szegedy et al. 2014, arXiv 1409.4842, section 6. Area is drawn evenly, the ratio evenly in its logarithm; a box
    that is too long for the image is cut to it rather than drawn again.
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
    """Mirrors left and right, each image with probability one half."""
    flipped = jax.random.bernoulli(key, shape=(len(x), 1, 1, 1))
    return jnp.where(flipped, x[:, :, ::-1], x), labels


def _box(centre: Array, height: Array | int, width: Array | int, shape: tuple[int, ...]) -> Array:
    """(B, H, W, 1) bool: inside boxes around centre (2, B), of height and width () or (B,), cut off at the edges."""

    def within(size: int, middle: Array, length: Array | int) -> Array:
        start = (middle - length // 2)[:, None]
        place = jnp.arange(size)[None, :]
        return (place >= start) & (place < start + jnp.reshape(length, (-1, 1)))

    rows, columns = within(shape[1], centre[0], height), within(shape[2], centre[1], width)
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _centre(key: Array, shape: tuple[int, ...]) -> Array:
    """(2, B) int32: a pixel of each image, drawn evenly."""
    sides = jnp.array(shape[1:3])[:, None]
    return jax.random.randint(key, (2, shape[0]), 0, sides)


def _cutout(key: Array, x: Array, labels: Array, pixels: int) -> tuple[Array, Array]:
    """Blackens a square of side `pixels` around a random pixel, so part of it may fall outside.

    DeVries and Taylor 2017, arXiv 1708.04552, section 3.2.
    """
    return jnp.where(_box(_centre(key, x.shape), pixels, pixels, x.shape), 0, x), labels


def _partner(a: Array) -> Array:
    """Each example's neighbour in the batch, which is as good as a random one since batches come shuffled."""
    return jnp.roll(a, 1, axis=0)


def _mixup(key: Array, x: Array, labels: Array, alpha: float) -> tuple[Array, Array]:
    """Images and labels become λ · own + (1 - λ) · partner's, λ ~ Beta(alpha, alpha) for each example.

    Zhang et al. 2017, arXiv 1710.09412, section 2.
    """
    share = jax.random.beta(key, alpha, alpha, (len(x),))

    def mix(a: Array) -> Array:
        own = share.reshape(-1, *(1,) * (a.ndim - 1)).astype(a.dtype)
        return own * a + (1 - own) * _partner(a)

    return mix(x), mix(labels)


def _cutmix(key: Array, x: Array, labels: Array, alpha: float) -> tuple[Array, Array]:
    """Pastes a box of the partner's image, of area (1 - λ) before the edges cut it off, λ ~ Beta(alpha, alpha).

    Labels mix as the pixels finally do. Yun et al. 2019, arXiv 1905.04899, section 3.1.
    """
    share_key, centre_key = jax.random.split(key)
    side = jnp.sqrt(1 - jax.random.beta(share_key, alpha, alpha, (len(x),)))
    height, width = ((side * size).astype(jnp.int32) for size in x.shape[1:3])
    pasted = _box(_centre(centre_key, x.shape), height, width, x.shape)
    own = (1 - jnp.mean(pasted, axis=(1, 2))).astype(labels.dtype)
    return jnp.where(pasted, _partner(x), x), own * labels + (1 - own) * _partner(labels)


_FUNCTIONS: dict[str, Callable[[Array, Array, Array, float], tuple[Array, Array]]] = {
    "shift": _shift,
    "pad_crop": _shift,  # the same under the name it has in papers on CIFAR-10
    "crop": _crop,
    "resized_crop": _resized_crop,
    "flip": _flip,
    "cutout": _cutout,
    "mixup": _mixup,
    "cutmix": _cutmix,
    "color": color.color,
    "grey": color.grey,
    "blur": color.blur,
}
