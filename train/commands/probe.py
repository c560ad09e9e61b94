"""`zoo probe`: judge the features of a trained network."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

import train.data
import train.loop.named
from train.config.parse import parse
from train.core.console import Console
from train.loop.run import Run
from train.metrics.format import figure
from zoo.files import write_atomically


def probe_command(args: Sequence[str]) -> None:
    """`zoo probe RUN`: prints a table and writes RUN/probe_FEATURES_LABELS.json."""
    from train.core import machine
    from train.studies.probe import ProbeOptions, probe

    options = parse(ProbeOptions, args, prog="zoo probe")
    run = train.loop.named.load_or_named(options.run, options.config)
    machine.prepare_backend()
    result = probe(run, options)
    which = "_last" if (options.features, options.checkpoint) == ("trained", "last") else ""
    file = run.outputs / f"probe_{options.features}_{options.labels:g}{which}.json"
    write_atomically(file, json.dumps(result, indent=2) + "\n", make_folder=True)
    Console().print(_table(run, result))
    for name in ("linear", "nearest neighbours", "weights"):
        Console().print(f"{name}: {result['notes'][name]}", soft_wrap=True, highlight=False)


def _table(run: Run, result: dict[str, Any]) -> Table:
    share = f", {100 * result['labels']:g} % of the labels" if result["labels"] < 1 else ""
    what = f"{result['features']} features ({result['dimensions']:,} numbers{share})"
    table = Table(
        "split", "examples", "linear", "nearest neighbours", title=f"{run.path}, step {result['step']:,}: {what}"
    )
    from train.studies.probe import SPLITS

    for name in SPLITS:
        near = figure("accuracy", result["knn"][name]) if name in result["knn"] else ""
        table.add_row(name, f"{result['counts'][name]:,}", figure("accuracy", result["linear"][name]), near)
    return table
