"""Augmentation that moves an image and what is marked in it together, inside the compiled training step.

Every move is axis-aligned: along each axis a pixel i of the new image shows the place scale * i + start of the old one,
in pixels, where the first pixel reaches from 0 to 1. Several moves are joined into one, so an image is resampled once.
Masks take the class of the nearest pixel. Each example has its own randomness.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from train.data.images.augment import Operation

MOVES = ("shift", "pad_crop", "flip", "crop", "resized_crop")
"""The operations of `data.augment` that move what is in an image."""


class Move(NamedTuple):
    """Where each pixel of the new images comes from. Axis 0 is down, axis 1 to the right."""

    scale: Array  # (B, 2) pixels of the old image for one of the new; below 0: mirrored
    start: Array  # (B, 2) where the new image begins in the old one
    size: tuple[int, int]  # of the new images


def draw(operations: Sequence[Operation], key: Array, count: int, size: tuple[int, int]) -> Move:
    """Draw the moves of `count` images of `size` and join them. The i-th operation uses fold_in(key, i)."""
    move = Move(jnp.ones((count, 2)), jnp.zeros((count, 2)), size)
    for position, (name, strength) in enumerate(operations):
        if name in MOVES:
            move = _joined(move, _one(name, strength, jax.random.fold_in(key, position), count, move.size))
    return move


def _joined(first: Move, then: Move) -> Move:
    """Return the move that does `first`, and with its result `then`."""
    return Move(first.scale * then.scale, first.scale * then.start + first.start, then.size)


def _one(name: str, strength: float, key: Array, count: int, size: tuple[int, int]) -> Move:
    """Draw one operation; see `data.augment`, and for the boxes of resized_crop `train.data.images.augment`."""
    sides, ones = jnp.array(size, jnp.float32), jnp.ones((count, 2))
    if name == "flip":
        flipped = jax.random.bernoulli(key, shape=(count, 1)) & jnp.array([[False, True]])
        return Move(jnp.where(flipped, -1.0, 1.0), jnp.where(flipped, sides[None], 0.0), size)
    if name in ("shift", "pad_crop"):
        pixels = int(strength)
        start = jax.random.randint(key, (count, 2), -pixels, pixels + 1).astype(jnp.float32)
        return Move(ones, start, size)
    side = int(strength)
    if name == "crop":
        free = jnp.array(size) - side + 1
        start = jax.random.randint(key, (count, 2), 0, free[None]).astype(jnp.float32)
        return Move(ones, start, (side, side))
    area_key, ratio_key, place_key = jax.random.split(key, 3)
    area = jax.random.uniform(area_key, (count,), minval=0.08) * sides[0] * sides[1]
    ratio = jnp.exp(jax.random.uniform(ratio_key, (count,), minval=-1, maxval=1) * jnp.log(4 / 3))
    box = jnp.minimum(jnp.stack([jnp.sqrt(area / ratio), jnp.sqrt(area * ratio)], axis=1), sides[None])
    start = jax.random.uniform(place_key, box.shape) * (sides[None] - box)
    return Move(box / side, start, (side, side))


def images(move: Move, x: Array) -> Array:
    """Return the moved images, x float (B, H, W, C) -> (B, H', W', C): linear, antialiased, black outside.

    Along one axis it is a product with a matrix: gathers are slow on a CPU. A move by whole pixels is exact.
    """
    rows, columns = (_weights(move, axis, x.shape[1 + axis]).astype(x.dtype) for axis in (0, 1))
    x = jnp.einsum("bij,bjwc->biwc", rows, x, precision="highest")
    return jnp.einsum("bij,bhjc->bhic", columns, x, precision="highest")


def _weights(move: Move, axis: int, old: int) -> Array:
    """Return how much of each old pixel is in each new one, (B, new, old). Rows outside of the image are 0."""
    new = move.size[axis]
    scale, start = move.scale[:, axis, None, None], move.start[:, axis, None, None]
    place = scale * (jnp.arange(new)[None, :, None] + 0.5) + start  # in the old image
    width = jnp.maximum(jnp.abs(scale), 1.0)
    weight = jnp.maximum(0, 1 - jnp.abs(place - (jnp.arange(old)[None, None, :] + 0.5)) / width)
    total = weight.sum(-1, keepdims=True)
    inside = (place >= 0) & (place <= old)
    return jnp.where(inside & (total > 0), weight / jnp.where(total > 0, total, 1), 0)


def masks(move: Move, y: Array, fill: int) -> Array:
    """Return the moved masks, y integer (B, H, W) -> (B, H', W'), `fill` outside."""
    for axis in (0, 1):
        old = y.shape[1 + axis]
        place = move.scale[:, axis, None] * (jnp.arange(move.size[axis])[None] + 0.5) + move.start[:, axis, None]
        nearest = jnp.floor(place).astype(jnp.int32)
        inside = (nearest >= 0) & (nearest < old)
        index = jnp.clip(nearest, 0, old - 1)
        shape = (len(y), -1, 1) if axis == 0 else (len(y), 1, -1)
        y = jnp.take_along_axis(y, index.reshape(shape), axis=1 + axis)
        y = jnp.where(inside.reshape(shape), y, jnp.asarray(fill, y.dtype))
    return y
