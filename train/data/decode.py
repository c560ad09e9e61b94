"""Decode image files to uint8 arrays of one shape, with Pillow: one set of rules for training and for `zoo predict`.

An image is turned as its EXIF orientation says, so that it is seen as every viewer shows it. Of more than 8 bits per
channel the upper 8 are kept. Of an animation the first picture counts. Transparency is dropped.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL import __version__ as pillow_version

from zoo.errors import UserError

VERSION = 2
"""The version of these rules."""
STAMP = f"{VERSION}, Pillow {pillow_version}"
"""What decoded an image. Caches and runs carry it."""
ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".avif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".qoi"),
)
"""The endings, in lower case, of files that are taken for images."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Number of channels -> Pillow's mode."""
GRAY = ("1", "L", "LA")
"""Pillow's modes without color, besides those of 16 bits, which begin with I."""
SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations in which width and height change places."""


class Header(NamedTuple):
    """What is known of an image before its pixels are read."""

    height: int
    width: int
    has_color: bool


@contextlib.contextmanager
def reading(name: os.PathLike[str] | str) -> Iterator[None]:
    """Turn whatever goes wrong while an image is read into one UserError that begins with its name."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # for a damaged file Pillow and its plugins can raise anything
        reason = " ".join(str(error).replace(str(name), "").replace("''", "").split())[:120]
        raise UserError(f"{name} cannot be read as an image ({reason}): repair or remove it") from error


def header(path: os.PathLike[str] | io.BytesIO) -> Header:
    """Return the header of an image file, or of its content, with height and width as it is shown."""
    with Image.open(path) as image:
        _require_integers(image)
        # Not `image.getexif`: in a PNG file it reads all pixels, to find what may stand behind them.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
        height, width = (image.width, image.height) if orientation in SIDEWAYS else (image.height, image.width)
        return Header(height, width, not (image.mode in GRAY or image.mode.startswith("I")))


def open_image(source: Any, least: int | None = None) -> Image.Image:
    """Return the image in a file, a path or a binary stream, upright and of 8 bits per channel.

    least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as no side has fewer pixels than that.
    Raises whatever Pillow does where it cannot be read; see `reading`.
    """
    with Image.open(source) as image:
        _require_integers(image)
        if least is not None:
            image.draft(None, (least, least))  # other formats have no such way
        upright = ImageOps.exif_transpose(image)  # a copy
    return Image.fromarray(_upper_bits(np.asarray(upright))) if upright.mode.startswith("I") else upright


def decode(encoded: bytes, channels: int, least: int | None = None) -> np.ndarray:
    """Decode the content of an image file (PNG, JPEG…) to uint8 (H, W, channels), converted from or to gray if needed.

    least: see `open_image`. Raises whatever Pillow does where it cannot be read; see `reading`.
    """
    image, mode = open_image(io.BytesIO(encoded), least), MODES[channels]
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], channels)


def _require_integers(image: Image.Image) -> None:
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; convert it to 8 bits per channel")


def _upper_bits(pixels: np.ndarray) -> np.ndarray:
    """Return the upper 8 bits of 16-bit gray values; ValueError for values beyond 16 bits."""
    if pixels.min() < 0 or pixels.max() > 0xFFFF:
        raise ValueError("it has more than 16 bits per channel; convert it to 8")
    return (pixels >> 8).astype(np.uint8)


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
SHRINKING = ("resize", "crop")
"""The fits that make a large image smaller, so that it may be decoded at a smaller scale."""
SCALED = ["scaled"]
"""What the fingerprint of a Store has besides, where it decodes so. Without it caches of before are still valid."""


def bring(x: np.ndarray, shape: tuple[int, int, int], fit: str | None) -> np.ndarray:
    """Bring uint8 (H, W, C) to the square `shape` by `fit`. If `fit` is None, raise ValueError for another shape."""
    if x.shape == shape:
        return x
    if fit is None:
        raise ValueError(f"its shape is {x.shape}, and {shape} is expected")
    return FITS[fit](x, shape[0])


def decode_to(encoded: bytes, shape: tuple[int, int, int], fit: str | None, scaled: bool) -> np.ndarray:
    """Decode the content of an image file and bring it to `shape` by `fit`: `decode` and `bring`.

    scaled: decode a JPEG at the smallest scale from which it is still made smaller, as `data.decode` says.
    """
    least = shape[0] if scaled and fit in SHRINKING else None
    return bring(decode(encoded, shape[2], least), shape, fit)
