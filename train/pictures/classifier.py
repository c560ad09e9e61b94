"""What an image classifier has learned to look at, as pictures: filters of its first layer, and where it attends."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train.algorithms.averages import evaluation_params
from train.core import State
from train.data.inputs import Inputs
from train.data.split import Split, some
from train.pictures import grids
from train.pictures.attention import attention_maps

MOST, ACROSS = 64, 8  # filters, and how many stand side by side
SHOWN = 6  # images whose attention is drawn


@dataclasses.dataclass(frozen=True)
class InsidePictures:
    """`test` are the images that are drawn, `inputs` how the model sees them."""

    model: nn.Module
    test: Split
    inputs: Inputs

    def show(self, state: State, folder: Path) -> None:
        """filters.png where the first layer looks at pixels, attention.png where the model attends to patches.

        Nothing where several processes train together: one of them alone has no whole model to run.
        """
        if jax.process_count() > 1:
            return
        variables = {"params": evaluation_params(state), **state.vars["net"]}
        shape = self.inputs.example()["x"].shape[1:]
        filters = first_filters(variables["params"], shape, getattr(self.model.cfg, "patch", None))
        if filters is not None:
            grids.write(grids.grid(shades(filters[:MOST]), min(ACROSS, len(filters))), folder / "filters.png")
        if hasattr(self.model.cfg, "patch") and len(self.test):
            grids.write(self._attention(variables), folder / "attention.png")

    def _attention(self, variables: Mapping[str, Any]) -> np.ndarray:
        """A row for each image: itself, then by block how much the class token reads of each place, mean over heads."""
        x = self.inputs.evaluate({"x": jnp.asarray(some(self.test, SHOWN)["x"])})["x"]
        maps = attention_maps(self.model, variables, x=x)
        columns = [shades(np.asarray(x), whole=True)]
        side = x.shape[1] // self.model.cfg.patch
        for path in sorted(maps, key=lambda path: int("".join(filter(str.isdigit, path)) or 0)):
            read = maps[path].mean(1)  # (B, T, T)
            # Without a class token: what all places read on average.
            read = read[:, 0, 1:] if read.shape[-1] == side**2 + 1 else read.mean(1)
            cells = read.reshape(len(x), side, -1, 1)
            cells = cells / cells.max((1, 2), keepdims=True)
            factor = (x.shape[1] // cells.shape[1], x.shape[2] // cells.shape[2])
            shown = np.repeat(np.repeat(cells, factor[0], 1), factor[1], 2)
            columns.append(np.repeat(np.round(255 * shown).astype(np.uint8), x.shape[-1], 3))
        return grids.grid(np.stack(columns, 1).reshape(-1, *columns[0].shape[1:]), len(columns))


def first_filters(params: Mapping[str, Any], shape: tuple[int, int, int], patch: int | None) -> np.ndarray | None:
    """(N, h, w, C): what the units of the first layer weigh pixels by; None where no layer sees pixels as such.

    params: of a model that takes images of `shape`, cut into squares of `patch` pixels if that is given.
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
    """(N, h, w, C) -> uint8 (N, h, w, C or 1): of filters, zero is grey; of `whole` images, the least black.

    Each image fills the range by itself; channels that are neither one nor three are averaged.
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
    """Every leaf called "kernel"."""
    found = []
    for name, value in params.items():
        found += _kernels(value) if isinstance(value, Mapping) else [value] if name == "kernel" else []
    return found
