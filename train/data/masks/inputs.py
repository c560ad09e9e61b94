"""From a batch of images and masks to the arguments of a model: both are augmented together on the device."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.data import moves
from train.data.images.augment import augment, output_shape, parse
from train.data.inputs import Batch, Inputs, images
from train.data.moves import MOVES
from train.data.split import IGNORED

STILL = ("cutout", "color", "grey", "blur")
"""The other operations that are known here. They change pixels where they are."""


def masked(
    shape: tuple[int, int, int],
    augmentations: tuple[str, ...] = (),
    mean: np.ndarray | float = 0.0,
    std: np.ndarray | float = 1.0,
) -> Inputs:
    """Inputs for batches {"x": uint8 (B, *shape), ...}, whose labels are masks: integer (B, H, W).

    In training an image moves first, and its mask with it (`train.data.moves`); what comes in from outside is black in
    the image, and IGNORED in the mask. Then the other operations follow. Evaluation only crops the image, where
    training crops; the mask of it is cropped by whoever compares them.
    """
    operations = parse(augmentations, shape)
    moving = any(name in MOVES for name, _ in operations)
    still = tuple(operation for operation in operations if operation.name in STILL)
    plain = images(shape, augmentations, mean, std)
    normalized = images(output_shape(operations, shape), (), mean, std).evaluate

    def train(key: Array, batch: Batch, masks: Array) -> tuple[Batch, Array]:
        x = batch["x"].astype(jnp.float32) / 255
        if moving:
            move = moves.draw(operations, key, len(x), shape[:2])
            x, masks = moves.images(move, x), moves.masks(move, masks, IGNORED)
        unlabelled = jnp.zeros((len(x), 1))
        x, _ = augment(still, jax.random.fold_in(key, len(operations)), x, unlabelled, mean)
        return normalized({**batch, "x": x}), masks

    return Inputs(plain.example, train, plain.evaluate)
