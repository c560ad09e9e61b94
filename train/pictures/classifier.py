"""The pictures of an image classifier: the filters of its first layer, and its attention to the patches."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
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
            filters = first_filters(self.model, variables, shape)
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


def first_filters(model: nn.Module, variables: Mapping[str, Any], shape: tuple[int, int, int]) -> np.ndarray | None:
    """Return the filters (N, h, w, C) of the layer that is called first; None where it does not see pixels directly.

    shape: of an image, which the model divides into squares of `patch` pixels if its Config has that field.
    """
    kernel = _first_kernel(model, variables, shape)
    if kernel is None:
        return None
    if kernel.ndim == 4 and kernel.shape[2] == shape[2] and max(kernel.shape[:2]) > 1:
        return kernel.transpose(3, 0, 1, 2)
    patch = getattr(model.cfg, "patch", None)
    window = (patch, patch, shape[2]) if patch else shape
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


def _first_kernel(model: nn.Module, variables: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the kernel of the first layer that is called, of all that have one.

    Neither names nor shapes tell: in ViT-B/16 the matrices of attention come before `embed` by name and have its shape.
    """
    found: list[Any] = []

    def record(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        own: Any = variables["params"]
        for name in context.module.path:
            own = own.get(name, {})
        kernel = own.get("kernel")
        if context.method_name == "__call__" and kernel is not None and not isinstance(kernel, Mapping):
            found.append(kernel)
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        jax.eval_shape(lambda x: model.apply(variables, x, train=False), x)
    return np.asarray(found[0]) if found else None
