"""The forest plot of all claims: the headline effect of each on one scale, in multiples of what would count.

The first effect of a claim decides its verdict. Its size is seen in the direction that the paper expects and divided by
the claim's own margin, the smallest size that would count: a difference d at a margin m stands at d / m, a ratio r at
log r / log m. So 0 is no effect, and from 1 on it counts, whatever the unit. Far from 0 the scale is logarithmic.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from train.history.timeline.findings import VERDICTS, Finding, Size
from train.history.timeline.words import Words

TICKS = (-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300, 1000)
LEAST = (-2.0, 3.0)  # what the scale shows at the least
ORDER = ("holds", "undecided", "too small to matter", "contradicted", "does not hold")


class Bar(NamedTuple):
    """One claim. Places are shares of the width; a side of an interval that is not known is None."""

    finding: Finding
    at: float | None
    low: float | None
    high: float | None
    times: float | None  # the effect in multiples of the margin
    says: str  # the effect as the claim's room tells it, without its remarks


class Forest(NamedTuple):
    """All claims on one scale: its ticks, and the places of no effect and of the margin."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    margin: float


def multiples(size: Size | None) -> tuple[float, float | None, float | None] | None:
    """Return an effect and its interval in multiples of its margin, positive where the paper expects it.

    None without a figure or a margin, as of results that were recorded before effects had margins, and of a ratio that
    is not above 0.
    """
    if size is None or size.value is None or size.margin is None:
        return None
    ratio = size.kind == "ratio"
    unit = math.log(size.margin) if ratio and size.margin > 0 else size.margin
    if not unit > 0:
        return None
    found: list[float | None] = []
    for value in (size.value, size.low, size.high):
        if value is None:
            found.append(None)
        elif ratio and value <= 0:
            return None
        else:
            towards = 1 if size.expected == "higher" else -1
            found.append(towards * (math.log(value) if ratio else value) / unit)
    at, low, high = found
    if at is None or not math.isfinite(at):
        return None
    if low is not None and high is not None:
        low, high = min(low, high), max(low, high)
    return at, low, high


def forest(findings: Sequence[Finding]) -> Forest:
    """Place the headline effects of all claims, those that hold first, within a verdict the oldest first."""
    ordered = sorted(findings, key=lambda f: (ORDER.index(f.verdict), f.year))
    sizes = [multiples(f.effects[0].size if f.effects else None) for f in ordered]
    shown = [value for size in sizes if size for value in size if value is not None]
    ends = _stretched(min([LEAST[0], *shown])), _stretched(max([LEAST[1], *shown]))
    pad = 0.03 * (ends[1] - ends[0])
    low, high = ends[0] - pad, ends[1] + pad

    def place(value: float | None) -> float | None:
        return None if value is None else round((_stretched(value) - low) / (high - low), 4)

    def there(value: float) -> float:
        return place(value) or 0.0

    bars = []
    for finding, size in zip(ordered, sizes, strict=True):
        says = finding.effects[0].measured.partition(";")[0] if finding.effects else ""
        at, below, above = size or (None, None, None)
        bars.append(Bar(finding, place(at), place(below), place(above), at, says))
    ticks = tuple((there(tick), _signed(tick)) for tick in _kept(low, high))
    return Forest(tuple(bars), ticks, there(0.0), there(1.0))


def title(findings: Sequence[Finding], t: Words) -> str:
    """Return the sentence over the plot: how many claims there are and how many have each verdict."""
    count = Counter(finding.verdict for finding in findings)
    parts = [t(f"forest_{verdict.replace(' ', '_')}", n=count[verdict]) for verdict in ORDER if count[verdict]]
    return t("forest_title", n=len(findings), parts=", ".join(parts))


def _stretched(value: float) -> float:
    """Return a place on the scale: straight near 0, logarithmic further away."""
    return math.asinh(value)


def _kept(low: float, high: float) -> Iterator[int]:
    """Yield the ticks within the scale that are far enough from one another; 0 and 1 always are there."""
    for tick in TICKS:
        if low <= _stretched(tick) <= high and tick not in (-1,):
            yield tick


def _signed(tick: int) -> str:
    return f"−{-tick}" if tick < 0 else str(tick)


assert set(ORDER) == set(VERDICTS)
