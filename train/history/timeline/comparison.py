"""Comparisons of models: all runs of one task on one data set by the same metric."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import train.tasks  # noqa: F401  fills the table of ways of learning
from train.config import metrics, ways
from train.config.data import is_scenes
from train.config.metrics import Metric
from train.history.timeline.exhibits import Exhibit
from train.metrics.statistics import wilson
from zoo.cards import Card


@dataclasses.dataclass(frozen=True)
class Entry:
    """One run in a comparison. `low` and `high` are its 95 % interval, or None."""

    exhibit: Exhibit
    label: str
    year: int | None
    value: float | None
    low: float | None
    high: float | None
    color: int
    variant: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The runs of one task on one data set whose figures mean the same, oldest model first."""

    id: str
    task: str
    dataset: str
    metric: Metric
    entries: tuple[Entry, ...]
    kind: str = "images"  # what they learn from
    terms: tuple[str, ...] = ()  # what they share and other groups on the data set do not: "data.tokenizer char"

    @property
    def best(self) -> Entry | None:
        """The entry with the best value."""
        name = self.metric.name
        known = [(metrics.score(name, entry.value), entry) for entry in self.entries if entry.value is not None]
        best = max(known, key=lambda pair: pair[0], default=None)
        return best[1] if best is not None else None

    @property
    def reaching(self) -> list[Entry]:
        """The entries whose intervals overlap that of the best."""
        best = self.best
        if best is None or best.low is None or best.high is None:
            return []
        low, high = best.low, best.high
        others = [entry for entry in self.entries if entry is not best]
        ends = [(e, e.low, e.high) for e in others if e.low is not None and e.high is not None]
        return [entry for entry, its_low, its_high in ends if its_high >= low and its_low <= high]


def compare(exhibits: Sequence[Exhibit], cards: Mapping[str, Card], least: int = 2) -> list[Comparison]:
    """Return a comparison for each task, data set and terms with at least `least` runs, by task, then by their number.

    Runs whose figures mean something else, such as losses for each character and for each piece, are kept apart.
    """
    groups: dict[Any, list[Exhibit]] = {}
    for exhibit in exhibits:
        if exhibit.task in ways.WAYS:
            terms = tuple(
                value if name == "budget" else f"{name} {value}" for name, value in sorted(exhibit.terms.items())
            )
            groups.setdefault((exhibit.task, exhibit.dataset, exhibit.kind, terms), []).append(exhibit)
    out = []
    tasks = list(ways.WAYS)
    for (task, dataset, kind, terms), members in sorted(
        groups.items(), key=lambda group: (tasks.index(group[0][0]), -len(group[1]))
    ):
        if len(members) >= least:
            metric = metrics.metric(ways.WAYS[task].compared_by)
            entries = _entries(members, metric, cards)
            out.append(Comparison(f"compare-{len(out)}", task, dataset, metric, entries, kind, terms))
    return out


def _entries(members: Sequence[Exhibit], metric: Metric, cards: Mapping[str, Card]) -> tuple[Entry, ...]:
    age = {name: index for index, name in enumerate(cards)}
    members = sorted(members, key=lambda e: (age.get(e.model, len(age)), e.name, e.seed or 0))
    labels = _labels(members)
    papers: list[object] = []
    seen: dict[object, int] = {}
    entries = []
    for exhibit, label in zip(members, labels, strict=True):
        card = cards.get(exhibit.model)
        paper = card.paper if card else exhibit.model
        if paper not in papers:
            papers.append(paper)
        seen[paper] = seen.get(paper, -1) + 1
        value = exhibit.test.get(metric.name)
        value = None if value is not None and metric.share and not 0 <= value <= 1 else value
        low, high = interval_of(exhibit, metric, value)
        year = card.year if card else None
        entries.append(Entry(exhibit, label, year, value, low, high, papers.index(paper) % 8, seen[paper]))
    return tuple(entries)


def _labels(members: Sequence[Exhibit]) -> list[str]:
    """Return a name for each run that tells it from the others: its model, or what it differs in."""
    labels = [exhibit.model for exhibit in members]
    ways_to_tell: list[Callable[[Exhibit], str]] = [
        lambda exhibit: f"{exhibit.name}, seed {exhibit.seed}",
        lambda exhibit: ", ".join(filter(None, (f"{exhibit.name}, seed {exhibit.seed}", exhibit.changes))),
    ]
    for tell in ways_to_tell:
        count = Counter(labels)
        labels = [tell(one) if count[label] > 1 else label for one, label in zip(members, labels, strict=True)]
    count, seen = Counter(labels), Counter[str]()
    for number, label in enumerate(labels):
        seen[label] += 1
        labels[number] = f"{label} ({seen[label]})" if count[label] > 1 else label
    return labels


def interval_of(exhibit: Exhibit, metric: Metric, value: float | None) -> tuple[float | None, float | None]:
    """Return the interval over the replicas if there are several, else over the test examples for a share of them.

    Examples in groups are not independent: their interval is over the groups, as well as over the replicas. The first
    runs on scenes lack the counts of each digit, so nothing is known of theirs.
    """
    spread = exhibit.spread.get(metric.name, {})
    if value is None:
        return None, None
    if ways.WAYS[exhibit.task].binomial and (exhibit.grouped or is_scenes(exhibit.dataset)):
        return exhibit.grouped.get("low"), exhibit.grouped.get("high")
    if "low" in spread and "high" in spread:
        return metrics.inside(metric.name, (spread["low"], spread["high"]), (value,), exhibit.dataset)
    if ways.WAYS[exhibit.task].binomial and exhibit.count:
        return wilson(value, exhibit.count)
    return None, None
