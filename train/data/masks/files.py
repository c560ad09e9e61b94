"""Masks as image files: their classes are read as they are stored, and resized without mixing any two."""

import os

import numpy as np
from PIL import Image

from train.data import decode
from train.data.split import IGNORED
from zoo.errors import UserError

MODES = ("1", "L", "P")
"""Pillow's modes of a mask: each pixel is a number, of black and white, of grey, or of a palette."""


def read(path: os.PathLike[str]) -> np.ndarray:
    """Return the mask in a file, uint8 (H, W). UserError for a damaged file, and for one in color."""
    with decode.reading(path), Image.open(path) as image:
        mode = image.mode
        if mode in MODES:
            return np.asarray(image).astype(np.uint8)
    raise UserError(
        f"{path} is no mask: its pixels are of the mode {mode}; a mask is grey or has a palette, and the number of a "
        f"pixel is that of its class ({IGNORED}: not known)"
    )


def bring(mask: np.ndarray, size: int | None, fit: str) -> np.ndarray:
    """Bring a mask uint8 (H, W) to the square of `size`, as `train.data.decode.bring` brings its image.

    Each pixel takes the class of the nearest one; what is padded is IGNORED. None leaves the mask as it is.
    """
    if size is None or mask.shape == (size, size):
        return mask
    height, width = mask.shape
    if fit == "pad":
        top, left = (size - height) // 2, (size - width) // 2
        border = ((top, size - height - top), (left, size - width - left))
        return np.pad(mask, border, constant_values=IGNORED)
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        mask = mask[top : top + side, left : left + side]
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))
