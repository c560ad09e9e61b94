"""`zoo grid`: train every row of a grid with every column, such as nets by recipes, and say what goes with which."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from train.config.parse import parse
from train.core.console import Console
from train.loop.run import RUNS
from zoo.errors import UserError

PIPE_COLUMNS = 200  # of tables that nobody watches


@dataclasses.dataclass(frozen=True)
class GridOptions:
    """Train every row of a grid with every column, such as nets by recipes; without NAME, list the grids.

    Each cell has its own learning rate, chosen on validation, and several seeds. A cell that is finished is not trained
    again: the same command goes on where it was stopped.
    """

    name: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="NAME")] = None
    """Of the grid, or the path of a Python file with GRID = Grid(...)."""
    list: bool = False
    """List the grids, with what is recorded of each (results/grids.json)."""
    quick: bool = False
    """Train with the rates that were chosen before, here or in the record, with fewer seeds and images: the grid's
    `quick_seeds` and `quick_images`. The result has its own folder and is not recorded."""
    cells: tuple[str, ...] = ()
    """Train these cells only, each written ROW/COLUMN; the table and the picture are made of all that are there."""
    jobs: int = 1
    """On a CPU: so many cells side by side, each in a process with its share of the cores."""
    record: bool = False
    """Put each cell that is done into results/grids.json of the project as well."""
    markdown: bool = False
    """Print the recorded result as Markdown, and train nothing."""
    workdir: Path = RUNS
    """Run folders, table, picture and result are made in WORKDIR/grids/<name>."""


def grid_command(args: Sequence[str]) -> None:
    """`zoo grid NAME`, `zoo grid --list`."""
    options = parse(GridOptions, args, prog="zoo grid")
    from train.core import machine

    if not 1 <= options.jobs <= machine.cores():
        raise UserError(f"--jobs must be 1 to {machine.cores()}, the number of cores, not {options.jobs}")
    if options.name is None or options.list:
        _list()
    elif options.markdown:
        _print_record(options.name)
    else:
        _run(options.name, options)


def _run(name: str, options: GridOptions) -> None:
    from train.core import machine
    from train.history.grids import results
    from train.history.grids.run import GridRun, run_cells, run_side_by_side
    from train.history.grids.table import sentences, show

    console = _console()
    grid_run = GridRun(name, options.workdir, console, quick=options.quick)
    if options.record:
        grid_run.require_recordable()
    machine.prepare_backend()
    cells = grid_run.chosen(options.cells)
    if options.jobs > 1 and len(cells) > 1:
        import jax

        if jax.default_backend() != "cpu":
            raise UserError(f"--jobs shares out the cores of a processor, and this runs on {machine.describe()}")
        run_side_by_side(grid_run, cells, _words(name, options), options.jobs, record=options.record)
    else:
        run_cells(grid_run, cells, record=options.record)
    if options.cells:
        return
    found = grid_run.write()
    console.print(show(found))
    for sentence in sentences(found):
        console.print(sentence, highlight=False)
    where = ", ".join(str(grid_run.folder / f"grid.{kind}") for kind in ("png", "md", "csv", "json"))
    recorded = f", {results.FILE}" if options.record else ""
    console.print(f"{found['seconds']:,.0f} s of training; {where}{recorded}", soft_wrap=True, highlight=False)


def _words(name: str, options: GridOptions) -> list[str]:
    """Return the words of the command that runs one cell in a process of its own; its name comes behind them."""
    from train.history.grids import files

    quick = ["--quick"] if options.quick else []
    return ["grid", str(files.file_of(name)), *quick, "--workdir", str(options.workdir), "--cells"]


def _print_record(name: str) -> None:
    from train.history.grids import files, results
    from train.history.grids.table import markdown

    found = results.read().get(files.result_name(name))
    if found is None:
        raise UserError(f"{name} is not recorded: zoo grid {name} --record does it")
    print(markdown(found), end="")


def _list() -> None:
    from rich.table import Table

    from train.history.grids import cells, files, results
    from train.pictures.style import LEAN

    recorded, table = results.read(), Table(**LEAN)
    for head in ("grid", "title", "cells", "recorded", "minutes"):
        table.add_column(head)
    for name in files.grid_names():
        grid = files.load_grid(name)
        every = cells.cells(grid)
        there = results.current(recorded.get(name), every)
        minutes = f"{sum(cell['seconds'] for cell in there.values()) / 60:,.0f}" if there else "–"
        size = f"{len(grid.rows)} {grid.row}s x {len(grid.columns)} {grid.column}s"
        table.add_row(name, grid.title, size, f"{len(there)} of {len(every)} cells", minutes)
    console = _console()
    console.print(table)
    console.print("zoo grid NAME runs one; results/grids.json has what is recorded", highlight=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_COLUMNS)
