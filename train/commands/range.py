"""`zoo range CONFIG`: a learning-rate range test."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from train.commands.answers import print_help
from train.commands.console import emit, say
from train.config import Experiment, files
from train.config.parse import parse_experiment
from train.core.console import Console
from train.loop.run import RUNS
from train.pictures.style import LEAN
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.studies.lr_range import RangeTest

STEPS = 200
ROWS = 20  # of the table


@dataclasses.dataclass(frozen=True)
class RangeOptions:
    """Learning-rate range test: train once with a rate that rises from --low to --high over --steps steps.

    No run is made, and nothing is evaluated. `optim.schedule`, `optim.lr` and the warm-up of the config are not used;
    seeds, sweep and folds neither.
    """

    low: float = 1e-5
    """Rate of the first step."""
    high: float = 10.0
    """Rate after the last step."""
    picture: Path | None = None
    """PNG file for the curve; by default runs/<config>/range.png."""
    json: bool = False
    """Print JSON with every step, not a table."""


def range_command(args: Sequence[str]) -> None:
    """`zoo range CONFIG [--low RATE] [--high RATE] [--steps N]`."""
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: zoo range CONFIG [OPTIONS]\n\nconfigs: {', '.join(files.names())}")
        print("zoo range CONFIG --help shows every option and field of that config.")
        return
    if args[0].startswith("-"):
        raise UserError(f"the config comes first: zoo range CONFIG {' '.join(args)}")
    default = dataclasses.replace(files.load(args[0]), steps=STEPS)

    def read() -> tuple[Experiment, RangeOptions]:
        return parse_experiment(args[1:], prog=f"zoo range {args[0]}", default=default, options=RangeOptions)

    if not {"-h", "--help"}.isdisjoint(args[1:]):
        return print_help("range", args, read)
    experiment, options = read()
    _test(Path(args[0]).stem, experiment, options)


def _test(name: str, experiment: Experiment, options: RangeOptions) -> None:
    picture = options.picture or RUNS / name / "range.png"
    if picture.suffix.lower() != ".png" or picture.is_dir():
        raise UserError(f"--picture must be a file that ends with .png, not {str(picture)!r}")
    if options.picture is not None and not picture.parent.is_dir():
        raise UserError(f"no folder {picture.parent} to write {picture.name} into")
    from train.core import machine
    from train.loop.progress import Bar
    from train.loop.restore import assemble_run
    from train.pictures import figures
    from train.pictures import lr_range as drawing
    from train.studies import lr_range

    rising = lr_range.with_rising_rate(experiment, options.low, options.high)
    machine.prepare_backend()
    setup = assemble_run(rising)
    with Bar(Console(stderr=True), name, 0, rising.steps) as bar:
        found = lr_range.run(rising, setup, lambda step, speed: bar.update(step, speed, {}))
    marks = {"steepest": found.steepest, "diverges": found.diverged}
    note = f"{rising.optim.name}, batches of {rising.data.batch}, seed {rising.seed}. Thin: each step; thick: smoothed."
    page = drawing.draw(found.rates, found.losses, found.smooth, marks, f"{name}: loss against rate", note)
    figures.write(page, picture)
    if options.json:
        say(json.dumps({"config": name, **found.to_json(), "picture": str(picture)}))
        return
    emit(_table(found, name))
    for line in _said(found, options):
        say(line)
    say(f"written: {picture}")


def _table(found: RangeTest, name: str) -> Table:
    """Return about twenty rows from the first rate to the last, and those of what is marked."""
    marks = {found.steepest: "steepest descent", found.lowest: "lowest loss", found.diverged: "diverges"}
    regular = range(0, len(found.rates), max(1, found.asked // ROWS))
    steps = sorted({*regular, *(step for step in marks if step is not None)})
    table = Table(title=f"{name}: loss against learning rate", caption="loss: smoothed", **LEAN)
    for head in ("step", "rate", "loss"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for step in steps:
        table.add_row(f"{step:,}", f"{found.rates[step]:.3g}", f"{found.smooth[step]:.4g}", marks.get(step, ""))
    return table


def _said(found: RangeTest, options: RangeOptions) -> list[str]:
    """Return what the test says."""
    if found.steepest is None:
        lines = ["the loss never falls: try a smaller --low, or more --steps"]
    else:
        rate = found.rates[found.steepest]
        lines = [f"the loss falls fastest at a rate of {rate:.2g}; try it: --optim.lr {rate:.1g}"]
    if found.diverged is None:
        return [*lines, f"it does not diverge up to {options.high:g}"]
    return [*lines, f"it diverges at {found.rates[found.diverged]:.2g}"]
