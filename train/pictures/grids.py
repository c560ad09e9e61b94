"""Arrange many small images in one PNG file, and read them back."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from train.data import decode
from train.pictures.style import INK
from zoo.errors import printable
from zoo.files import atomic_file

GAP, GAP_SHADE = 2, 128  # pixels between images, and their gray, which differs from black and white images
SHORTEST = 56  # least side of an image in the picture, in pixels: smaller ones are enlarged by an integer factor
SHORTEST_LABELLED, WIDEST, LINE = 96, 1000, 19  # of a sheet with names: least side, widest row, height of a name


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Arrange images uint8 (N, H, W, C) row by row in one image (height, width, C). Empty cells are gray."""
    count, height, width, channels = images.shape
    factor = enlargement(height, width)
    rows = -(-count // columns)
    tall, wide = factor * height + GAP, factor * width + GAP
    sheet = np.full((rows * tall + GAP, columns * wide + GAP, channels), GAP_SHADE, np.uint8)
    for number, image in enumerate(images.repeat(factor, axis=1).repeat(factor, axis=2)):
        top, left = GAP + number // columns * tall, GAP + number % columns * wide
        sheet[top : top + tall - GAP, left : left + wide - GAP] = image
    return sheet


def tiles(sheet: np.ndarray, shape: tuple[int, int, int], count: int, columns: int) -> np.ndarray:
    """Return the images that `grid` arranged: uint8 (count, *shape). Raises ValueError for a sheet of another size."""
    height, width, channels = shape
    factor = enlargement(height, width)
    tall, wide = factor * height + GAP, factor * width + GAP
    if sheet.shape != (-(-count // columns) * tall + GAP, columns * wide + GAP, channels):
        raise ValueError(f"a sheet of {sheet.shape} does not hold {count} images of {shape}")
    corners = [(GAP + i // columns * tall, GAP + i % columns * wide) for i in range(count)]
    return np.stack([sheet[t : t + tall - GAP : factor, le : le + wide - GAP : factor] for t, le in corners])


def labelled(images: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Arrange images uint8 (N, H, W, C) row by row, each above its name, in one image (height, width, 3)."""
    count, height, width, _ = images.shape
    factor = enlargement(height, width, SHORTEST_LABELLED)
    columns = max(1, min(count, WIDEST // (factor * width + GAP)))
    tall, wide = factor * height + LINE + GAP, factor * width + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, -(-count // columns) * tall + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LINE - 5)
    for number, (pixels, name) in enumerate(zip(images, names, strict=True)):
        left, top = GAP + number % columns * wide, GAP + number // columns * tall
        color = np.broadcast_to(pixels, (height, width, 3)) if pixels.shape[2] == 1 else pixels[..., :3]
        tile = Image.fromarray(np.ascontiguousarray(color))
        sheet.paste(tile.resize((factor * width, factor * height), Image.Resampling.NEAREST), (left, top))
        name = printable(name)
        while name and font.getlength(name) > wide - GAP:
            name = name[:-1]
        pen.text((left + factor * width // 2, top + factor * height + 1), name, INK, font, "ma")
    return np.asarray(sheet)


def enlargement(height: int, width: int, shortest: int = SHORTEST) -> int:
    return max(1, -(-shortest // min(height, width)))


def write(sheet: np.ndarray, path: Path) -> None:
    """A PNG file, whole or not at all. UserError where it cannot be written."""
    image = Image.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet)
    with atomic_file(path, make_folder=True) as temporary:
        image.save(temporary, format="png")


def read(path: Path) -> np.ndarray:
    """Read the pixels of a PNG file, uint8 (H, W, C). UserError where it cannot be read."""
    with decode.reading(path), Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels
