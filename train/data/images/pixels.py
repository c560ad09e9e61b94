"""From arrays of numbers to images as every other set gives them: uint8 (N, H, W, C)."""

import numpy as np

from train.data import decode
from zoo.errors import UserError

CHANNELS = tuple(decode.MODES)
BLOCK = 4096  # images that are converted at once: a copy of all as floats would not fit where they just do
ROUNDED = "{where}: some pixels lie between the 256 values of 8 bits, and are rounded"


def images(x: np.ndarray, where: str) -> tuple[np.ndarray, str]:
    """Return uint8 (N, H, W, C) and a remark, "" where nothing was lost.

    x: (N, H, W) or (N, H, W, C), whole numbers from 0 to 255 or floats from 0 to 1. where: begins each error.
    """
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise UserError(
            f"{where} has the shape {x.shape}: images are (N, height, width) or (N, height, width, channels)"
        )
    if x.ndim == 4 and x.shape[3] not in CHANNELS:
        first = x.shape[1] in CHANNELS
        hint = "; channels come last: np.moveaxis(x, 1, -1) puts them there" if first else ""
        raise UserError(f"{where} has {x.shape[3]} channels (shape {x.shape}): images have 1, 3 or 4{hint}")
    x = x if x.ndim == 4 else x[..., None]
    if x.dtype == np.uint8:
        return x, ""
    whole = np.issubdtype(x.dtype, np.integer) or x.dtype == bool
    if not whole and not np.issubdtype(x.dtype, np.floating):
        raise UserError(f"{where} is of the type {x.dtype}: pixels are uint8, or floats from 0 to 1")
    _require_range(x, 255 if whole and x.dtype != bool else 1, where)
    if whole:
        return (x * np.uint8(255) if x.dtype == bool else x).astype(np.uint8), ""
    pixels, furthest = np.empty(x.shape, np.uint8), 0.0
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK].astype(np.float32) * 255
        rounded = np.round(block)
        furthest = max(furthest, float(np.abs(block - rounded).max()))
        pixels[start : start + BLOCK] = rounded
    return pixels, ROUNDED.format(where=where) if furthest > 0.1 else ""


def _require_range(x: np.ndarray, most: int, where: str) -> None:
    low, high = float(x.min()), float(x.max())  # NaN where there is one
    if not np.isfinite(low) or not np.isfinite(high):
        raise UserError(f"{where}: some pixels are not finite")
    if low < 0 or high > most:
        allowed = "floats must be from 0 to 1" if most == 1 else "whole numbers must be from 0 to 255"
        hint = ": divide them by 255, or store uint8" if most == 1 and low >= 0 and high <= 255 else ""
        raise UserError(f"{where}: pixels from {low:g} to {high:g}, and {allowed}{hint}")


def brought(x: np.ndarray, size: int | None, fit: str) -> np.ndarray:
    """Bring uint8 (N, H, W, C) to the square of `size` by `fit`, as `data.image_size` and `data.fit` say."""
    if size is None:
        return x
    return np.stack([decode.bring(image, (size, size, x.shape[3]), fit) for image in x])
