"""Charts of our own: a comparison over the years, laid out in units of its drawing, so that it reads without scripts.

A chart is as wide as a phone, so that its letters keep their size: wider windows show several charts beside each other.
"""

import itertools
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from train.config import metrics
from train.config.metrics import Bounds
from train.history.timeline import titles
from train.history.timeline.comparison import Comparison, Entry
from train.history.timeline.paper_values import Published, published

WIDTH, HEIGHT = 380.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 42.0, 32.0, 30.0, 26.0  # margins
LETTER = 12.0  # height of a letter
POINT, DIAMOND = 4.5, 6.5  # radius of a mark
ROOM = 4.0  # between a label and what is beside it
LONGEST = 22  # characters of a label
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # of a scale, times a power of ten


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: "Box") -> float:
        """The area that it shares with another one."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


class Tick(NamedTuple):
    at: float
    text: str


class Label(NamedTuple):
    x: float
    y: float
    anchor: str
    text: str
    box: Box


class Mark(NamedTuple):
    """One entry: its point, its interval, its label, and the published figure at the same year."""

    entry: Entry
    x: float
    y: float
    top: float | None
    bottom: float | None
    label: Label
    published: Published | None
    published_y: float | None


class Chart(NamedTuple):
    """The places of all that is drawn. `line` is the path of the best figure so far."""

    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    line: str


def chart(comparison: Comparison, names: Mapping[int, str]) -> Chart | None:
    """Lay out a comparison over the years; None where no entry has a figure and a year.

    names: id of an entry -> its label.
    """
    entries = titles.known(comparison)
    if not entries:
        return None
    name, share = comparison.metric.name, comparison.metric.share
    years = _years([float(titles.year_of(entry)) for entry in entries])
    printed = [published(entry.exhibit.config or entry.exhibit.name, name) for entry in entries]
    limits = metrics.bounds(name, comparison.dataset)
    ends = [_interval(entry, limits) for entry in entries]
    shown = [titles.value_of(entry) for entry in entries]
    shown += [end for pair in ends if pair for end in pair] + [one.value for one in printed if one]
    scale = _scale(shown, limits)

    def x(year: float) -> float:
        return LEFT + (year - years[0]) / (years[1] - years[0]) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - scale[0]) / (scale[1] - scale[0]) * (HEIGHT - TOP - BOTTOM)

    points = [(x(float(titles.year_of(entry))), y(titles.value_of(entry))) for entry in entries]
    bars = [(y(pair[1]), y(pair[0])) if pair else None for pair in ends]
    hollow = [y(one.value) if one else None for one in printed]
    line = list(_best_so_far(entries, points, name))
    texts = [names[id(entry)] for entry in entries]
    labels = _labels(points, bars, hollow, line, texts)
    marks = tuple(
        Mark(entry, a, b, bar[0] if bar else None, bar[1] if bar else None, label, one, at)
        for entry, (a, b), bar, label, one, at in zip(entries, points, bars, labels, printed, hollow, strict=True)
    )
    path = f"M {line[0][0]:.1f} {line[0][1]:.1f} " + " ".join(f"L {a:.1f} {b:.1f}" for a, b in line[1:])
    return Chart(marks, tuple(_year_ticks(years, x)), tuple(_value_ticks(scale, y, share)), path)


def width_of(text: str, letter: float = LETTER) -> float:
    """Return how wide a bold text is at most, in units of the drawing. Chinese and Korean letters are wide."""
    return letter * sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.64 for sign in text)


def wrapped(text: str, width: float, letter: float = LETTER) -> list[str]:
    """Return a text as lines that are at most `width` wide; a word that is longer than a line stands alone."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, letter) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def short(text: str, longest: int = LONGEST) -> str:
    """Return a text cut to a number of letters, the last one then "…"."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _interval(entry: Entry, limits: Bounds) -> tuple[float, float] | None:
    """Return the interval of an entry inside the bounds of its metric."""
    low, high = entry.low, entry.high
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return None
    if not limits.contain([titles.value_of(entry)]):
        return low, high  # they do not hold here, such as those of an environment with another time limit
    return limits.clip(low), limits.clip(high)


def _years(years: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: a little further than the years, and never of no length."""
    pad = max(1.0, 0.04 * (max(years) - min(years)))
    return min(years) - pad, max(years) + pad


def _scale(shown: Sequence[float], limits: Bounds) -> tuple[float, float]:
    """Return the ends of the scale: a little further than all that is shown, but not beyond the metric's bounds."""
    low, high = min(shown), max(shown)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    out = (low - pad, high + pad)
    if limits.contain(shown):
        out = (limits.clip(out[0]), limits.clip(out[1]))
    return out if out[1] > out[0] else (out[0] - pad, out[1] + pad)


