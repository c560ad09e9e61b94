"""What the figures of matplotlib have in common: their page, the frame of their axes, their heading, their file."""

import textwrap
from pathlib import Path
from typing import Any

from train.pictures.style import GRID, INK, SOFT
from zoo.files import atomic_file


def make_page(width: float, height: float) -> Any:
    """Return an empty Figure of so many inches."""
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    page = Figure(figsize=(width, height), dpi=150, facecolor="white")
    page.set_layout_engine("constrained", w_pad=0.14, h_pad=0.12, wspace=0.04, hspace=0.06)
    return page


def frame(axes: Any) -> None:
    """Draw grid lines in place of spines and ticks."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, length=0, labelsize=9)
    axes.spines[:].set_visible(False)


def heading(page: Any, title: str, note: str) -> None:
    """Write the title above the figure and the note below, in lines that fit. A dollar sign from data is no formula."""
    wide = page.get_figwidth()
    title, note = textwrap.fill(title, int(7.5 * wide)), textwrap.fill(note, int(14 * wide))
    page.suptitle(title, x=0.013, ha="left", size=16, color=INK, family="serif", parse_math=False)
    page.supxlabel(note, x=0.013, ha="left", size=8.5, color=SOFT, parse_math=False)


def write(page: Any, path: Path) -> Path:
    """Write a Figure as a PNG file, whole or not at all, and return `path`. UserError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with atomic_file(path, make_folder=True) as temporary:
        FigureCanvasAgg(page).print_png(str(temporary))
    return path
