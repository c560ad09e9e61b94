"""The color and the marker of each run in the timeline's picture."""

from collections.abc import Sequence
from typing import NamedTuple

from train.history.timeline.rows import Row
from train.pictures.style import LIGHT


class Style(NamedTuple):
    """How a run is drawn."""

    color: int  # index in train.pictures.style.LIGHT: the rank of its paper
    variant: int  # its rank among the runs of that paper


def styles(rows: Sequence[Row]) -> list[Style]:
    """Return the style of each row."""
    seen: dict[object, int] = {}
    out = []
    for row in rows:
        key = row.paper or row.model
        variant = seen.get(key, 0)
        seen[key] = variant + 1
        out.append(Style(list(seen).index(key) % len(LIGHT), variant))
    return out
