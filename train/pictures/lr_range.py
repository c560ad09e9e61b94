"""The picture of a learning-rate range test: the loss against the rate."""

from typing import Any

import numpy as np

from train.pictures.figures import frame, heading, make_page
from train.pictures.style import LIGHT, SOFT

BRICK, BLUE, TEAL = LIGHT[1], LIGHT[4], LIGHT[5]


def draw(
    rates: np.ndarray, losses: np.ndarray, smooth: np.ndarray, marks: dict[str, int | None], title: str, note: str
) -> Any:
    """Return a matplotlib Figure. marks: name -> the step that it marks; None where there is none."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    page = make_page(8.4, 4.6)
    axes = page.subplots()
    frame(axes)
    axes.plot(rates, losses, color=BLUE, linewidth=0.8, alpha=0.35)
    axes.plot(rates, smooth, color=BLUE, linewidth=1.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    # What comes after a divergence is so large that nothing else could be seen beside it.
    low, start = float(min(smooth.min(), np.quantile(losses, 0.02))), float(smooth[0])
    room = max(start - low, 1e-12)
    axes.set_ylim(low - 0.08 * room, max(start, float(smooth[: len(smooth) // 4 + 1].max())) + 0.45 * room)
    for color, (name, step) in zip((TEAL, BRICK), marks.items(), strict=False):
        if step is None:
            continue
        axes.axvline(rates[step], color=color, linewidth=1.2, linestyle="--")
        right = np.log(rates[step] / rates[0]) > 0.75 * np.log(rates[-1] / rates[0])
        axes.annotate(
            f"{name} {rates[step]:.2g}",
            (rates[step], 1),
            (-5 if right else 5, -12),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="right" if right else "left",
            color=color,
            size=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )
    axes.set_xlabel("Learning rate", color=SOFT, labelpad=8)
    axes.set_title("Training loss", loc="left", size=10, color=SOFT, pad=10)
    heading(page, title, note)
    return page
