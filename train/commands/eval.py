"""`zoo eval`: measure a trained run on its validation and test splits; a classifier also class by class."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import train.loop.named
from train.commands.console import console_for, say
from train.commands.options import OwnParts, named
from train.commands.tables import comparison, each_fold
from train.config.ways import way_of
from train.core.console import Console
from train.metrics.format import title
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class EvalOptions(OwnParts):
    """Measure a trained run on its validation and test splits.

    Of a classifier also print the accuracy of each class and the confusion matrix, and write them to the run's
    samples/: confusion.json, confusion_validation.png and confusion_test.png. Several seeds, or folds, are added up;
    the JSON holds each one too.
    """

    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest validation accuracy."""

    remeasure: bool = False
    """Measure the statistics of batch normalization anew, on one pass over the training set, before evaluating."""

    out: Path | None = None
    """Folder for the files of a classifier; by default the run's samples/."""


def eval_command(args: Sequence[str]) -> None:
    """`zoo eval RUN`."""
    path, options = named(args, "RUN", EvalOptions, "zoo eval")
    run = train.loop.named.load_or_named(path, options.config)
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out: {options.out} is no folder")
    from train.commands.confusion import collect, print_classes, written_to
    from train.core import devices, machine
    from train.loop.remeasure import remeasure
    from train.loop.replicas import Confused, confuse_replicas, counts_groups, evaluate_grouped
    from train.loop.restore import restore_replicas
    from train.loop.summary import group_interval, replica_results, setting_results

    machine.prepare_backend()
    parts, replicas, state = restore_replicas(run, options.checkpoint)
    mesh = devices.make_mesh(run.experiment.data.batch if options.remeasure else None)
    heading = f"{run.path}, step {int(state.step.max()):,}"
    if options.remeasure:
        state = remeasure(parts, replicas, state, run.experiment.data.batch, mesh)
        heading += ", batch statistics measured anew"
    confused: dict[str, list[Confused]] = {"validation": [], "test": []}
    for split in confused:
        if evaluate := confuse_replicas(replicas, parts, split, mesh):
            confused[split] = evaluate(state)
    results = {split: [means for means, _ in own] for split, own in confused.items()}
    found = replica_results(replicas.members, results["validation"], results["test"], diverged={}, stops=[])
    settings = setting_results(found, parts.score)
    intervals = {}
    for split in ("validation", "test") if len(found) > 1 else ("test",):  # validation of one replica has no interval
        # Another pass over the split, only where its examples come in groups.
        measured = evaluate_grouped(replicas, parts, split, mesh) if counts_groups(parts, split) else None
        groups = measured(state)[1] if measured else None
        intervals[split] = [group_interval(groups, found, setting, split) for setting in settings]
    Console().print(comparison(settings, parts.counts, heading, parts.bounds_on, intervals))
    if run.experiment.folds:
        Console().print(each_fold(found))
    for name, note in parts.notes.items():
        Console().print(f"{title(name)}: {note}", soft_wrap=True, highlight=False)
    names = getattr(parts.dataset, "class_names", ())
    if classes := collect(names, replicas.members, confused, settings, way_of(run.experiment.task).confuses):
        about = {"run": str(run.path), "checkpoint": options.checkpoint, "step": int(state.step.max())}
        about["batch_statistics"] = "measured anew" if options.remeasure else "of the run"
        written = written_to(options.out or run.samples, options.out is None, classes, about, run.name)
        print_classes(console_for(), classes, str(written[0]) if written else "confusion.json (--out FOLDER)")
        if written:
            say(f"written: {', '.join(map(str, written))}")
