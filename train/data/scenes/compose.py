"""Compose scenes from glyphs, in whole numbers of 32 bits.

NumPy and XLA compute the same bytes from them on every machine and in every version, so scenes that are made once on
the host and scenes that are composed in a compiled step are the same. `xp` is numpy or jax.numpy. A scene is a function
of its stream (see `stream`) and its number alone.

Lengths are in UNITs of a pixel of a scene of 16x16, within a glyph in STEPs of its pixels; brightness is in UNITs.
"""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from train.data.scenes.glyphs import CELLS, STEP, Glyphs
from train.data.scenes.presets import GLYPH, SIDE, Preset

UNIT = 1024
CIRCLE = 4096
"""Steps of a full turn."""
ONE = 1 << 14
"""1 as a fixed-point number: of sines, cosines and ink."""
_ANGLES = 2 * np.pi * np.arange(CIRCLE) / CIRCLE
COS, SIN = (np.round(ONE * wave(_ANGLES)).astype(np.int32) for wave in (np.cos, np.sin))

STREAMS = {"train": 1, "validation": 2, "test": 3}
DRAWS = 32
"""Numbers drawn for each digit or piece at most: the six that `draw` names, and two for each place."""
ORDER, NOISE = 1 << 20, 1 << 21
"""Where the draws for the order of the glyphs, and for the noise of pixels, begin."""
BYTES_DEVIATION = 147.8
"""Standard deviation of the sum of four random bytes, which is nearly normal."""


class Placement(NamedTuple):
    """Where the digit and the pieces of N scenes are: int32 (N, L). Layer 0 is the whole digit, the others are pieces.

    A point p of a glyph is drawn at centre + scale * R(turn) (p - anchor), where R turns clockwise.
    """

    glyph: Any  # position in the tables of the split
    turn: Any
    scale: Any  # UNIT: a pixel of the glyph is as large as a pixel of a scene of 16x16
    cos: Any  # of the turn, divided by the scale, as a fixed-point number
    sin: Any
    x: Any  # the centre
    y: Any
    anchor_x: Any  # the point of the glyph that lies at the centre
    anchor_y: Any
    reach: Any  # half of the side of the square that is cut out, in STEPs; of the whole digit more than all of it
    ink: Any  # brightness
    paper: Any  # (N,), brightness of what lies behind


def stream(split: str, seed: int) -> int:
    """Return the number that keeps the scenes of a split and a seed apart from all others."""
    start = np.array([STREAMS[split]], np.uint32)
    return int(mixed(start * np.uint32(0x9E3779B9) ^ mixed(np.array([seed], np.uint32)))[0])


