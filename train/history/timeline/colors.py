"""Color and line style of each model family in the timeline's pictures."""

from collections.abc import Sequence

from train.history.timeline.rows import Row
from train.pictures.style import LIGHT


def styles(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """(colour, variant) of each row: the rank of its paper, and its rank among the rows of that paper."""
    seen: dict[object, int] = {}
    out = []
    for row in rows:
        key = row.paper or row.model
        variant = seen.get(key, 0)
        seen[key] = variant + 1
        out.append((list(seen).index(key) % len(LIGHT), variant))
    return out
