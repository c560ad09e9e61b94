"""The front of the page: one finding with its picture, the lines of history as charts, and all claims on one scale."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from train.config import metrics
from train.history.timeline import titles
from train.history.timeline.charts import Chart, chart
from train.history.timeline.comparison import Comparison, Entry
from train.history.timeline.exhibits import Translation
from train.history.timeline.findings import Finding
from train.history.timeline.forest import Forest, forest
from train.history.timeline.forest import title as forest_title
from train.history.timeline.rooms import TITLES
from train.history.timeline.titles import Story
from train.history.timeline.words import Words
from zoo.cards import Card

FIRST = (("classify", "scenes"), ("translate", "multi30k"), ("classify", "mnist"), ("language", "tiny_shakespeare"))
"""The tasks and data sets whose lines come first, in this order."""
READERS = 4  # models that translate the sentence of the picture, at most
TOLD = ("risen", "moved")  # stories that go from one figure to another one


class Line(NamedTuple):
    """A comparison as a chart. `csv` has the figures of its table, `file` is the name of what is saved."""

    comparison: Comparison
    story: Story
    title: str
    chart: Chart
    names: Mapping[int, str]
    csv: str
    file: str


class Word(NamedTuple):
    text: str
    fits: bool  # the reference has it too


class Reading(NamedTuple):
    """What one model made of the sentence, and its figure over the whole test set."""

    entry: Entry
    name: str
    words: tuple[Word, ...]
    figure: str
    length: float  # of a bar that stands for the figure; 1 for the most that the metric can be, else for the longest


class Sentence(NamedTuple):
    """One test sentence as each model translates it."""

    source: str
    reference: str
    languages: tuple[str, str]  # of source and reference, such as ("de", "en"); ("", "") where they are not known
    readings: tuple[Reading, ...]
    chosen: bool  # else it is the first one
    of: int  # sentences that are recorded
    most: float | None  # that the metric can be


class Hero(NamedTuple):
    """The finding of the first screen. Its picture is a sentence, or else the line itself."""

    says: str
    line: Line
    sentence: Sentence | None


class Front(NamedTuple):
    hero: Hero | None
    lines: tuple[Line, ...]
    forest: Forest
    forest_title: str
    forest_csv: str


def front(comparisons: Sequence[Comparison], findings: Sequence[Finding], cards: Mapping[str, Card], t: Words) -> Front:
    """Return all that the front of the page shows."""
    lines = tuple(_lines(comparisons, cards, t))
    placed = forest(findings)
    return Front(_hero(lines, t), lines, placed, forest_title(findings, t), _csv(_claim_rows(placed)))


def _lines(comparisons: Sequence[Comparison], cards: Mapping[str, Card], t: Words) -> Iterator[Line]:
    for comparison in _ordered(comparisons):
        names = {key: t.plain(name) for key, name in readers_names(comparison, cards).items()}
        placed = chart(comparison, names)
        if placed is not None:
            story = titles.story(comparison)
            title = titles.title(story, comparison, names, t)
            parts = ("zoo", comparison.task, comparison.dataset, *comparison.terms)
            file = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())
            yield Line(comparison, story, title, placed, names, _csv(_rows(comparison)), file)


def _ordered(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return one comparison for each of FIRST, that with the most entries, then all others in their order."""
    found = []
    for task, name in FIRST:
        own = [c for c in comparisons if c.task == task and name in re.split(r"[:/]", c.dataset)]
        found += [max(own, key=lambda comparison: len(comparison.entries))] if own else []
    return [*found, *(c for c in comparisons if all(c is not one for one in found))]


def readers_names(comparison: Comparison, cards: Mapping[str, Card]) -> dict[int, str]:
    """Return what readers call each entry: the usual name of its family where only it has that one, else its label."""
    usual = []
    for entry in comparison.entries:
        card = cards.get(entry.exhibit.model)
        usual.append(TITLES.get(card.family, entry.label) if card and entry.label == card.name else entry.label)
    count = Counter(usual)
    return {
        id(entry): name if count[name] == 1 else entry.label
        for entry, name in zip(comparison.entries, usual, strict=True)
    }


def _hero(lines: Sequence[Line], t: Words) -> Hero | None:
    """Return the first line that shows a sentence, else the first whose figures went from one to another."""
    for line in lines:
        sentence = read_sentence(line, t)
        if sentence is not None and line.story.kind in TOLD:
            return Hero(_hero_words(line, t), line, sentence)
    line = next((line for line in lines if line.story.kind in TOLD), None)
    return Hero(line.title, line, None) if line is not None else None


