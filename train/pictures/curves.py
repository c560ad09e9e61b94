"""Learning curves of several runs: a panel for each metric, a color for each run."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from train.metrics.format import is_share, title
from train.pictures.figures import frame, heading, make_page
from train.pictures.style import LIGHT, SOFT

DASHES = ("-", "--", ":", "-.")  # another kind of line for every eight runs
LONGEST = 44  # characters of a label


class Line(NamedTuple):
    """A curve of one run."""

    number: int  # of the run: its color
    label: str  # "" for no entry in the legend
    points: Sequence[tuple[int, float]]  # (step, value)
    thin: bool = False  # of training, beside that of validation


def draw(panels: Mapping[str, Sequence[Line]], heading_: str, note: str) -> Any:
    """Return a matplotlib Figure with a panel for each metric. panels: metric -> its curves."""
    lines = max(len(own) for own in panels.values())
    page = make_page(5.2 * len(panels) + 3.2, max(4.4, 2.2 + 0.24 * lines))
    grid = page.subplots(1, len(panels), squeeze=False)[0]
    for axes, (metric, own) in zip(grid, panels.items(), strict=True):
        _panel(axes, metric, own)
    handles, labels = grid[0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside right upper", frameon=False, labelcolor=SOFT, fontsize=9)
    heading(page, heading_, note)
    return page


def _panel(axes: Any, metric: str, lines: Sequence[Line]) -> None:
    from matplotlib.ticker import FuncFormatter

    frame(axes)
    for line in lines:
        steps, values = [step for step, _ in line.points], [value for _, value in line.points]
        label = line.label if len(line.label) <= LONGEST else f"…{line.label[1 - LONGEST :]}"
        axes.plot(
            steps,
            values,
            DASHES[line.number // len(LIGHT) % len(DASHES)],
            color=LIGHT[line.number % len(LIGHT)],
            linewidth=0.9 if line.thin else 1.7,
            alpha=0.55 if line.thin else 1,
            marker="o" if len(steps) == 1 else None,
            markersize=4,
            # Matplotlib leaves out what begins with an underscore, and reads a formula between dollar signs.
            label=label.replace("$", r"\$") if label and not line.thin else "_",
        )
    if is_share(metric):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    name = title(metric)
    axes.set_title(f"{name[0].upper()}{name[1:]}", loc="left", size=10, color=SOFT, pad=10)
    axes.set_xlabel("Step", color=SOFT, labelpad=8)
