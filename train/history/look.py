"""Colours that page and picture share: one for each paper, so that an idea looks the same everywhere."""

from collections.abc import Sequence

from train.history.timeline import Row

# ochre, brick, magenta, violet, blue, teal, green, slate; at least 4.5 : 1 against the background,
# because labels are written in them.
LIGHT = ("#8f6200", "#bd4228", "#ad2f78", "#6748c2", "#1c68ad", "#0c7263", "#48720f", "#596370")
DARK = ("#dfb04a", "#f08c72", "#ec80bb", "#ac98f6", "#72b5ef", "#52c9b4", "#9fcb60", "#abb5c1")


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
