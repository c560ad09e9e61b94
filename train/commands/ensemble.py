"""`zoo ensemble RUN RUN …`: what the averaged probabilities of trained classifiers are worth, beside each of them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.table import Table

import train.loop.run
from train.commands.console import say
from train.commands.options import OwnParts
from train.config.parse import parse
from train.core.console import Console
from train.metrics.format import figure, title
from zoo.errors import UserError
from zoo.files import write_atomically


@dataclasses.dataclass(frozen=True)
class EnsembleOptions(OwnParts):
    """Average the probabilities of trained classifiers; accuracy, loss and calibration of each and of the average.

    The JSON also holds the confusion matrix of the average; `zoo eval RUN` shows that of a run.
    """

    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN RUN ...")]
    """Run folders; each replica of a run of several is a member."""
    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of each run; `best`: its highest validation accuracy."""
    json: bool = False
    """Print JSON, not a table."""
    out: Path | None = None
    """Also write the JSON to this file."""


def ensemble_command(args: Sequence[str]) -> None:
    """`zoo ensemble RUN RUN … [--json] [--out FILE]`."""
    options = parse(EnsembleOptions, args, prog="zoo ensemble")
    if not options.runs:
        raise UserError("zoo ensemble needs runs: zoo ensemble RUN RUN …, or one RUN of several replicas")
    if options.out and not options.out.parent.is_dir():
        raise UserError(f"no folder {options.out.parent} to write {options.out.name} into")
    runs = [train.loop.run.load(path, options.config) for path in options.runs]
    from train.core import machine
    from train.studies import ensemble

    machine.prepare_backend()
    found = ensemble.members(runs, options.checkpoint)
    result = {"members": [{"run": str(m.run.path), "replica": m.replica} for m in found], **ensemble.judge(found)}
    text = json.dumps(result, indent=2)
    if options.out:
        write_atomically(options.out, text + "\n")
    if options.json:
        say(text)
        return
    Console().print(table(result))
    if "validation" not in result and not all(member.held_out for member in found):
        say("validation: each member holds out another fold, so that there is none that no member has learned from")


def table(result: Mapping[str, Any]) -> Table:
    """Members, their mean and the ensemble, on each split."""
    splits = [split for split in ("validation", "test") if split in result]
    names = list(result["test"]["ensemble"])
    counts = " and ".join(f"{result[split]['count']:,} examples of {split}" for split in splits)
    rows = Table(caption=f"averaged probabilities, {counts}", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("member", "split", *map(title, names)):
        rows.add_column(head, justify="left" if head in ("member", "split") else "right", no_wrap=head == "member")
    said = [*map(_said, result["members"]), "mean of the members", f"ensemble of {len(result['members'])}"]
    for i, who in enumerate(said):
        if who == "mean of the members":
            rows.add_section()
        for split in splits:
            part = [*result[split]["members"], result[split]["mean"], result[split]["ensemble"]][i]
            rows.add_row(who * (split == splits[0]), split, *(figure(name, part[name]) for name in names))
    return rows


def _said(member: Mapping[str, Any]) -> str:
    """Config and time of its run, and its number among several."""
    run = Path(member["run"])
    return f"{run.parent.name}/{run.name}" + ("" if member["replica"] is None else f" {member['replica']}")
