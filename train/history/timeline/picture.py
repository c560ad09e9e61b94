"""The figure of the timeline: test accuracy against year and against parameters."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.history.timeline.colors import Style, styles
from train.history.timeline.rows import Row, budget, interval_note
from train.metrics.format import human
from train.pictures.style import GRID, INK, LIGHT, SOFT
from zoo.files import atomic_file

MARKERS = "oDs^vP"
TWIN_YEARS = 1.1  # distance, in years, of models of the same year
REACHES = (11, 24, 38, 56, 78)  # possible distances of a label from its point, in points of 1/72 inch
SIDES = ((1, 0), (-1, 0), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8), (0, 1), (0, -1))


def write(rows: Sequence[Row], folder: Path) -> Path:
    """Write the figure as timeline.png to `folder`. Returns its path."""
    path = folder / "timeline.png"
    figure = draw(rows)
    with atomic_file(path, make_folder=True) as temporary:
        figure.savefig(temporary, format="png")
    return path


def draw(rows: Sequence[Row]) -> Any:
    """Return a matplotlib Figure of 1950 × 930 pixels. Rows without a test accuracy are left out."""
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(13, 6.2), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.14, wspace=0.03)
    panels = figure.subplots(1, 2, sharey=True, width_ratios=(6, 5))
    known = [(row, style) for row, style in zip(rows, styles(rows), strict=True) if row.accuracy is not None]
    years = _side_by_side([row.year for row, _ in known])
    params = [row.params or None for row, _ in known]
    panels[1].set_xscale("log")
    panels[1].xaxis.set_major_formatter(FuncFormatter(lambda count, _: human(count)))
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    panels[0].set_title("Test accuracy", loc="left", size=10, color=SOFT, pad=10)
    for axes, title, places in zip(panels, ("Year of the paper", "Parameters"), (years, params), strict=True):
        axes.set_xlabel(title, color=SOFT, labelpad=8)
        axes.grid(color=GRID, linewidth=0.8)
        axes.tick_params(which="both", colors=SOFT, length=0)
        axes.spines[:].set_visible(False)
        axes.margins(x=0.14, y=0.06)
        _points(axes, known, places)
    figure.suptitle("What each idea bought", x=0.013, ha="left", size=19, color=INK, family="serif")
    note = ". ".join(filter(None, (budget(rows), interval_note(rows))))
    figure.supxlabel(note, x=0.013, ha="left", size=9, color=SOFT, parse_math=False)
    figure.draw_without_rendering()  # computes the layout, which the labels need and must not change
    for axes, places in zip(panels, (years, params), strict=True):
        _labels(axes, known, places)
    return figure


def _side_by_side(years: Sequence[int | None]) -> list[float | None]:
    """Return the years with equal ones moved apart."""
    twins, seen, out = Counter(years), Counter(), []
    for year in years:
        out.append(None if year is None else year + TWIN_YEARS * (seen[year] - (twins[year] - 1) / 2))
        seen[year] += 1
    return out


def _points(axes: Any, known: Sequence[tuple[Row, Style]], places: Sequence[float | None]) -> None:
    for (row, (color, variant)), x in zip(known, places, strict=True):
        if x is not None:
            if row.low is not None:
                axes.plot([x, x], [row.low, row.high], color=LIGHT[color], linewidth=1.4, zorder=2)
            axes.plot(x, row.accuracy, MARKERS[variant % len(MARKERS)], color=LIGHT[color], markersize=7.5, zorder=3)


def _labels(axes: Any, known: Sequence[tuple[Row, Style]], places: Sequence[float | None]) -> None:
    """Write each name next to its point, where it covers as little as possible of points, intervals and other names."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    shown = [(row, style, x) for (row, style), x in zip(known, places, strict=True) if x is not None]
    taken = []
    for row, _, x in shown:
        marks = axes.transData.transform(
            [(x, y) for y in (row.low or row.accuracy, row.accuracy, row.high or row.accuracy)]
        )
        (px, low), (_, middle), (_, high) = marks
        taken += [Bbox([[px - 14, middle - 14], [px + 14, middle + 14]]), Bbox([[px - 6, low], [px + 6, high]])]
    for row, (color, _), x in shown:
        at, ink = (x, row.accuracy), LIGHT[color]
        label = axes.annotate(row.label, at, (0, 0), textcoords="offset points", color=ink, size=10, weight="bold")
        label.set(parse_math=False, in_layout=False, path_effects=[withStroke(linewidth=3, foreground="white")])
        taken.append(_place_label(label, taken, axes.bbox))
        if max(map(abs, label.get_position())) > REACHES[0]:
            line = {"arrowstyle": "-", "color": ink, "lw": 0.8, "alpha": 0.6, "shrinkA": 0, "shrinkB": 4}
            axes.annotate("", at, label.get_position(), textcoords="offset points", arrowprops=line).set_in_layout(
                False
            )


def _place_label(label: Any, taken: Sequence[Any], frame: Any) -> Any:
    """Move `label` to the position with the lowest cost. Returns its box in pixels."""
    from matplotlib.transforms import Bbox

    best = None
    for reach in REACHES:
        for dx, dy in SIDES:
            label.set_position((dx * reach, dy * reach))
            label.set(ha="left" if dx > 0 else "right" if dx < 0 else "center", va="center")
            box = Bbox.padded(label.get_window_extent(), 3)
            covered = sum(
                (hit := Bbox.intersection(box, other)) is not None and hit.width * hit.height for other in taken
            )
            outside = sum(
                max(0, d) for d in (frame.x0 - box.x0, box.x1 - frame.x1, frame.y0 - box.y0, box.y1 - frame.y1)
            )
            cost = 2 * covered + 100 * outside + 4 * reach
            if best is None or cost < best[0]:
                best = cost, label.get_position(), label.get_ha(), box
    assert best is not None, "no REACHES or no SIDES"
    _, position, side, box = best
    label.set_position(position)
    label.set_ha(side)
    return box
