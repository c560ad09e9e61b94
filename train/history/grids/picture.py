"""The picture of a grid, a heat map: the darker a cell, the smaller its test error, on a logarithmic scale.

That of a ladder has a point for each rung.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.history.grids import ladder, table, variance
from train.history.grids.cells import name_of
from train.history.grids.results import interval
from train.pictures.style import INK, LIGHT, SOFT
from zoo.files import atomic_file

PALE, DEEP = "#f3efe7", LIGHT[4]  # of the largest and the least error
WIDTH, HEIGHT, MARGIN = 1.55, 0.78, 2.6  # inches: of a cell, and what stands around all of them
STEP = 0.55  # inches: of a rung of a ladder


def save(found: Mapping[str, Any], path: Path) -> None:
    """Draw a grid to a PNG."""
    with atomic_file(path) as temporary:
        draw(found).savefig(temporary, format="png")


def draw(found: Mapping[str, Any]) -> Any:
    """Return a matplotlib Figure. Cells that are not there are blank. Names are never parsed as mathematics."""
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    rows, columns = found["rows"], found["columns"]
    is_ladder = ladder.is_ladder(found)
    tall = STEP * len(columns) if is_ladder else HEIGHT * len(rows)
    size = (9.0 if is_ladder else max(7.5, WIDTH * len(columns) + 2), tall + MARGIN)
    figure = Figure(figsize=size, dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.12)
    axes = figure.subplots()
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", colors=SOFT, length=0)
    if is_ladder:
        _rungs(axes, found)
    else:
        axes.set_xticks(range(len(columns)), [column["says"] for column in columns], color=INK)
        axes.set_yticks(range(len(rows)), [table.with_year(row) for row in rows], color=INK)
        axes.xaxis.tick_top()
        _cells(axes, found)
        axes.set_xlabel(found["column"], color=SOFT, parse_math=False)
        axes.set_ylabel(found["row"], color=SOFT, parse_math=False)
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    figure.suptitle(found["title"], x=0.013, ha="left", size=15, color=INK, family="serif", parse_math=False)
    note = "\n".join([*table.sentences(found), table.budget(found)])
    wide = int(size[0] * 15)  # letters in a line
    figure.supxlabel(_wrapped(note, wide), x=0.013, ha="left", size=9, color=SOFT, parse_math=False)
    return figure


def _cells(axes: Any, found: Mapping[str, Any]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    there = {name_of(cell["row"], cell["column"]): cell for cell in found["cells"]}
    errors = np.full((len(found["rows"]), len(found["columns"])), np.nan)
    for i, row in enumerate(found["rows"]):
        for j, column in enumerate(found["columns"]):
            if cell := there.get(name_of(row["name"], column["name"])):
                errors[i, j] = np.mean(variance.log_errors(cell["values"], cell["examples"]))
    colors = LinearSegmentedColormap.from_list("errors", [DEEP, PALE]).with_extremes(bad="white")
    known = errors[np.isfinite(errors)]
    scale = Normalize(known.min() - 1e-9, known.max() + 1e-9) if len(known) else None
    axes.imshow(np.ma.masked_invalid(errors), cmap=colors, norm=scale, aspect="auto")
    axes.set_xticks(np.arange(errors.shape[1] + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(errors.shape[0] + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=3)
    for (i, j), error in np.ndenumerate(errors):
        if not np.isfinite(error):
            axes.text(j, i, "–", ha="center", va="center", color=SOFT)
            continue
        cell = there[name_of(found["rows"][i]["name"], found["columns"][j]["name"])]
        color = "white" if scale is not None and scale(error) < 0.38 else INK
        mean, low, high = interval(cell)
        mark = table.MARK * bool(table.notes_of(cell))
        axes.text(j, i - 0.1, f"{100 * mean:.1f} %{mark}", ha="center", va="center", color=color)
        axes.text(
            j,
            i + 0.25,
            f"{100 * low:.1f} to {100 * high:.1f}",
            ha="center",
            va="center",
            size=7.5,
            color=color,
        )


def _rungs(axes: Any, found: Mapping[str, Any]) -> None:
    """Draw a ladder from above to below: the error of each rung, its interval and its change."""
    names = [table.with_year(column) for column in found["columns"]]
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(len(names) - 0.4, -0.6)
    place = {column["name"]: i for i, column in enumerate(found["columns"])}
    for rung in ladder.rungs(found):
        i, (error, low, high) = place[rung.column["name"]], rung.error
        axes.plot([low, high], [i, i], color=DEEP, linewidth=2, solid_capstyle="butt")
        axes.plot(error, i, "o", color=DEEP, markersize=7)
        mark = table.MARK * bool(table.notes_of(rung.cell))
        axes.text(error, i - 0.16, f"{error:.2f} %{mark}", ha="center", va="bottom", color=INK)
        if rung.change is not None:
            axes.text(error, i + 0.16, f"{rung.change:+.2f}", ha="center", va="top", color=SOFT, size=7.5)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=SOFT, alpha=0.2)
    axes.set_xlabel(f"test error of {found['rows'][0]['says']}, percent; below it the change", color=SOFT)
    axes.xaxis.label.set_parse_math(False)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(line for part in text.splitlines() for line in textwrap.wrap(part, width))