def mixed(x: Any) -> Any:
    """Return uint32 numbers in which every bit depends on every bit of x (uint32): Wellons 2018, "lowbias32"."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def random(stream: int, number: Any, first: int, count: int) -> Any:
    """Return the draws from `first` on: `count` random uint32 for each scene, (N, count). number: uint32 (N,)."""
    own = mixed(mixed(number ^ np.uint32(stream)) + np.uint32(0x85EBCA6B))
    draws = np.arange(first, first + count).astype(np.uint32) * np.uint32(0x9E3779B9)
    return mixed(own[:, None] ^ draws[None])


def between(xp: ModuleType, random: Any, low: Any, high: Any) -> Any:
    """Return whole numbers from `low` to `high`, at most 2^16 of them, one for each random uint32."""
    span = xp.asarray(high - low + 1).astype(np.uint32)
    return low + (((random >> np.uint32(16)) * span) >> np.uint32(16)).astype(np.int32)


def draw(xp: ModuleType, glyphs: Glyphs, preset: Preset, stream: int, number: Any) -> Placement:
    """Draw the placement of scenes. number: uint32 (N,). Scene n shows glyph n modulo G: all of them equally often."""
    layers, count = 1 + preset.pieces, len(glyphs.number)
    # Each layer has its own DRAWS, so the same scene of another preset shows the same digit at about the same place.
    draws = random(stream, number, 0, DRAWS * (1 + layers)).reshape(-1, 1 + layers, DRAWS)
    other, turn, scale, pixel, piece, ink, *places = (draws[:, 1:, each] for each in range(6 + 2 * preset.places))
    whole = (number % np.uint32(count)).astype(np.int32)[:, None]
    other = (whole + 1 + between(xp, other[:, 1:], 0, count - 2)) % count  # any glyph but that of the whole digit
    steps = round(preset.turn * CIRCLE / 360)
    turn = between(xp, turn, -steps, steps)
    scale = between(xp, scale, *(round(height * UNIT / GLYPH) for height in preset.height))

    pixel = xp.asarray(glyphs.inked)[other, between(xp, pixel[:, 1:], 0, xp.asarray(glyphs.pixels)[other] - 1)]
    cut = (STEP * axis + STEP // 2 for axis in (pixel % GLYPH, pixel // GLYPH))
    middle = xp.asarray(glyphs.centre)[whole[:, 0]]
    anchor_x, anchor_y = _joined(xp, (middle[:, :1], middle[:, 1:]), cut)
    reach = between(xp, piece[:, 1:], *preset.piece) * (STEP // 2)
    whole_reach = xp.full_like(whole, 2 * GLYPH * STEP)

    box = _reach_of_box(xp, xp.asarray(glyphs.half)[whole[:, 0]], turn[:, 0], scale[:, 0])
    of_digit = [between(xp, places[axis][:, :1], own, SIDE * UNIT - own) for axis, own in enumerate(box)]
    x, y = _joined(xp, of_digit, _beside(xp, [place[:, 1:] for place in places], of_digit, box))
    lit, cluttered, paper = (
        between(xp, drawn, *(round(level * UNIT) for level in levels))
        for drawn, levels in ((ink[:, :1], preset.ink), (ink[:, 1:], preset.clutter), (draws[:, 0, 0], preset.paper))
    )
    glyph, reach, ink = _joined(xp, (whole, whole_reach, lit), (other, reach, cluttered))
    inverse = (UNIT * ONE) // scale
    cos, sin = (xp.asarray(wave)[turn & (CIRCLE - 1)] * inverse // ONE for wave in (COS, SIN))
    return Placement(glyph, turn, scale, cos, sin, x, y, anchor_x, anchor_y, reach, ink, paper)


def _joined(xp: ModuleType, of_digit: Iterable[Any], of_pieces: Iterable[Any]) -> list[Any]:
    """Return (N, L) of each pair of values of the whole digit (N, 1) and of the pieces (N, P)."""
    return [xp.concatenate(pair, axis=1) for pair in zip(of_digit, of_pieces, strict=True)]


def _beside(xp: ModuleType, drawn: Sequence[Any], digit: Sequence[Any], box: Sequence[Any]) -> list[Any]:
    """Return the centres of the pieces, x and y, each (N, P): of the places drawn, that farthest from the digit's box.

    drawn: x and y of each place in turn, uint32 (N, P). digit, box: (N, 1), x and y: its centre and half of its sizes.
    """
    x, y = (between(xp, xp.stack(list(drawn[axis::2])), 0, SIDE * UNIT) for axis in (0, 1))
    away = xp.maximum(abs(x - digit[0][None]) - box[0][None], abs(y - digit[1][None]) - box[1][None])
    farthest = away.argmax(axis=0)[None]
    return [xp.take_along_axis(axis, farthest, axis=0)[0] for axis in (x, y)]


def _reach_of_box(xp: ModuleType, half: Any, turn: Any, scale: Any) -> list[Any]:
    """Return how far the box around a glyph's ink reaches from its middle once turned and scaled: x and y, (N, 1).

    half: (N, 2), of the box. Where that is more than half of the scene, the digit can only lie in the middle.
    """
    cos, sin = (abs(xp.asarray(wave)[turn & (CIRCLE - 1)]) for wave in (COS, SIN))
    across = (half[:, 0] * cos + half[:, 1] * sin) // ONE, (half[:, 0] * sin + half[:, 1] * cos) // ONE
    return [xp.minimum(own * scale // STEP, SIDE * UNIT // 2)[:, None] for own in across]


def render(
    xp: ModuleType, glyphs: Glyphs, placement: Placement, size: int, noise: float, seeds: tuple[int, Any]
) -> tuple[Any, Any]:
    """Return the images uint8 (N, size, size) and where the whole digit's ink is, bool (N, size, size).

    seeds: (stream, number) of the scenes, from which the noise is drawn.
    """
    whole = _layer(xp, glyphs, placement, 0, size)
    brightest = whole * placement.ink[:, 0, None, None]
    for layer in range(1, placement.glyph.shape[1]):
        piece = _layer(xp, glyphs, placement, layer, size) * placement.ink[:, layer, None, None]
        brightest = xp.maximum(brightest, piece)
    paper = placement.paper[:, None, None]
    light = (paper * ONE + (brightest >> 10) * (UNIT - paper)) >> 8  # 0 to 2^16
    if noise:
        light = xp.clip(light + _noise(xp, noise, seeds, size), 0, 1 << 16)
    image = (light * 255 + (1 << 15)) >> 16
    return image.astype(np.uint8), whole >= ONE // 4


def _layer(xp: ModuleType, glyphs: Glyphs, placement: Placement, layer: int, size: int) -> Any:
    """Return the ink of one digit or piece at each pixel, from 0 to ONE: int32 (N, size, size)."""
    own = Placement._make([*(field[:, layer] for field in placement[:-1]), placement.paper])
    pixel = (2 * np.arange(size, dtype=np.int32) + 1) * (SIDE * UNIT // 2) // size  # the middle of each
    right, down = (pixel[None] - centre[:, None] for centre in (own.x, own.y))
    cos, sin = own.cos[:, None], own.sin[:, None]
    x = (((cos * right)[:, None, :] + (sin * down)[:, :, None]) >> 16) + own.anchor_x[:, None, None]
    y = (((cos * down)[:, :, None] - (sin * right)[:, None, :]) >> 16) + own.anchor_y[:, None, None]
    ink = _sampled(xp, glyphs, own.glyph, x, y)
    if not layer:
        return ink
    within = xp.maximum(abs(x - own.anchor_x[:, None, None]), abs(y - own.anchor_y[:, None, None]))
    return xp.where(within < own.reach[:, None, None], ink, 0)


def _sampled(xp: ModuleType, glyphs: Glyphs, glyph: Any, x: Any, y: Any) -> Any:
    """Return the ink of glyphs at the points x, y (N, size, size), interpolated between pixels: 0 to ONE."""
    x, y = x - STEP // 2, y - STEP // 2  # from the middle of the first pixel
    row, column = (xp.clip((axis >> 8) + 2, 0, CELLS - 1) for axis in (y, x))
    entry = (glyph[:, None, None] * CELLS + row) * CELLS + column
    corners = _looked_up(xp, glyphs.corners, entry)
    x, y = x & (STEP - 1), y & (STEP - 1)
    above, below = (((corners >> shift) & 255) * (STEP - x) + ((corners >> (shift + 8)) & 255) * x for shift in (0, 16))
    ink = (above * (STEP - y) + below * y) >> 6  # FULL * STEP^2 becomes ONE
    square = ink * ink >> 14
    return square * (3 * ONE - 2 * ink) >> 14  # 3 v^2 - 2 v^3: strokes stay crisp where they are drawn larger


def _looked_up(xp: ModuleType, table: Any, entry: Any) -> Any:
    """Return the entries of a table."""
    found = xp.take(xp.asarray(table), entry, mode="clip")
    if xp is np:
        return found
    from jax.lax import optimization_barrier  # not above: on the host nothing else here needs JAX

    return optimization_barrier(found)  # else XLA looks up again for each use, which takes five times as long


def _noise(xp: ModuleType, deviation: float, seeds: tuple[int, Any], size: int) -> Any:
    """Return the noise of each pixel, int32 (N, size, size), where 2^16 is white: sums of four random bytes."""
    drawn = random(*seeds, NOISE, size * size)
    total: Any = (
        sum(((drawn >> np.uint32(shift)) & np.uint32(255)).astype(np.int32) for shift in (0, 8, 16, 24)) - 2 * 255
    )
    return total.reshape(-1, size, size) * round(deviation * (1 << 16) / BYTES_DEVIATION)