def _nice(low: float, high: float, most: int) -> list[float]:
    """Return round values between two ends, at most about `most` of them."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * one for one in STEPS if power * one >= rough), 10.0 * power)
    first = math.ceil(low / step - 1e-9)
    return [step * number for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _value_ticks(scale: tuple[float, float], y: Callable[[float], float], share: bool) -> Iterator[Tick]:
    factor = 100.0 if share else 1.0
    for value in _nice(factor * scale[0], factor * scale[1], 5):
        yield Tick(y(value / factor), f"{value:.10g}")


def _year_ticks(years: tuple[float, float], x: Callable[[float], float]) -> Iterator[Tick]:
    """Yield round years; the step is whole."""
    values = [value for value in _nice(*years, 6) if value == round(value)]
    for value in values:
        yield Tick(x(value), f"{value:.0f}")


def _best_so_far(
    entries: Sequence[Entry], points: Sequence[tuple[float, float]], metric: str
) -> Iterator[tuple[float, float]]:
    """Yield the corners of the line that goes along the best figure so far, to the right end."""
    best, height = -math.inf, 0.0
    for entry, (x, y) in zip(entries, points, strict=True):
        score = metrics.score(metric, titles.value_of(entry))
        if score > best:
            if best > -math.inf:
                yield x, height
            yield x, y
            best, height = score, y
    yield WIDTH - RIGHT, height


def _labels(
    points: Sequence[tuple[float, float]],
    bars: Sequence[tuple[float, float] | None],
    hollow: Sequence[float | None],
    line: Sequence[tuple[float, float]],
    texts: Sequence[str],
) -> list[Label]:
    """Place a label beside each point where it covers the least of marks, intervals, the line and other labels."""
    marks = [_around(x, y, POINT + 1) for x, y in points]
    marks += [Box(x - 2, bar[0], x + 2, bar[1]) for (x, _), bar in zip(points, bars, strict=True) if bar]
    marks += [_around(x, y, DIAMOND) for (x, _), y in zip(points, hollow, strict=True) if y is not None]
    stripes = [
        Box(min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in itertools.pairwise(line)
    ]
    spots = [
        [_spot(x, y, dx, dy, reach, short(text)) for reach in REACHES for dx, dy in AROUND]
        for (x, y), text in zip(points, texts, strict=True)
    ]

    def cost(spot: tuple[float, Label], others: Sequence[Label]) -> float:
        reach, label = spot
        box = label.box
        outside = max(0.0, LEFT - box.left) + max(0.0, box.right - WIDTH) + max(0.0, TOP - ROOM - box.top)
        outside += max(0.0, box.bottom - (HEIGHT - BOTTOM))
        covered = sum(box.shared(other) for other in (*marks, *(other.box for other in others)))
        crossed = sum(box.shared(one) for one in stripes)
        return (4 * covered + COVERED if covered else 0.0) + 0.6 * crossed + 60 * outside + reach**2 / NEAR

    found: list[Label] = []
    for own in spots:
        found.append(min(own, key=lambda spot: cost(spot, found))[1])
    for _ in range(ROUNDS):  # those that were placed first make room for those that came later
        for number, own in enumerate(spots):
            others = [*found[:number], *found[number + 1 :]]
            found[number] = min(own, key=lambda spot, others=others: cost(spot, others))[1]
    return found


REACHES, NEAR, ROUNDS = (9, 16, 26, 40, 58, 80), 16, 3
"""Distances from the point that are tried, in pixels; one costs its square over NEAR; how often all are tried again."""
COVERED = 100
"""What it costs to cover anything at all, however little: as much as a label that is so many pixels further away."""
AROUND = ((1.0, 0.0), (-1.0, 0.0), (0.8, -0.8), (-0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (0.0, -1.0), (0.0, 1.0))
"""Directions in which a label is tried."""


def _spot(x: float, y: float, dx: float, dy: float, reach: float, text: str) -> tuple[float, Label]:
    """Return the label of a point in one direction, and how far away it is."""
    width, at, middle = width_of(text), x + dx * reach, y + dy * (reach + 4 * (dx == 0))
    anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
    left = at if dx > 0 else at - width if dx < 0 else at - width / 2
    box = Box(left - ROOM / 2, middle - LETTER / 2 - 1, left + width + ROOM / 2, middle + LETTER / 2 + 1)
    return reach, Label(at, middle, anchor, text, box)


def _around(x: float, y: float, radius: float) -> Box:
    return Box(x - radius, y - radius, x + radius, y + radius)
