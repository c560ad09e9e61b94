"""`zoo compare RUN RUN …`: figures, curves and configs of several runs side by side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.table import Table

import train.loop.run
from train.commands.console import console_for, emit, say
from train.commands.options import OwnParts
from train.config.parse import parse
from train.metrics.format import figure, human, title
from train.pictures.style import LEAN
from zoo.errors import UserError
from zoo.files import write_atomically

if TYPE_CHECKING:
    from train.pictures.curves import Line
    from train.studies.compare import Comparison, Entry

WIDE = 110  # columns of a terminal that has room for a whole path in a table


@dataclasses.dataclass(frozen=True)
class CompareOptions(OwnParts):
    """Compare runs of one task on one data set: what they reached, what they cost, and how their configs differ.

    Nothing is trained or evaluated: the figures are those that the runs left.
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN RUN ...")]
    """Run folders; the folder of a config stands for its newest run."""
    picture: Path | None = None
    """Also draw the learning curves into this PNG file."""
    json: bool = False
    """Print JSON, not tables."""
    out: Path | None = None
    """Also write the JSON to this file."""


def compare_command(args: Sequence[str]) -> None:
    """`zoo compare RUN RUN … [--picture FILE] [--json] [--out FILE]`."""
    options = parse(CompareOptions, args, prog="zoo compare")
    for option, path in (("--picture", options.picture), ("--out", options.out)):
        if path is not None and path.is_dir():
            raise UserError(f"{option}: {path} is a folder")
        if path is not None and not path.parent.is_dir():
            raise UserError(f"no folder {path.parent} to write {path.name} into")
    if options.picture is not None and options.picture.suffix.lower() != ".png":
        raise UserError(f"--picture must end with .png, not {options.picture.name!r}")
    runs = [train.loop.run.load(path, options.config) for path in options.runs]
    from train.studies.compare import compare

    found = compare(runs)
    text = json.dumps(found.to_json(), indent=1)
    if options.out is not None:
        write_atomically(options.out, text + "\n")
    if options.picture is not None:
        _draw(found, options.picture)
    if options.json:
        say(text)
        return
    emit(_figures(found))
    if found.differences:
        emit(_differences(found))
    else:
        say("their configs do not differ")
    for remark in found.remarks:
        say(remark)
    for path in filter(None, (options.picture, options.out)):
        say(f"written: {path}")


def _figures(found: Comparison) -> Table:
    """Return a row for each run."""
    best, test = found.way.best, found.way.compared_by
    narrow = console_for().width < WIDE
    several = any(entry.on_test(test)[1] for entry in found.entries)
    table = Table(title=f"{found.way.name} on {found.data}", **LEAN)
    table.add_column("")
    table.add_column("run", overflow="fold")
    table.add_column("model", overflow="fold")
    for head in ("parameters", f"best validation {title(best)} at step", f"test {title(test)}", "seconds"):
        table.add_column(head.replace(" ", "\n") if narrow else head, justify="right", no_wrap=True)
    alike = len({entry.summary.device for entry in found.entries if entry.summary}) == 1
    if not alike:
        table.add_column("device", overflow="fold")
    for number, entry in enumerate(found.entries, 1):
        cells = _row(entry, number, best, test)
        if narrow:  # the parts of a cell stand below each other
            for place, part in ((1, "/"), (4, " at"), (5, " ±")):
                cells[place] = cells[place].replace(part, f"{part}\n" if part == "/" else f"\n{part[1:]}")
        table.add_row(*cells[: len(table.columns)])
    devices = [entry.summary.device for entry in found.entries if entry.summary and alike]
    over = dict.fromkeys(interval.over for entry in found.entries if (interval := entry.interval(test)))
    notes = ["mean ± standard deviation over seeds"] * several
    notes += [f"95 % interval over {' or '.join(over)} (bootstrap)"] * bool(over)
    table.caption = "; ".join([*notes, *devices[:1]]) or None
    return table


def _row(entry: Entry, number: int, best: str, test: str) -> list[str]:
    own, (value, spread) = entry.summary, entry.on_test(test)
    cell = "–" if value is None else figure(test, value)
    if value is not None and spread is not None:
        cell += f" ± {figure(test, spread.deviation)}"
    if interval := entry.interval(test):
        cell += f"\n{figure(test, interval.low)} to {figure(test, interval.high)}"
    return [
        str(number),
        entry.label,
        entry.run.experiment.model.name,
        human(own.params) if own else "–",
        "–" if entry.best is None else f"{figure(best, entry.best[1])} at {entry.best[0]:,}",
        cell,
        f"{own.seconds:.0f}" if own else "–",
        own.device if own else "–",
    ]


def _differences(found: Comparison) -> Table:
    """Return a row for each field in which the configs differ."""
    table = Table(title="what differs in their configs", **LEAN)
    table.add_column("field", overflow="fold")
    for number, _ in enumerate(found.entries, 1):
        table.add_column(str(number), overflow="fold")
    for name, values in found.differences.items():
        table.add_row(name, *map(_said, values))
    return table


def _said(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_said, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _draw(found: Comparison, path: Path) -> None:
    """Draw the metric that chooses the best checkpoint, and the loss, over the steps."""
    from train.pictures import curves, figures

    names = dict.fromkeys((found.way.best, "loss"))
    panels = {name: own for name in names if (own := _lines(found, name))}
    if not panels:
        raise UserError("none of these runs has a curve yet")
    trained = any(line.thin for own in panels.values() for line in own)
    note = f"{found.way.name} on {found.data}. Validation" + (", and thin: training." if trained else ".")
    figures.write(curves.draw(panels, "Learning curves", note), path)


def _lines(found: Comparison, name: str) -> list[Line]:
    from train.pictures.curves import Line

    lines = []
    for number, entry in enumerate(found.entries):
        label = f"{number + 1}  {entry.label}"
        validation, training = (entry.curves.get((split, name)) for split in ("validation", "train"))
        # Without a validation split the curve of training stands for the run.
        lines += [Line(number, label, own) for own in [validation or training] if own]
        lines += [Line(number, "", training, thin=True)] if validation and training else []
    return lines
