"""`zoo eval`: measure a trained run on its validation and test splits."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from rich.console import Console

import train.loop.run
from train.commands.options import named
from train.commands.tables import comparison, each_fold
from train.metrics.format import title


@dataclasses.dataclass(frozen=True)
class EvalOptions:
    """Measure a trained run on its validation and test splits."""

    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest validation accuracy."""


def eval_command(args: Sequence[str]) -> None:
    """`zoo eval RUN`."""
    path, options = named(args, "RUN", EvalOptions, "zoo eval")
    run = train.loop.run.load(path)
    from train.core import devices, machine
    from train.loop import summary as summary_module
    from train.loop.restore import restore_replicas

    machine.prepare_backend()
    parts, team, state = restore_replicas(run, options.checkpoint)
    results: dict[str, list[dict[str, float]]] = {"validation": []}
    for split in ("validation", "test"):
        mesh, held_out = devices.make_mesh(run.experiment.data.batch), [member.fold for member in team.members]
        if measures := parts.measures(split, mesh, held_out):
            results[split] = [measure(one) for measure, one in zip(measures, team.each(state), strict=True)]
    found = summary_module.summarize(team.members, **results, diverged={}, score=parts.score)
    rows = found.get("settings") or [found | {"setting": {}, "seeds": [run.experiment.seed]}]
    Console().print(comparison(rows, parts.counts, heading=f"{run.path}, step {int(state.step.max()):,}"))
    if run.experiment.folds:
        Console().print(each_fold(found["replicas"]))
    for name, note in parts.notes.items():
        Console().print(f"{title(name)}: {note}", soft_wrap=True, highlight=False)
