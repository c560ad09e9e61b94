"""The pictures of an image classifier: the filters of its first layer, and its attention to the patches."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train.algorithms.averages import evaluation_variables
from train.core import State
from train.data.inputs import Inputs
from train.data.split import Split, some
from train.pictures import grids
from train.pictures.attention import attention_maps
from train.pictures.guard import guarded

MOST, ACROSS = 64, 8  # filters in the picture and in a row, at most
SHOWN = 6  # images in the picture of attention


@dataclasses.dataclass(frozen=True)
class InsidePictures:
    """Writes the pictures at the end of a run. `inputs` preprocesses the images of `test`."""

    model: nn.Module
    test: Split
    inputs: Inputs

    def show(self, state: State, folder: Path) -> None:
        """Write filters.png if the first layer sees pixels, and attention.png if the model attends to patches."""
        shape = self.inputs.example()["x"].shape[1:]
        if len(shape) != 3:  # a registered set may hold other things than images
            return
        variables = evaluation_variables(state)
        with guarded("filters.png"):
            filters = first_filters(variables["params"], shape, getattr(self.model.cfg, "patch", None))
            if filters is not None:
                grids.write(grids.grid(shades(filters[:MOST]), min(ACROSS, len(filters))), folder / "filters.png")
        with guarded("attention.png"):
            if hasattr(self.model.cfg, "patch") and len(self.test):
                grids.write(self._attention(variables), folder / "attention.png")

    def _attention(self, variables: Mapping[str, Any]) -> np.ndarray:
        """Draw a row for each image: the image, then for each block the attention of the class token to each patch.

        The attention is the mean over heads.
        """
        x = self.inputs.evaluate({"x": jnp.asarray(some(self.test, SHOWN)["x"])})["x"]
        maps = attention_maps(self.model, variables, x=x)
        columns = [shades(np.asarray(x), whole=True)]
        for path in sorted(maps, key=lambda path: int("".join(filter(str.isdigit, path)) or 0)):
            cells = attention_cells(self.model, maps[path], (x.shape[1], x.shape[2]))
            cells = cells / cells.max((1, 2), keepdims=True)
            factor = (x.shape[1] // cells.shape[1], x.shape[2] // cells.shape[2])
            shown = np.repeat(np.repeat(cells, factor[0], 1), factor[1], 2)
            columns.append(np.repeat(np.round(255 * shown).astype(np.uint8), x.shape[-1], 3))
        return grids.grid(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), len(columns))


def attention_cells(model: nn.Module, weights: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """Return the attention of the class token to each patch, the mean over heads: (B, rows, columns, 1).

    Without a class token it is the mean attention of all patches. weights: (B, heads, T, T). sides: of the images.
    """
    rows, columns = (side // model.cfg.patch for side in sides)
    mean = weights.mean(1)
    mean = mean[:, 0, 1:] if mean.shape[-1] == rows * columns + 1 else mean.mean(1)
    return mean.reshape(len(mean), rows, columns, 1)


def first_filters(params: Mapping[str, Any], shape: tuple[int, int, int], patch: int | None) -> np.ndarray | None:
    """Return the filters (N, h, w, C) of the first layer; None where no layer sees pixels directly.

    params: of a model for images of `shape`, which it divides into squares of `patch` pixels if that is given.
    """
    kernels = [np.asarray(leaf) for leaf in _kernels(params)]
    for kernel in kernels:
        if kernel.ndim == 4 and kernel.shape[2] == shape[2] and max(kernel.shape[:2]) > 1:
            return kernel.transpose(3, 0, 1, 2)
    window = (patch, patch, shape[2]) if patch else shape
    for kernel in kernels:
        if kernel.ndim == 2 and kernel.shape[0] == math.prod(window):
            return kernel.T.reshape(-1, *window)
    return None


def shades(images: np.ndarray, whole: bool = False) -> np.ndarray:
    """Scale images (N, h, w, C) to uint8 (N, h, w, C or 1), each image to the full range by itself.

    In filters, zero is gray. In `whole` images, the minimum is black. If there are neither one nor three channels,
    they are averaged.
    """
    if images.shape[-1] not in (1, 3):
        images = images.mean(-1, keepdims=True)
    if whole:
        low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
        unit = (images - low) / np.maximum(high - low, 1e-12)
    else:
        unit = 0.5 + 0.5 * images / np.maximum(np.abs(images).max((1, 2, 3), keepdims=True), 1e-12)
    return np.round(255 * unit).astype(np.uint8)


def _kernels(params: Mapping[str, Any]) -> list[Any]:
    """Return every leaf called "kernel"."""
    found = []
    for name, value in params.items():
        found += _kernels(value) if isinstance(value, Mapping) else [value] if name == "kernel" else []
    return found
