"""How hard scenes are: a few numbers under a name. They were fixed before any network was compared on them."""

import dataclasses

from zoo.errors import UserError, unknown

SIDE = 16
"""Lengths in a preset are in pixels of a scene of this size. They grow with the size of the scene."""
GLYPH = 8
"""Height and width of a digit's picture, in pixels."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """The numbers that scenes are drawn from, each between two bounds with equal probability.

    Brightness is from 0 (black) to 1 (white).
    """

    height: tuple[float, float]  # of the whole digit's picture, in pixels of a scene of 16x16
    turn: float  # degrees, by which digits and pieces are turned either way
    pieces: int  # of other digits
    places: int  # drawn for each piece, which takes the one farthest from the digit: with one, pieces lie anywhere
    piece: tuple[int, int]  # height and width of a piece, in pixels of the digit that it is cut from
    ink: tuple[float, float]  # brightness of the whole digit
    clutter: tuple[float, float]  # brightness of a piece
    paper: tuple[float, float]  # brightness of what lies behind
    noise: float  # standard deviation of each pixel


PRESETS = {
    "easy": Preset(
        height=(10.0, 13.0),
        turn=10.0,
        pieces=2,
        places=8,
        piece=(3, 3),
        ink=(0.8, 1.0),
        clutter=(0.4, 0.7),
        paper=(0.0, 0.1),
        noise=0.02,
    ),
    "medium": Preset(
        height=(9.5, 12.5),
        turn=20.0,
        pieces=4,
        places=4,
        piece=(3, 4),
        ink=(0.7, 1.0),
        clutter=(0.5, 0.9),
        paper=(0.0, 0.2),
        noise=0.03,
    ),
    "hard": Preset(
        height=(9.0, 12.5),
        turn=25.0,
        pieces=5,
        places=5,
        piece=(3, 4),
        ink=(0.7, 1.0),
        clutter=(0.5, 0.95),
        paper=(0.0, 0.2),
        noise=0.04,
    ),
}
"""Name -> preset. A change of a number makes other scenes, so it needs a new `VERSION` of the generator."""


def find(name: str, pieces: int | None = None) -> Preset:
    """Return the preset of a name, with another number of pieces where `pieces` is given.

    Raises UserError for an unknown name, and for more pieces than a scene has room for.
    """
    if name not in PRESETS:
        raise unknown("preset of scenes", name, PRESETS)
    preset = PRESETS[name]
    if pieces is None:
        return preset
    if not 0 <= pieces <= most_pieces(preset):
        raise UserError(
            f"data.pieces must be from 0 to {most_pieces(preset)}, not {pieces}: more clutter than that does not fit "
            f"beside a digit of the preset {name!r}"
        )
    return dataclasses.replace(preset, pieces=pieces)


def most_pieces(preset: Preset) -> int:
    """Return how many pieces of middle size, side by side, fill what a digit of middle size leaves of a scene."""
    height = sum(preset.height) / 2
    piece = sum(preset.piece) / 2 * height / GLYPH
    return int((SIDE**2 - height**2) / piece**2)
