"""A picture of segmentation: each image, its true regions, and those that a network sees in it."""

import colorsys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train.algorithms.averages import evaluation_variables
from train.core import State
from train.data.inputs import Inputs
from train.data.split import IGNORED
from train.pictures import grids
from train.pictures.guard import guarded
from zoo.unet import center

HUE, GOLDEN = 0.12, 0.618034
SHARE = 0.65
"""How much of a region's color covers the image below it."""


def palette(classes: int) -> np.ndarray:
    """Return a color for each class, uint8 (classes, 3): hues in golden steps; that of class 0 is black."""
    hues = [(HUE + number * GOLDEN) % 1 for number in range(classes - 1)]
    colors = [colorsys.hsv_to_rgb(hue, 0.8, 1.0) for hue in hues]
    return np.round(255 * np.array([(0.0, 0.0, 0.0), *colors])).astype(np.uint8)


def overlaid(images: np.ndarray, regions: np.ndarray, classes: int) -> np.ndarray:
    """Return images uint8 (N, H, W, 3) with each region in the color of its class.

    images: uint8 (N, H, W, C). regions: integer (N, H, W); class 0 and what is IGNORED leave the image as it is.
    """
    grey = images if images.shape[-1] == 3 else np.repeat(images[..., :1], 3, axis=-1)
    marked = ((regions > 0) & (regions < classes))[..., None]
    colors = palette(classes)[np.where(regions < classes, regions, 0)]
    mixed = np.round((1 - SHARE) * grey + SHARE * colors).astype(np.uint8)
    return np.where(marked, mixed, grey)


def write_segments(
    model: nn.Module, state: State, inputs: Inputs, examples: Mapping[str, np.ndarray], classes: int, path: Path
) -> None:
    """Write a row for each example: the image, the truth, and what the network sees.

    examples: {"x": uint8 (N, H, W, C), "y": masks uint8 (N, H, W)}.
    """
    with guarded(path.name):
        x, truth = examples["x"], examples["y"]
        arguments: dict[str, Any] = inputs.evaluate({"x": jnp.asarray(x)})
        variables = evaluation_variables(state)
        logits = np.asarray(model.apply(variables, **arguments, train=False))
        seen = logits.argmax(-1)
        height, width = seen.shape[1:3]
        shown, truth = center(x, height, width), center(truth, height, width)
        assert classes <= IGNORED  # so that unknown pixels show the image
        columns = [overlaid(shown, regions, classes) for regions in (np.zeros_like(truth), truth, seen)]
        grids.write(grids.grid(np.stack(columns, 1).reshape(-1, height, width, 3), len(columns)), path)
