"""Glyphs: the handwritten digits that scenes are composed from, cut into training, validation and test glyphs.

They are scikit-learn's 1,797 real digits. The cut is that of the data set `digits`, so the test glyphs are the same 359
for every config.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from train.data import embedded
from train.data.cut import by_position
from train.data.scenes.presets import GLYPH
from train.data.split import Arrays
from zoo.errors import UserError

TEST_SHARE = 0.2
"""Share of all glyphs that are test glyphs, as in `digits`."""
FULL = 16
"""The value of a pixel that is full of ink."""
STEP = 256
"""Steps of a pixel of a glyph: its coordinates are whole numbers of them."""
CELLS = GLYPH + 3
"""Rows and columns of a glyph's table of corners: one for each pair of neighbouring pixels, and a border of zeros."""


class Glyphs(NamedTuple):
    """The G glyphs of one split, in the order in which scenes take them, as tables of int32.

    corners: (G * CELLS * CELLS,). Each entry packs four neighbouring pixels, one in each byte, so that one look-up
        gives all that an interpolation between them needs.
    centre, half: (G, 2), x and y: the middle of the glyph's ink, and half of its width and height, in STEPs.
    inked: (G, 64), the numbers of the pixels with ink, repeated to fill the row. pixels: (G,), how many there are.
    """

    number: Any  # (G,), the number of the glyph among all 1,797
    label: Any  # (G,)
    corners: Any
    centre: Any
    half: Any
    inked: Any
    pixels: Any


@functools.cache
def digits() -> Arrays:
    """Return all 1,797 glyphs. They are read once, since reading them takes as long as composing hundreds of scenes."""
    return embedded.digits()


def cut(validation: float, split_seed: int) -> dict[str, np.ndarray]:
    """Return the numbers of the glyphs of each split, ascending. validation: share of those that are no test glyphs."""
    labels = digits().y
    rest, test = by_position(np.arange(len(labels)), TEST_SHARE, 0, labels)
    train, held_out = by_position(rest, validation, split_seed, labels[rest])
    if validation and len(held_out) < 2:
        held = f"data.validation={validation} holds out {len(held_out)} of {len(rest)} glyphs"
        raise UserError(f"{held}: at least 2 are needed, or none")
    if len(train) < 2:
        left = f"data.validation={validation} leaves {len(train)} of {len(rest)} glyphs to train on"
        raise UserError(f"{left}: at least 2 are needed")
    return {"train": train, "validation": held_out, "test": test}


def tables(numbers: np.ndarray) -> Glyphs:
    """Return the tables of the glyphs with these numbers (G,), in this order."""
    found = digits()
    ink = np.round(found.x[numbers, :, :, 0] * (FULL / 255)).astype(np.int32)
    centre, half = _boxes(ink)
    inked, pixels = _inked(ink)
    return Glyphs(numbers.astype(np.int32), found.y[numbers], _corners(ink), centre, half, inked, pixels)


def _corners(ink: np.ndarray) -> np.ndarray:
    """Pack each pixel (bits 0 to 7), its right neighbour, the one below, and the one below that on the right."""
    padded = np.pad(ink, ((0, 0), (2, 2), (2, 2)))
    packed = sum(
        padded[:, row : row + CELLS, column : column + CELLS] << (8 * (2 * row + column))
        for row in (0, 1)
        for column in (0, 1)
    )
    return np.asarray(packed, np.int32).reshape(-1)


def _boxes(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle and the half sizes of the box around each glyph's ink: int32 (G, 2) each, x and y, in STEPs."""
    centre, half = np.empty((len(ink), 2), np.int32), np.empty((len(ink), 2), np.int32)
    for axis, along in ((0, 1), (1, 2)):
        occupied = np.any(ink, axis=along)
        first, last = occupied.argmax(axis=1), GLYPH - occupied[:, ::-1].argmax(axis=1)
        centre[:, axis], half[:, axis] = (first + last) * STEP // 2, (last - first) * STEP // 2
    return centre, half


def _inked(ink: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that are at least half full of ink, and how many there are; see `Glyphs`."""
    flat = ink.reshape(len(ink), -1) >= FULL // 2
    rows = [np.resize(np.flatnonzero(row), GLYPH * GLYPH) for row in flat]
    return np.stack(rows).astype(np.int32), flat.sum(axis=1, dtype=np.int32)
