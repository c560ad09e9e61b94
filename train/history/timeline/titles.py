"""Titles that state a finding: what the figures of a comparison come to, by rules that hold whatever the figures are.

Nothing is called better unless the 95 % intervals of the two are apart. Where an interval is not known, the figures
are given and no more is said.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal

from train.config import metrics
from train.config.metrics import Metric
from train.history.timeline.comparison import Comparison, Entry
from train.history.timeline.words import Words

Kind = Literal["none", "one", "moved", "risen", "level", "oldest", "oldest_said"]
MOST = 3  # names in a list


@dataclasses.dataclass(frozen=True)
class Story:
    """What a comparison comes to.

    kind: "none" and "one": too few figures; "risen": the best is better than the oldest; "moved": their intervals are
    not known; "level": the best cannot be told from the oldest; "oldest": the oldest is better than every other;
    "oldest_said": the oldest has the best figure, and not every interval is known.
    first: the oldest entry. best: the one with the best figure. rival: where the oldest has the best figure, the best
    of the others. level: later entries that cannot be told from the best. behind: the youngest, if it is worse.
    """

    kind: Kind
    first: Entry | None = None
    best: Entry | None = None
    rival: Entry | None = None
    level: tuple[Entry, ...] = ()
    behind: Entry | None = None


def known(comparison: Comparison) -> list[Entry]:
    """Return the entries with a finite figure and a year, oldest first."""
    there = [e for e in comparison.entries if e.year is not None and _finite(e.value)]
    return sorted(there, key=year_of)  # stable: within a year in the order of the catalogue


def value_of(entry: Entry) -> float:
    """Return the figure of an entry that `known` gave."""
    assert entry.value is not None, entry
    return entry.value


def year_of(entry: Entry) -> int:
    """Return the year of an entry that `known` gave."""
    assert entry.year is not None, entry
    return entry.year


def apart(one: Entry, other: Entry) -> bool | None:
    """Whether the intervals of two entries have no point in common; None where one is not known."""
    ends = (one.low, one.high, other.low, other.high)
    if not all(map(_finite, ends)):
        return None
    low, high, its_low, its_high = (float(end) for end in ends if end is not None)
    return high < its_low or its_high < low


def story(comparison: Comparison) -> Story:
    """Return what the figures of a comparison come to."""
    entries, name = known(comparison), comparison.metric.name
    if not entries:
        return Story("none")
    first = entries[0]
    if len(entries) == 1:
        return Story("one", first, first)
    best = _best(entries, name)
    others = [entry for entry in entries if entry is not best]
    if best is first:
        return _of_oldest(first, others, name)
    told = apart(best, first)
    if told is None:
        return Story("moved", first, best)
    level = tuple(entry for entry in others if entry is not first and apart(entry, best) is False)
    if not told:
        return Story("level", first, best, level=level)
    last = entries[-1]
    behind = last if last is not best and year_of(last) > year_of(best) and apart(last, best) else None
    return Story("risen", first, best, level=level, behind=behind)


def _of_oldest(first: Entry, others: Sequence[Entry], metric: str) -> Story:
    rival = _best(others, metric)
    told = [apart(first, entry) for entry in others]
    level = tuple(entry for entry, found in zip(others, told, strict=True) if found is False)
    if level:
        return Story("level", first, first, rival=_best(level, metric), level=level)
    return Story("oldest" if all(told) else "oldest_said", first, first, rival=rival)


def _best(entries: Sequence[Entry], metric: str) -> Entry:
    """Return the entry with the best figure, of several the oldest."""
    return max(entries, key=lambda entry: metrics.score(metric, value_of(entry)))


def title(found: Story, comparison: Comparison, names: Mapping[int, str], t: Words) -> str:
    """Return the sentence of a story. `names`: id of an entry -> what readers call it."""
    if found.first is None or found.best is None:
        return t("title_none")
    first, best, metric = found.first, found.best, comparison.metric
    other = found.rival or found.best
    pair = (first, other) if other is not first else (first,)
    figures = dict(zip(map(id, pair), values(metric, [value_of(e) for e in pair], t), strict=True))
    said = {
        "metric": t.plain(metric.title),
        "first": names[id(first)],
        "first_year": first.year,
        "first_value": figures[id(first)],
        "best": names[id(other)],
        "best_year": other.year,
        "best_value": figures[id(other)],
    }
    if found.kind == "risen":
        sentence = t("title_rose" if metric.better == "higher" else "title_fell", **said)
    else:
        sentence = t(f"title_{found.kind}", **said)
    if found.kind == "risen" and found.behind is not None:
        value = values(metric, [value_of(found.behind)], t)[0]
        behind = names[id(found.behind)]
        sentence += t("title_behind", name=behind, year=found.behind.year, value=value)
    elif found.kind == "risen" and found.level:
        listed = ", ".join(names[id(entry)] for entry in found.level[:MOST])
        sentence += t("title_level_with", names=listed + " …" * (len(found.level) > MOST), best=names[id(best)])
    return sentence


def values(metric: Metric, figures: Sequence[float], t: Words) -> list[str]:
    """Return figures as a title says them: with one decimal, or with more where two would read alike."""
    scale, unit = (100.0, " %") if metric.share else (1.0, f" {t.plain(metric.unit)}" if metric.unit else "")
    said: list[str] = []
    for digits in (1, 2, 3, 4):
        said = [f"{scale * figure:.{digits}f}{unit}" for figure in figures]
        if len(set(said)) == len(set(figures)):
            break
    return said


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
