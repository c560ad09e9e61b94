"""The figure of `zoo compress`: the metric against the parameters, and the singular values of each layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.metrics.format import human, is_share, title
from train.pictures.style import GRID, INK, LIGHT, SOFT
from train.studies.compress.curve import Network, Point

BRICK, BLUE = LIGHT[1], LIGHT[4]
MOST = 8  # layers in the figure: the largest ones


def draw(name: str, network: Network, points: Sequence[Point], chosen: Point, metric: str) -> Any:
    """Return a matplotlib Figure. points[0] is the full network."""
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    page = Figure(figsize=(12, 4.9), dpi=150, facecolor="white")
    page.set_layout_engine("constrained", w_pad=0.16, h_pad=0.12, wspace=0.04)
    against_size, against_rank = page.subplots(1, 2)
    _curve(against_size, points, chosen, metric)
    _spectra(against_rank, network, chosen)
    page.suptitle(
        f"{name}, truncated to its largest singular values", x=0.013, ha="left", size=16, color=INK, family="serif"
    )
    share = 100 * chosen.params / points[0].params
    level = f"energy {chosen.energy:g}" if chosen.rank is None else f"rank {chosen.rank}"
    note = (
        f"Chosen: {level}, {chosen.params:,} of {points[0].params:,} parameters ({share:.0f} %), not trained further."
    )
    page.supxlabel(note, x=0.013, ha="left", size=8.5, color=SOFT)
    return page


def _curve(axes: Any, points: Sequence[Point], chosen: Point, metric: str) -> None:
    from matplotlib.ticker import FuncFormatter

    _frame(axes)
    full, cut = points[0], [point for point in points if point.ranks]  # the others are the full network
    values = [point.validation[metric] for point in cut]
    axes.axhline(full.validation[metric], color=SOFT, linewidth=1.2, linestyle="--")
    axes.annotate(
        "full network",
        (0, full.validation[metric]),
        (2, 4),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        color=SOFT,
        size=9,
    )
    axes.plot([point.params for point in cut], values, "-o", color=BLUE, linewidth=1.4, markersize=5.5)
    axes.plot(full.params, full.validation[metric], "o", color=SOFT, markersize=6)
    axes.plot(chosen.params, chosen.validation[metric], "o", color=BRICK, markersize=8)
    for point in cut:  # the labels are below and to the right, where a rising curve leaves room
        axes.annotate(
            f"{point.energy:g}" if point.rank is None else f"{point.rank}",
            (point.params, point.validation[metric]),
            (5, -12),
            textcoords="offset points",
            color=BRICK if point == chosen else BLUE,
            size=8.5,
        )
    if is_share(metric):
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: human(int(count))))
    axes.set_xlim(left=0)
    axes.margins(y=0.14)
    axes.set_xlabel("Parameters", color=SOFT, labelpad=8)
    name = title(metric)
    level = "energy kept" if chosen.rank is None else "rank kept"
    axes.set_title(f"{name[0].upper()}{name[1:]} on validation, by {level}", loc="left", size=10, color=SOFT, pad=10)


def _spectra(axes: Any, network: Network, chosen: Point) -> None:
    """Draw the share of the r largest in the sum of the squared singular values, and the chosen rank of each layer."""
    _frame(axes)
    largest = sorted(network.spectra.items(), key=lambda item: -item[1].size)[:MOST]
    for color, (path, spectrum) in zip(LIGHT, largest, strict=False):
        name = "/".join(path)
        held = np.cumsum(spectrum.s**2) / max(np.sum(spectrum.s**2), np.finfo(float).tiny)
        ranks = np.arange(1, len(held) + 1)
        size = f"{len(spectrum.u)} × {spectrum.v.shape[1]}"
        cut = chosen.ranks.get(name)
        label = f"{name} ({size}), {f'rank {cut}' if cut else 'not truncated'}"
        axes.plot(ranks, held, "-" if cut else ":", color=color, linewidth=1.6, label=label)
        if cut:
            axes.plot(cut, held[cut - 1], "o", color=color, markersize=6)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda rank, _: f"{rank:g}")
    axes.xaxis.set_minor_formatter(lambda rank, _: "")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.set_xlabel("Rank", color=SOFT, labelpad=8)
    axes.set_title("Share of the squared singular values", loc="left", size=10, color=SOFT, pad=10)
    axes.legend(frameon=False, labelcolor=SOFT, fontsize=8.5, loc="lower right")


def _frame(axes: Any) -> None:
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, length=0, labelsize=9)
    axes.spines[:].set_visible(False)
