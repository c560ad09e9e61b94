"""The figure of a claim: bars, curves or points, each with its 95 % interval and the value of every seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.history.claims.results import effect_text, in_percent, verdict_text
from train.pictures.style import GRID, INK, LIGHT, SOFT
from zoo.files import atomic_file

DASHES = ("-", "--", ":", "-.")


def save(claim: Mapping[str, Any], path: Path) -> None:
    """Draw the result of a claim to a PNG of 1650 x 930 pixels."""
    figure = draw(claim)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png")


def draw(claim: Mapping[str, Any]) -> Any:
    """Return a matplotlib Figure. Names are never parsed as mathematics."""
    from matplotlib.figure import Figure  # slow to import; no pyplot, so no global state

    figure = Figure(figsize=(11, 6.2), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.12)
    axes, plot = figure.subplots(), claim["plot"]
    axes.grid(color=GRID, linewidth=0.8, axis="y" if plot["kind"] == "bars" else "both")
    axes.tick_params(which="both", colors=SOFT, length=0)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    {"bars": _bars, "curve": _curves, "points": _curves}[plot["kind"]](axes, claim)
    if plot["log_x"]:
        axes.set_xscale("log")
    if plot["kind"] == "points":
        places = sorted({x for series in plot["series"] for x in series["x"]})
        axes.set_xticks(places, [f"{x:,.10g}" for x in places])
        axes.set_xticks([], minor=True)
    if plot["log_y"]:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis)
    axes.set_xlabel(plot["x"], color=SOFT, parse_math=False)
    axes.set_ylabel(plot["y"], color=SOFT, parse_math=False)
    if in_percent(claim):
        from matplotlib.ticker import FuncFormatter

        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    head = f"{claim['paper']}: {verdict_text(claim)}"
    figure.suptitle(head, x=0.013, ha="left", size=15, color=INK, family="serif", parse_math=False)
    axes.set_title(_wrapped(claim["says"], 120), loc="left", size=10, color=SOFT, pad=10, parse_math=False)
    lines = [
        f"{effect['says']}: {effect_text(effect, claim['metric'])}, {effect['verdict']}" for effect in claim["effects"]
    ]
    note = "\n".join([*lines, f"{claim['budget']}. Bands and bars: 95 % interval of the mean over seeds.".lstrip(". ")])
    figure.supxlabel(note, x=0.013, ha="left", size=9, color=SOFT, parse_math=False)
    return figure


def _plain_ticks(axis: Any) -> None:
    """Write "2.8" in place of "2.8 x 10^0" on a logarithmic axis that spans less than two powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = axis.get_view_interval()
    if low > 0 and high < 100 * low:
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(plain if high < 10 * low else NullFormatter())


def _bars(axes: Any, claim: Mapping[str, Any]) -> None:
    shown = [series["arm"] for series in claim["plot"]["series"]]
    arms = [arm for arm in claim["arms"] if arm["name"] in shown]
    for i, arm in enumerate(arms):
        color = LIGHT[i % len(LIGHT)]
        if arm["mean"] is not None:
            axes.bar(i, arm["mean"], width=0.6, color=color, alpha=0.25)
            if arm["low"] is not None:
                axes.plot([i, i], [arm["low"], arm["high"]], color=color, linewidth=1.6)
        values = [value for value in arm["values"] if value is not None]
        axes.plot([i + 0.08] * len(values), values, "o", color=color, markersize=4, alpha=0.8)
    axes.set_xticks(range(len(arms)), [arm["name"].replace("_", "\n") for arm in arms], color=INK)
    values = [value for arm in arms for value in arm["values"] if value is not None]
    if (
        values and min(values) > 0 and max(values) < 2 * min(values)
    ):  # the differences would be too small on an axis from zero
        pad = 0.25 * (max(values) - min(values)) or 0.1 * max(values)
        axes.set_ylim(min(values) - pad, max(values) + pad)


def _curves(axes: Any, claim: Mapping[str, Any]) -> None:
    points = claim["plot"]["kind"] == "points"
    for i, series in enumerate(claim["plot"]["series"]):
        color = LIGHT[i % len(LIGHT)]
        there = [k for k, mean in enumerate(series["mean"]) if mean is not None]
        x, mean = _pick(series["x"], there), _pick(series["mean"], there)
        style = {"linestyle": DASHES[i // len(LIGHT) % len(DASHES)], "marker": "o" if points else ""}
        axes.plot(x, mean, color=color, linewidth=1.8, markersize=5, label=series["arm"].replace("_", " "), **style)
        sure = [k for k in there if series["low"][k] is not None]
        band = [_pick(series[name], sure) for name in ("x", "low", "high")]
        axes.fill_between(*band, color=color, alpha=0.15, linewidth=0)
    if claim["plot"]["series"]:
        legend = axes.legend(frameon=False, labelcolor="linecolor")
        for text in legend.get_texts():
            text.set_parse_math(False)


def _pick(values: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    return [values[k] for k in indices]


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
