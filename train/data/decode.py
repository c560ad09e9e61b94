"""Decode image files to uint8 arrays of one shape, with Pillow."""

import io

import numpy as np
from PIL import Image

from zoo.errors import UserError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> Pillow's mode."""


def decode(encoded: bytes, channels: int) -> np.ndarray:
    """Decode the content of an image file (PNG, JPEG…) to uint8 (H, W, channels), converted from or to gray if needed.

    Raises OSError, ValueError or SyntaxError where Pillow cannot read it.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        mode = MODES[channels]
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], channels)


def resize(x: np.ndarray, size: int) -> np.ndarray:
    """Resize uint8 (H, W, C) to (size, size, C) with Pillow's BILINEAR, which antialiases when it shrinks."""
    if x.shape[:2] == (size, size):
        return x
    pixels = np.asarray(
        Image.fromarray(x.squeeze(2) if x.shape[2] == 1 else x).resize((size, size), Image.Resampling.BILINEAR)
    )
    return pixels.reshape(size, size, x.shape[2])


def pad(x: np.ndarray, size: int) -> np.ndarray:
    """Pad uint8 (H, W, C) with zeros on all sides to (size, size, C). An odd pixel is added below and on the right.

    Raises UserError where the image is larger than `size`.
    """
    height, width = x.shape[:2]
    if max(height, width) > size:
        raise UserError(
            f"an image of {height}x{width} does not fit into data.image_size={size}: "
            "choose a larger one, or data.fit=resize or crop"
        )
    top, left = (size - height) // 2, (size - width) // 2
    return np.pad(x, ((top, size - height - top), (left, size - width - left), (0, 0)))


def crop(x: np.ndarray, size: int) -> np.ndarray:
    """Resize the shorter side of uint8 (H, W, C) to `size` and crop the center to (size, size, C).

    The center square is cropped first, which gives the same image with less work.
    """
    side = min(x.shape[:2])
    top, left = ((length - side) // 2 for length in x.shape[:2])
    return resize(x[top : top + side, left : left + side], size)


FITS = {"resize": resize, "pad": pad, "crop": crop}


def bring(x: np.ndarray, shape: tuple[int, int, int], fit: str | None) -> np.ndarray:
    """Bring uint8 (H, W, C) to the square `shape` by `fit`. If `fit` is None, raise ValueError for another shape."""
    if x.shape == shape:
        return x
    if fit is None:
        raise ValueError(f"its shape is {x.shape}, and {shape} is expected")
    return FITS[fit](x, shape[0])