def _hero_words(line: Line, t: Words) -> str:
    """Return the finding of a line of translations in one sentence."""
    first, best, metric = line.story.first, line.story.best, line.comparison.metric
    assert first is not None, "told"
    assert best is not None, "told"
    years = titles.year_of(best) - titles.year_of(first)
    if years < 2:
        return line.title
    figures = titles.values(metric, [titles.value_of(first), titles.value_of(best)], t)
    small, large = best.exhibit.params, first.exhibit.params
    fewer = t("hero_fewer", n=round(100 * small / large)) if small and large and small < 0.95 * large else ""
    return t(
        "hero_translate",
        years=years,
        metric=t.plain(metric.title),
        first=line.names[id(first)],
        first_value=figures[0],
        best=line.names[id(best)],
        best_value=figures[1],
        fewer=fewer,
    )


def read_sentence(line: Line, t: Words) -> Sentence | None:
    """Return a test sentence that at least two models of a line have translated; None without one.

    It is the one whose translations agree with the reference in the order of the figures of the whole test set, with
    the largest difference between the ends; else the first one.
    """
    entries = [entry for entry in titles.known(line.comparison) if entry.exhibit.translations][:READERS]
    if len(entries) < 2:
        return None
    tables = [{one.source: one for one in entry.exhibit.translations} for entry in entries]
    shared = [one for one in entries[0].exhibit.translations if all(one.source in table for table in tables)]
    if not shared:
        return None
    name = line.comparison.metric.name
    scores = [metrics.score(name, titles.value_of(entry)) for entry in entries]
    order = sorted(range(len(entries)), key=lambda place: scores[place])

    def gain(one: Translation) -> float:
        agreed = [agreement(tables[place][one.source]) for place in order]
        steps = [after - before for before, after in itertools.pairwise(agreed)]
        return agreed[-1] - agreed[0] if min(steps) > 0 else 0.0

    chosen = max(shared, key=gain)
    figures = titles.values(line.comparison.metric, [titles.value_of(entry) for entry in entries], t)
    most = metrics.bounds(name, line.comparison.dataset).high
    largest = max(abs(titles.value_of(entry)) for entry in entries) if most is None else most
    readings = tuple(
        Reading(
            entry,
            line.names[id(entry)],
            _words(table[chosen.source]),
            figure,
            abs(titles.value_of(entry)) / (largest or 1.0),
        )
        for entry, table, figure in zip(entries, tables, figures, strict=True)
    )
    pair = re.search(r"(?<![a-z])([a-z]{2})-([a-z]{2})$", line.comparison.dataset)
    languages = (pair[1], pair[2]) if pair else ("", "")
    return Sentence(chosen.source, chosen.reference, languages, readings, gain(chosen) > 0, len(shared), most)


def agreement(one: Translation) -> float:
    """Return how far a translation has the words of its reference: F1 over words, each as often as it is there."""
    own, other = Counter(_split(one.translation)), Counter(_split(one.reference))
    both = sum((own & other).values())
    return 2 * both / max(1, sum(own.values()) + sum(other.values()))


def _words(one: Translation) -> tuple[Word, ...]:
    left = Counter(_split(one.reference))
    found = []
    for text in one.translation.split():
        key = _key(text)
        found.append(Word(text, not key or left[key] > 0))
        left[key] -= 1
    return tuple(found)


def _split(text: str) -> list[str]:
    return [key for key in map(_key, text.split()) if key]


def _key(word: str) -> str:
    """Return a word without punctuation, in lower case."""
    return re.sub(r"\W", "", word).lower()


def _rows(comparison: Comparison) -> list[list[str]]:
    name = comparison.metric.name
    rows = [["year", "model", "run", name, "low", "high", "parameters", "seeds", "origin", "date"]]
    for entry in comparison.entries:
        exhibit = entry.exhibit
        numbers = ["" if value is None else f"{value:.6g}" for value in (entry.value, entry.low, entry.high)]
        year, size = ("" if value is None else str(value) for value in (entry.year, exhibit.params))
        origin = "recorded" if exhibit.recorded else "here"
        rows.append([year, exhibit.model, exhibit.name, *numbers, size, str(exhibit.replicas), origin, exhibit.date])
    return rows


def _claim_rows(placed: Forest) -> list[list[str]]:
    rows = [["claim", "year", "verdict", "effect", "times the margin"]]
    for bar in placed.bars:
        times = "" if bar.times is None else f"{bar.times:.4g}"
        rows.append([bar.finding.name, str(bar.finding.year), bar.finding.verdict, bar.says, times])
    return rows


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
