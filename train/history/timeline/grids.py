"""Grids: nets by recipes, or the steps of a ladder, as the page shows them. Read from results/grids.json."""

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.history.grids import ladder, results, table, variance
from train.history.timeline.lenient_json import read_json, sequence
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Shown:
    """A cell of a heat map."""

    figure: str  # "97.8 %"
    interval: str  # "97.2 to 98.4"
    shade: float  # 0 for the largest error of the grid, 1 for the least, on a logarithmic scale
    how: str  # "rate 0.01, 800 steps of 64"
    notes: tuple[str, ...]
    curve: str  # points of the mean validation accuracy over the images seen, in a square of 100; "" without


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a heat map; None stands for a cell that has not been run."""

    says: str
    model: str  # name of its card
    cells: tuple[Shown | None, ...]


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a ladder."""

    says: str
    error: str
    change: str  # from the step before, in points; "" for the first one
    length: float  # of its bar, 1 for the largest error
    how: str
    notes: tuple[str, ...]


class Column(NamedTuple):
    """What stands over the cells."""

    says: str
    paper: str
    departs: str


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid, or with `steps` a ladder."""

    name: str
    title: str
    row: str
    column: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    steps: tuple[Step, ...]
    sentences: tuple[str, ...]
    budget: str
    minutes: int
    date: str
    device: str
    recorded: bool  # it is part of the project and was not run here
    file: str = ""  # the user's own file, if it is of one

    @property
    def id(self) -> str:
        return f"grid-{''.join(letter if letter.isalnum() else '-' for letter in self.name)}"

    @property
    def notes(self) -> dict[str, list[tuple[str, ...]]]:
        """Each note of its cells -> those that have it, by row and column, or by step."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                for note in cell.notes if cell else ():
                    found.setdefault(note, []).append((row.says, column.says))
        for step in self.steps:
            for note in step.notes:
                found.setdefault(note, []).append((step.says,))
        return found

    @property
    def command(self) -> str:
        return f"zoo grid {shlex.quote(self.file or self.name)}"


def read_all(file: Path) -> list[Grid]:
    """Read all grids of a grids.json; none if there is no such file. UserError for another file."""
    return [read(one, str(file), recorded=True) for one in sequence(read_json(file), "grids")]


def read_own(workdir: Path, left_out: Callable[[UserError], None]) -> list[Grid]:
    """Read the results of `zoo grid` on this machine, WORKDIR/grids/NAME/grid.json, but for those of --quick.

    left_out: called with the error of a damaged one.
    """
    found = []
    for file in sorted(workdir.glob("grids/*/grid.json")):
        try:
            facts = read_json(file)
            if not facts.get("quick"):
                found.append(read(facts, str(file), recorded=False))
        except UserError as error:
            left_out(error)
    return found


def read(found: Mapping[str, Any], where: str, *, recorded: bool) -> Grid:
    """Read one grid. Raises UserError with the place `where` for another content."""
    try:
        is_ladder = ladder.is_ladder(found)
        return Grid(
            name=str(found["name"]),
            title=str(found["title"]),
            row=str(found["row"]),
            column=str(found["column"]),
            rows=() if is_ladder else tuple(_rows(found)),
            columns=tuple(Column(table.with_year(one), one["paper"], one["departs"]) for one in found["columns"]),
            steps=tuple(_steps(found)) if is_ladder else (),
            sentences=tuple(table.sentences(found)),
            budget=table.budget(found),
            minutes=round(found["seconds"] / 60),
            date=str(found["date"]),
            device=", ".join(dict.fromkeys(str(cell["device"]) for cell in found["cells"])),
            recorded=recorded,
            file=str(found.get("file", {}).get("path", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{where}: not a grid ({type(error).__name__}: {str(error)[:80]})") from None


def _rows(found: Mapping[str, Any]) -> Iterator[Row]:
    there = {(cell["row"], cell["column"]): cell for cell in found["cells"]}
    errors = {place: _log_error(cell) for place, cell in there.items()}
    least, most = min(errors.values(), default=0.0), max(errors.values(), default=0.0)
    for row in found["rows"]:
        places = [(row["name"], column["name"]) for column in found["columns"]]
        shades = (
            (most - errors[place]) / (most - least) if most > least else 0.0 for place in places if place in there
        )
        cells = tuple(_shown(there[place], next(shades)) if place in there else None for place in places)
        yield Row(table.with_year(row), str(row.get("model", "")), cells)


def _log_error(cell: Mapping[str, Any]) -> float:
    return float(np.mean(variance.log_errors(cell["values"], cell["examples"])))


def _shown(cell: Mapping[str, Any], shade: float) -> Shown:
    mean, low, high = (100 * value for value in results.interval(cell))
    notes = (*table.notes_of(cell), *cell["fitted"])
    return Shown(f"{mean:.1f} %", f"{low:.1f} – {high:.1f}", round(shade, 3), _how(cell), notes, _curve(cell["curve"]))


def _how(cell: Mapping[str, Any]) -> str:
    return f"rate {cell['rate']:g}, {cell['steps']:,} steps of {cell['batch']}"


def _curve(curve: Mapping[str, Sequence[float]]) -> str:
    """Return the points of a line from the lower left of a square of 100, where accuracy is 0, to its right side."""
    if not curve:
        return ""
    last = max(curve["images"])
    pairs = zip(curve["images"], curve["accuracy"], strict=True)
    return " ".join(f"{100 * images / last:.0f},{100 - 100 * accuracy:.0f}" for images, accuracy in pairs)


def _steps(found: Mapping[str, Any]) -> Iterator[Step]:
    rungs = list(ladder.rungs(found))
    largest = max((rung.error[0] for rung in rungs), default=0.0)
    for rung in rungs:
        length = rung.error[0] / largest if largest else 0.0
        notes = (*table.notes_of(rung.cell), *rung.cell["fitted"])
        says, how = table.with_year(rung.column), _how(rung.cell)
        yield Step(says, rung.error_text, rung.change_text, round(length, 3), how, notes)
