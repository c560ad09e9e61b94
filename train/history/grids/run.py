"""Run the cells of a grid, cheapest first; a cell that is finished is not run again."""

import dataclasses
import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.config import Experiment, sweep
from train.config import files as config_files
from train.core.console import Console
from train.core.signals import Stopped
from train.data import record as data_record
from train.history.claims import cost, provenance, readings, tuning
from train.history.claims.arms import metric
from train.history.claims.trained_runs import TrainedRuns
from train.history.claims.workers import Ended, side_by_side
from train.history.grids import cells as grid_cells
from train.history.grids import files, picture, results, table
from train.history.grids.cells import Cell
from train.history.grids.grid import Grid
from train.loop.restore import assemble_run
from train.loop.run import Run
from zoo.errors import UserError
from zoo.files import parse_json, write_atomically, writing

CELL = "cell.json"  # in the folder of a cell
ACCURACY = metric("test accuracy")
NAMED = 3  # cells that a message names


class GridRun:
    """The execution of a grid in WORKDIR/grids/<name>, or in <name>.quick.

    Run folders are FOLDER/<row>/<column>/tuning/<time> and FOLDER/<row>/<column>/seeds/<time>, and the result of a cell
    is FOLDER/<row>/<column>/cell.json. Raises UserError for a grid that cannot be run, before anything is trained.
    """

    def __init__(self, given: str, workdir: Path, console: Console, *, quick: bool = False) -> None:
        self.given, self.console, self.quick = given, console, quick
        self.grid: Grid = files.load_grid(given)
        self.name = files.result_name(given)
        self.source = config_files.source_of(given)
        self.folder = workdir / "grids" / self.name
        self.repository = provenance.repository(files.file_of(given))
        self.cells = grid_cells.cells(self.grid)
        if quick:
            rates = self._recorded_rates()
            self.folder = self.folder.with_name(f"{self.name}.quick")
            self.cells = grid_cells.cells(self.grid, rates)

    def _recorded_rates(self) -> dict[str, float]:
        """Return name of a cell -> the rate that was chosen for it here, else the recorded one."""
        found = results.current(results.read().get(self.name), self.cells)
        found |= {cell.name: held for cell in self.cells if (held := self.held(cell)) is not None}
        if not found:
            raise UserError(f"{self.name} has no recorded rates of this design: zoo grid {self.given} chooses them")
        return {name: cell["rate"] for name, cell in found.items()}

    @property
    def facts(self) -> dict[str, Any]:
        known = results.facts(self.name, self.grid)
        if self.quick:
            images = self.grid.quick_images or self.grid.images
            known |= {"quick": True, "seeds": self.grid.quick_seeds, "images": images}
        if self.source is not None:
            known["file"] = {"path": self.source.path, "sha256": self.source.sha256}
        return known

    def chosen(self, names: Sequence[str]) -> list[Cell]:
        """Return the cells with these names, all for (), the cheapest first. Their data are looked for.

        Raises UserError for a name that is none, and, in the quick version, for a cell without a recorded rate.
        """
        every = grid_cells.cells(self.grid)
        wanted = [cell.name for cell in grid_cells.choose(every, names)]
        there = {cell.name: cell for cell in self.cells}
        missing = [name for name in wanted if name not in there]
        if missing:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise UserError(
                f"{', '.join(missing[:NAMED])}{more}: no recorded rate of this design; zoo grid {self.given} chooses it"
            )
        return by_cost([there[name] for name in wanted])

    def held(self, cell: Cell) -> dict[str, Any] | None:
        """Return the result of a cell that is here, of this design and of today's code and libraries; else None."""
        try:
            found = parse_json((self._of(cell) / CELL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        now = {"design": cell.design, "code": code_of(cell), "versions": provenance.surroundings()["versions"]}
        return found if all(found.get(name) == value for name, value in now.items()) else None

    def _of(self, cell: Cell) -> Path:
        return self.folder / cell.row.name / cell.column.name

    def run(self, cell: Cell) -> dict[str, Any]:
        """Return the result of a cell, which is run where it is not here. Raises Stopped where it is interrupted."""
        if (held := self.held(cell)) is not None:
            return held
        folder = self._of(cell)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        runs = TrainedRuns(
            f"{self.name} stopped in {cell.name}, at its",
            folder,
            self.console,
            provenance.code_of([cell.experiment]),
            source=self.source,
            current=True,
        )
        tried: list[Run] = []

        def shorter(experiment: Experiment) -> Run:
            tried.append(runs.ensure("tuning", experiment))
            return tried[-1]

        choice = tuning.Choice({"optim.lr": cell.rates[0]}, "", "")
        if len(cell.rates) > 1:
            choice = tuning.choose(cell.tuned, cell.tune, shorter)
        run = runs.ensure("seeds", sweep.with_setting(cell.experiment, choice.setting))
        seconds = sum(map(runs.spent, [*tried, run]))
        found = {**_result(cell, run, choice), "seconds": round(seconds, 1), **self._made_by(cell, runs.done)}
        write_atomically(folder / CELL, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return found

    def _made_by(self, cell: Cell, runs: Iterable[Run]) -> dict[str, Any]:
        return {
            "design": cell.design,
            "code": code_of(cell),
            "data": provenance.data(runs),
            **self.repository,
            **provenance.surroundings(),
            "date": datetime.date.today().isoformat(),
        }

    def write(self) -> dict[str, Any]:
        """Write the result of the cells that are here, their table, values and picture. Returns the result."""
        cells = (held for cell in self.cells if (held := self.held(cell)) is not None)
        found = results.assemble(self.facts, cells)
        text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(self.folder / "grid.json", text + "\n", make_folder=True)
        write_atomically(self.folder / "grid.csv", results.csv_text([found]))
        write_atomically(self.folder / "grid.md", table.markdown(found))
        picture.save(found, self.folder / "grid.png")
        return found

    def require_recordable(self) -> None:
        """Raise UserError for a result that may not be recorded."""
        if self.quick:
            raise UserError("the quick version of a grid is not recorded: no --quick")
        if self.grid.seeds < results.LEAST_SEEDS:
            raise UserError(f"a recorded grid has at least {results.LEAST_SEEDS} seeds, and this {self.grid.seeds}")
        if not self.repository["commit"]:
            file = files.file_of(self.given)
            raise UserError(f"{file} is in no git repository with a commit: its result cannot be recorded")

    def record(self, new: Mapping[str, Any]) -> None:
        """Record the result of a cell. Raises UserError where the grid's file has changed since it was read."""
        if [cell.design for cell in grid_cells.cells(files.load_grid(self.given))] != [c.design for c in self.cells]:
            raise UserError(f"{self.name} was changed while it ran: its cells are of an earlier design, run it again")
        results.record(self.facts, self.cells, [new])


def code_of(cell: Cell) -> str:
    """Return the hash of the code of a cell's model, task, data and optimizer."""
    return provenance.digest(provenance.code_of([cell.experiment]))


def _result(cell: Cell, run: Run, choice: tuning.Choice) -> dict[str, Any]:
    """Return what a cell came to. A diverged seed has the accuracy of chance."""
    experiment = run.experiment
    known = data_record.read(run.path)
    assert known is not None, f"{run.path} keeps no record of its data"
    chance = 1 / len(known.class_names)
    ended = readings.all_diverged(run.path)
    values = [None] * experiment.seeds if ended else readings.read(run, ACCURACY)
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    return {
        "row": cell.row.name,
        "column": cell.column.name,
        "seeds": list(seeds),
        "values": [chance if value is None else value for value in values],
        "diverged": [seed for seed, value in zip(seeds, values, strict=True) if value is None],
        "chance": chance,
        "examples": known.splits["test"].examples,
        "rate": choice.setting["optim.lr"],
        "tried": [_tried(one) for one in sorted(choice.tried, key=lambda one: one.setting["optim.lr"])],
        "doubt": choice.doubt,
        "left_out": list(cell.left_out),
        "fitted": list(cell.fitted),
        "images": experiment.steps * experiment.data.batch,
        "steps": experiment.steps,
        "batch": experiment.data.batch,
        "curve": {} if ended else _curve(run),
    }


def _tried(one: tuning.Tried) -> dict[str, Any]:
    score = round(one.score, 4) if np.isfinite(one.score) else None  # None: a seed diverged
    return {"rate": one.setting["optim.lr"], "score": score}


def _curve(run: Run) -> dict[str, list[float]]:
    """Return the mean validation accuracy of the seeds that did not diverge, by the images seen."""
    line = readings.curve(run, "validation accuracy")
    good = line.y[np.isfinite(line.y).all(1)]
    if not len(good):
        return {}
    images = (line.x * run.experiment.data.batch).astype(int).tolist()
    return {"images": images, "accuracy": [round(float(mean), 4) for mean in good.mean(0)]}


def by_cost(cells: Sequence[Cell]) -> list[Cell]:
    """Return cells by what they cost, the cheapest first. The data of each row are looked for."""
    flops: dict[str, float] = {}  # of a step's image, by row
    for cell in cells:
        if cell.row.name not in flops:
            setup = assemble_run(dataclasses.replace(cell.experiment, seeds=1))
            flops[cell.row.name] = setup.flops * setup.passes

    def seconds(cell: Cell) -> float:
        steps = cell.experiment.steps
        work = flops[cell.row.name] * steps * cell.experiment.data.batch
        return work / cost.FLOPS_PER_SECOND["cpu"] + cost.STEP_SECONDS * steps

    return sorted(cells, key=seconds)


def run_cells(grid_run: GridRun, cells: Sequence[Cell], *, record: bool) -> list[dict[str, Any]]:
    """Run cells one after the other; a line is printed for each. record: put each into the record at once."""
    found = []
    for cell in cells:
        found.append(grid_run.run(cell))
        _done(grid_run, found[-1], f"{len(found)}/{len(cells)}", record)
    return found


def run_side_by_side(
    grid_run: GridRun, cells: Sequence[Cell], words: Sequence[str], jobs: int, *, record: bool
) -> list[dict[str, Any]]:
    """Run each cell in a process of its own, `jobs` at once. words: the arguments of `zoo` before the name of a cell.

    A cell that fails stops no other one. Raises Stopped after the rest where one did.
    """
    found, failed, left = [], [], []
    for cell in cells:
        held = grid_run.held(cell)
        found += [held] if held is not None else []
        left += [cell] if held is None else []
    for number, held in enumerate(found, 1):
        _done(grid_run, held, f"{number}/{len(cells)}", record)
    known = {cell.name: cell for cell in left}

    def commands() -> Iterator[tuple[str, Sequence[str]]]:
        for cell in left:
            yield cell.name, [*words, cell.name]

    for ended in side_by_side(commands(), jobs):
        new = grid_run.held(known[ended.name])
        if ended.code or new is None:
            failed.append(ended.name)
            grid_run.console.print(_failure(ended), soft_wrap=True, highlight=False)
            continue
        found.append(new)
        _done(grid_run, new, f"{len(found)}/{len(cells)}", record)
    if failed:
        raise Stopped(f"{', '.join(failed)} did not end; the same command goes on", 1)
    return found


def _failure(ended: Ended) -> str:
    said = (ended.err.strip().splitlines() or [""])[-1].removeprefix("zoo: ")
    return f"{ended.name} ended with code {ended.code}: {said}"


def _done(grid_run: GridRun, cell: Mapping[str, Any], number: str, record: bool) -> None:
    if record:
        grid_run.record(cell)
    grid_run.console.print(f"{number} {table.line(cell)}", soft_wrap=True, highlight=False)
