"""The charts of the tour: bars of recorded figures, and the curves of a claim's arms. Their places are shares of 100.

The template web/tour.html.j2 draws them as HTML and SVG, whose letters keep their size at any width.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from train.history.timeline.cells import plain
from train.history.timeline.findings import Finding
from train.history.timeline.tour.recorded import Recorded

APART = 9.0  # between two labels of curves, in percent of the height
STEPS = (1, 2, 5)  # ticks stand at these times a power of ten
EDGE = 0.06  # free share of the range above and below the curves


class Bar(NamedTuple):
    """A bar from the left; `low` and `high` are the ends of its interval. All in percent of the width, or None."""

    label: str
    text: str
    length: float
    low: float | None
    high: float | None
    color: int


class Line(NamedTuple):
    """A curve; `says` stands beside its right end at the height `at`, in percent from the top."""

    label: str
    points: str
    color: int
    at: float


class Tick(NamedTuple):
    """A mark of an axis, in percent from its beginning."""

    text: str
    at: float


class Curves(NamedTuple):
    """The curves of a claim's plot."""

    x: str
    y: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def bars(places: Sequence[str], labels: Mapping[str, str], colors: Sequence[int], recorded: Recorded) -> list[Bar]:
    """Return a bar for each place whose figure was recorded, from zero to the largest of figures and intervals."""
    found = [(place, color, recorded.figure(place)) for place, color in zip(places, colors, strict=True)]
    known = [(place, color, figure) for place, color, figure in found if figure and figure.value is not None]
    tops = [max(figure.value or 0.0, figure.high or 0.0) for _, _, figure in known]
    shares = all(figure.text.endswith("%") for _, _, figure in known)
    largest = max(tops, default=0.0)
    whole = 1.0 if shares and largest > 0.5 else largest or 1.0

    def share(value: float | None) -> float | None:
        return None if value is None else round(100 * min(max(value / whole, 0.0), 1.0), 2)

    return [
        Bar(labels[place], figure.text, share(figure.value) or 0.0, share(figure.low), share(figure.high), color)
        for place, color, figure in known
    ]


def curves(finding: Finding, labels: Mapping[str, str], x: str, y: str) -> Curves | None:
    """Draw the series of a claim's plot that have a label; None where nothing is there to draw."""
    plot = finding.plot
    log = bool(plot.get("log_y"))
    shown = {arm: points for arm in labels if (points := _points(plot, arm, log))}
    if not shown:
        return None
    everything = [point for points in shown.values() for point in points]
    x_range = (0.0, max(at for at, _ in everything))
    low, high = min(value for _, value in everything), max(value for _, value in everything)
    free = EDGE * (high - low) or 1.0
    y_range = (low - free, high + free)
    ends = {arm: _down(points[-1][1], y_range) for arm, points in shown.items()}
    heights = apart(list(ends.values()), APART, 100.0)
    lines = [
        Line(
            labels[arm],
            " ".join(f"{_along(at, x_range):.2f},{_down(value, y_range):.2f}" for at, value in points),
            color,
            round(height, 2),
        )
        for color, ((arm, points), height) in enumerate(zip(shown.items(), heights, strict=True))
    ]
    return Curves(x, y, lines, _x_ticks(x_range), _y_ticks(y_range, log))


def apart(heights: Sequence[float], room: float, whole: float) -> list[float]:
    """Move heights until neighbours are `room` apart, within 0 to `whole`; their order stays."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    floor = 0.0
    for i in order:
        moved[i] = max(moved[i], floor)
        floor = moved[i] + room
    ceiling = whole
    for i in reversed(order):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - room
    return moved


def _points(plot: Mapping[str, Any], arm: str, log: bool) -> list[tuple[float, float]]:
    series = next((one for one in plot.get("series", ()) if one["arm"] == arm), None)
    if series is None:
        return []
    pairs = zip(series["x"], series["mean"], strict=True)
    known = [(x, y) for x, y in pairs if isinstance(x, int | float) and y is not None and (y > 0 or not log)]
    return [(float(x), math.log10(y) if log else y) for x, y in known]


def _along(value: float, ends: tuple[float, float]) -> float:
    return 100 * (value - ends[0]) / ((ends[1] - ends[0]) or 1.0)


def _down(value: float, ends: tuple[float, float]) -> float:
    return 100 - _along(value, ends)


def _x_ticks(ends: tuple[float, float]) -> list[Tick]:
    stride = _stride(ends[1] - ends[0], 4)
    return [Tick(f"{i * stride:,.0f}", round(_along(i * stride, ends), 2)) for i in range(int(ends[1] / stride) + 1)]


def _y_ticks(ends: tuple[float, float], log: bool) -> list[Tick]:
    if log:
        powers = range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
        values = [step * 10.0**power for power in powers for step in STEPS]
        return [
            Tick(plain(value), round(_down(math.log10(value), ends), 2))
            for value in values
            if ends[0] <= math.log10(value) <= ends[1]
        ]
    stride = _stride(ends[1] - ends[0], 4)
    first = math.ceil(ends[0] / stride)
    return [
        Tick(plain(round(i * stride, 10)), round(_down(i * stride, ends), 2))
        for i in range(first, math.floor(ends[1] / stride) + 1)
    ]


def _stride(length: float, count: int) -> float:
    """Return the least of 1, 2 or 5 times a power of ten that divides `length` into at most `count` parts."""
    if length <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(length / count))
    return next(step * power for step in (*STEPS, 10) if step * power * count >= length)
