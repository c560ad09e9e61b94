"""Every text that the project gives the page: of cards, algorithms, claims, grids, metrics and records."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import train.metrics  # noqa: F401  fills the table of metrics
import zoo
from train.algorithms.cards import ALGORITHMS
from train.config import metrics
from train.history.claims import claim as claims
from train.history.claims import files, results
from train.history.claims.claim import VARIES, Claim
from train.history.grids import files as grid_files
from train.history.grids import results as grid_results
from train.history.timeline import exhibits, findings, grids
from train.history.timeline.findings import Finding
from train.history.timeline.lenient_json import read_json, sequence
from zoo.errors import UserError

SYMBOLS = {"exp", "log", "logit", "logits", "max", "sign", "sim", "softmax", "tanh", "trust"}
"""Words of formulas that are the same in every language."""


class Text(NamedTuple):
    """A text and its owner: the file of translations that it belongs to, and its key in there."""

    file: str
    key: tuple[str, ...]
    english: str


def every() -> list[Text]:
    """Return every text; of those that several owners share, each owner's."""
    found = [*_cards(), *_algorithms(), *_claims(), *_grids(), *_metrics()]
    return [text for text in found if text.english]


def _cards() -> Iterator[Text]:
    for card in zoo.CARDS.values():
        for field in ("idea", "differences", "initial_values"):
            yield Text("cards", (card.name, field), getattr(card, field))
        for parent, what in card.parents.items():
            yield Text("cards", (card.name, "took", parent), what)


def _algorithms() -> Iterator[Text]:
    for card in ALGORITHMS.values():
        yield Text("algorithms", (card.name, "title"), card.name.replace("_", " "))
        for field in ("idea", "departs"):
            yield Text("algorithms", (card.name, field), getattr(card, field))
        for number, line in enumerate(card.formula, 1):
            if set(re.findall(r"[a-z]{2,}", re.sub(r"_\w+", "", line))) - SYMBOLS:
                yield Text("algorithms", (card.name, "formula", str(number)), line)


def _claims() -> Iterator[Text]:
    for name in files.claim_names():
        claim = files.load_claim(name)[0]
        yield Text("claims", (name, "title"), name.replace("_", " "))
        yield from _claim(claim, name)
        try:
            yield from _claim(claim.at(full=True), name, "full")
        except UserError:  # it has no full setting
            continue


def _claim(claim: Claim, *key: str) -> Iterator[Text]:
    for field in ("says", "reason", "smaller", "pilots"):
        yield Text("claims", (*key, field), getattr(claim, field))
    yield Text("claims", (*key, "budget"), claims.budget(claim))
    yield Text("claims", (*key, "metric"), claim.measured.name)
    for arm, own in claim.arms.items():
        yield Text("claims", (*key, "arm", arm), own.says)
        yield Text("metrics", ("unit", claim.unit(arm)), claim.unit(arm))
    for number, effect in enumerate(claim.effects, 1):
        yield Text("claims", (*key, "effect", str(number)), effect.says)
    for axis in ("x", "y"):
        yield Text("claims", (*key, axis), getattr(claim.plot, axis))
    for number, series in enumerate(claim.plot.at, 1):
        if series not in claim.arms:  # an arm's name stays as it is
            yield Text("claims", (*key, "series", str(number)), series)


def _grids() -> Iterator[Text]:
    for name in grid_files.grid_names():
        grid = grid_files.load_grid(name)
        for field in ("title", "row", "column"):
            yield Text("grids", (name, field), getattr(grid, field))
        for row in grid.rows:
            yield Text("grids", (name, "rows", row.name), row.says)
        for column in grid.columns:
            yield Text("grids", (name, "columns", column.name), column.says)
            yield Text("grids", (name, "departs", column.name), column.departs)


def _metrics() -> Iterator[Text]:
    for metric in metrics.METRICS.values():
        yield Text("metrics", ("title", metric.name), metric.title)
        yield Text("metrics", ("unit", metric.unit), metric.unit)
    for thing in VARIES:
        yield Text("metrics", ("varies", thing), thing)


def recorded() -> dict[str, str]:
    """Return each text of the recorded results -> whose it is. A result of an earlier design keeps its own texts."""
    facts = [one for one in sequence(read_json(results.FILE), "claims") if not files.is_earlier(one)]
    found = [
        (f"the record of {one['name']}", text) for one in facts for text in _finding(findings.read(one, "a record"))
    ]
    for exhibit in exhibits.read_all(exhibits.FOLDER):
        titles = [metrics.title(name) for name in {*exhibit.test, *exhibit.curves, *exhibit.more}]
        budget = exhibit.terms.get("budget", "")
        said = (*exhibit.notes.values(), *titles, exhibit.device, budget)
        found += [(f"the exhibit {exhibit.name}", text) for text in said]
    for grid in grids.read_all(grid_results.FILE):
        found += [(f"the record of the grid {grid.name}", text) for text in _grid(grid)]
    return {text: owner for owner, text in found if text}


def _finding(finding: Finding) -> Iterator[str]:
    for field in ("says", "metric", "unit", "budget", "reason", "smaller", "pilots", "sham", "sabotage", "renewed"):
        yield getattr(finding, field)
    yield from finding.varies
    for arm in finding.arms:
        yield from (arm.says, arm.unit)
    for effect in finding.effects:
        yield from (effect.says, effect.measured, effect.why)
    yield from (finding.device, *(finding.plot.get(axis, "") for axis in ("x", "y")))


def _grid(grid: grids.Grid) -> Iterator[str]:
    yield from (grid.title, grid.row, grid.column, *grid.sentences, grid.budget, grid.device, *grid.notes)
    for column in grid.columns:
        yield from (column.says, column.departs)
    for row in grid.rows:
        yield from (row.says, *(cell.how for cell in row.cells if cell))
    for step in grid.steps:
        yield from (step.says, step.how)
