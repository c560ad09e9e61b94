"""`zoo eval`: measure a trained run on its validation and test splits."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import train.loop.run
from train.commands.options import OwnParts, named
from train.commands.tables import comparison, each_fold
from train.core.console import Console
from train.metrics.format import title


@dataclasses.dataclass(frozen=True)
class EvalOptions(OwnParts):
    """Measure a trained run on its validation and test splits."""

    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest validation accuracy."""

    remeasure: bool = False
    """Measure the statistics of batch normalization anew, on one pass over the training set, before evaluating."""


def eval_command(args: Sequence[str]) -> None:
    """`zoo eval RUN`."""
    path, options = named(args, "RUN", EvalOptions, "zoo eval")
    run = train.loop.run.load(path, options.config)
    from train.core import devices, machine
    from train.loop.remeasure import remeasure
    from train.loop.replicas import evaluate_replicas
    from train.loop.restore import restore_replicas
    from train.loop.summary import Results, replica_results, setting_results

    machine.prepare_backend()
    parts, replicas, state = restore_replicas(run, options.checkpoint)
    mesh = devices.make_mesh(run.experiment.data.batch if options.remeasure else None)
    heading = f"{run.path}, step {int(state.step.max()):,}"
    if options.remeasure:
        state = remeasure(parts, replicas, state, run.experiment.data.batch, mesh)
        heading += ", batch statistics measured anew"
    results: dict[str, list[Results]] = {"validation": [], "test": []}
    for split in results:
        if evaluate := evaluate_replicas(replicas, parts, split, mesh):
            results[split] = evaluate(state)
    found = replica_results(replicas.members, results["validation"], results["test"], diverged={}, stops=[])
    settings = setting_results(found, parts.score)
    Console().print(comparison(settings, parts.counts, heading=heading, data=parts.bounds_on))
    if run.experiment.folds:
        Console().print(each_fold(found))
    for name, note in parts.notes.items():
        Console().print(f"{title(name)}: {note}", soft_wrap=True, highlight=False)
