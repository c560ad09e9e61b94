"""The picture of a confusion matrix: a cell for each pair of classes, darker with its share of the true class."""

from typing import Any

import numpy as np

from train.metrics.confusion import Confusion
from train.pictures.attention import drawable, fonts
from train.pictures.figures import heading, make_page
from train.pictures.style import GRID, INK, LIGHT, SOFT

BRICK, BLUE = LIGHT[1], LIGHT[4]
COUNTED = 20  # classes up to which the counts are written into the cells
NAMED = 40  # classes up to which each one is named beside its row and column
LONGEST = 18  # characters of a name


def draw(confusion: Confusion, title: str, note: str) -> Any:
    """Return a matplotlib Figure. What was recognized is blue, what was confused is brick."""
    from matplotlib.colors import LinearSegmentedColormap

    classes = len(confusion.names)
    cell = 0.46 if classes <= COUNTED else 0.24 if classes <= NAMED else 0.09
    side = max(3.6, cell * classes)
    page = make_page(side + 2.6, side + 2.2)
    axes = page.subplots()
    total = confusion.counts.sum(1, keepdims=True)
    share = confusion.counts / np.maximum(total, 1)
    diagonal = np.eye(classes, dtype=bool)
    for color, hidden in ((BLUE, ~diagonal), (BRICK, diagonal)):
        colors = LinearSegmentedColormap.from_list(color, ["white", color])
        # The square root: one percent of a class is a rare error, and must still be seen.
        shown = np.ma.masked_array(np.sqrt(share) if color == BRICK else share, hidden)
        axes.imshow(shown, cmap=colors, vmin=0, vmax=1, interpolation="nearest")
    if classes <= COUNTED:
        _write_counts(axes, confusion.counts, share, diagonal)
    _dress(axes, confusion.names)
    heading(page, title, note)
    return page


def _write_counts(axes: Any, counts: np.ndarray, share: np.ndarray, diagonal: np.ndarray) -> None:
    """Write the count into each cell that is not zero, in white where the cell is dark."""
    dark = np.where(diagonal, share > 0.5, share > 0.25)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            size = 9 if count < 1_000 else 7.5 if count < 10_000 else 6
            color = "white" if dark[row, column] else INK
            axes.text(column, row, f"{count}", ha="center", va="center", size=size, color=color)


def _dress(axes: Any, names: tuple[str, ...]) -> None:
    classes = len(names)
    if classes <= NAMED:
        families, missing = fonts("".join(names))
        shown = [drawable(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…", missing) for name in names]
        turned = max(map(len, shown)) > 3
        axes.set_xticks(range(classes), shown, rotation=90 if turned else 0, family=families, parse_math=False)
        axes.set_yticks(range(classes), shown, family=families, parse_math=False)
    else:
        every = 10 if classes <= 200 else 100
        axes.set_xticks(range(0, classes, every))
        axes.set_yticks(range(0, classes, every))
    axes.tick_params(which="both", colors=SOFT, length=0, labelsize=9 if classes <= COUNTED else 7.5)
    axes.spines[:].set_color(GRID)
    if classes <= NAMED:
        axes.set_xticks(np.arange(1, classes) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, classes) - 0.5, minor=True)
        axes.grid(which="minor", color=GRID, linewidth=0.8)
    what = "class" if classes <= NAMED else "class (its number)"
    axes.set_xlabel(f"Predicted {what}", color=SOFT, labelpad=8)
    axes.set_ylabel(f"True {what}", color=SOFT, labelpad=8)
