"""From a batch to the arguments of a model: images, augmented and normalized on the device, or sentences."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.data.images.augment import augment, for_evaluation, output_shape, parse
from zoo.errors import UserError

Batch = dict[str, Array]


class Inputs(NamedTuple):
    """Three functions that make the arguments of a model."""

    example: Callable[[], Batch]  # () -> arguments for a batch of one, which initialize the model
    train: Callable[[Array, Batch, Array], tuple[Batch, Array]]
    """(key, batch, label probabilities (B, C)) -> (arguments, label probabilities), both augmented."""
    evaluate: Callable[[Batch], Batch]  # batch -> arguments


def images(
    shape: tuple[int, int, int],
    augmentations: tuple[str, ...] = (),
    mean: np.ndarray | float = 0.0,
    std: np.ndarray | float = 1.0,
) -> Inputs:
    """Inputs for batches {"x": (B, *shape), ...}.

    x is uint8 images (B, H, W, C), or float32 of any shape (B, ..., C) from a registered set. Pixels are scaled to 0..1
    and augmented in training; evaluation only crops, where training crops; float32 is taken unchanged. x is then
    normalized with `mean` and `std`, each () or (C,), or with the batch's own "mean" and "std" where it has them.
    """
    if augmentations and len(shape) != 3:
        raise UserError(f"data.augment is for images (H, W, C), not for examples of shape {shape}")
    operations = parse(augmentations, shape)
    channels = (1,) * len(shape) + (-1,)
    mean, std = (np.reshape(moment, channels).astype(np.float32) for moment in (mean, std))

    def unit(x: Array) -> Array:
        return x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x

    def train(key: Array, batch: Batch, labels: Array) -> tuple[Batch, Array]:
        subtracted = batch["mean"].reshape(channels) if "mean" in batch else mean
        x, labels = augment(operations, key, unit(batch["x"]), labels, subtracted)
        return normalized(x, batch), labels

    def evaluate(batch: Batch) -> Batch:
        x = for_evaluation(operations, batch["x"]) if operations else batch["x"]
        return normalized(unit(x), batch)

    def normalized(x: Array, batch: Batch) -> Batch:
        if "mean" not in batch:
            return {"x": (x - mean) / std}
        return {"x": (x - batch["mean"].reshape(channels)) / batch["std"].reshape(channels)}

    example = output_shape(operations, shape) if operations else shape
    return Inputs(lambda: {"x": jnp.zeros((1, *example))}, train, evaluate)


def sentences(length: int, separator: int | None = None) -> Inputs:
    """Inputs for batches {"tokens": (B, length) integer, padded with 0, ...}. Nothing is augmented.

    separator: as for `reading`.
    """

    def evaluate(batch: Batch) -> Batch:
        return reading(batch["tokens"].astype(jnp.int32), separator)

    def train(key: Array, batch: Batch, labels: Array) -> tuple[Batch, Array]:
        del key
        return evaluate(batch), labels

    return Inputs(lambda: evaluate({"tokens": jnp.ones((1, length), jnp.int32)}), train, evaluate)


def reading(tokens: Array, separator: int | None = None) -> Batch:
    """Return the arguments of a model that reads one text or a pair of texts, padded with 0: tokens (B, T) int32.

    They are "tokens", "mask" (B, T), True on what is no padding, and with a separator "segments" (B, T) int32.
    separator: the id of the token that ends each text of a pair; None for a model without segments.
    """
    arguments = {"tokens": tokens, "mask": tokens != 0}
    return arguments if separator is None else arguments | {"segments": segments(tokens, separator)}


def segments(tokens: Array, separator: int) -> Array:
    """Return 0 up to the first separator of each row, 1 after it, 0 on padding (Devlin et al. 2018, figure 2)."""
    ends = tokens == separator
    ended_before = jnp.cumsum(ends, axis=1) - ends
    return ((ended_before > 0) & (tokens != 0)).astype(jnp.int32)


def accepts(model: nn.Module, argument: str) -> bool:
    """Return whether a model takes an argument of that name, such as "segments"."""
    return argument in inspect.signature(type(model).__call__).parameters


def views(inputs: Inputs, key: Array, batch: dict[str, Array]) -> dict[str, Array]:
    """Draw two views of each image: {"x": (2B, H, W, C)}, the two views of an image next to each other.

    Both are then on one device, wherever the batch is cut.
    """
    unlabelled = jnp.zeros((len(batch["x"]), 1))
    pair = [inputs.train(key, batch, unlabelled)[0]["x"] for key in jax.random.split(key)]
    x = jnp.stack(pair, axis=1)
    return {"x": x.reshape(-1, *x.shape[2:])}
