"""A run and its data: what it keeps of them at its start, and what is said or refused where they have changed since."""

import dataclasses
from pathlib import Path
from typing import Any

from train.config import Data, Experiment
from train.data import record
from train.loop.run import Run
from zoo.errors import UserError, note


def normalizing_as_trained(experiment: Experiment, folder: Path | None) -> Experiment:
    """Return `experiment` with the mean and deviation that the run in `folder` was trained with, if it keeps them.

    With folds each replica has its own, which are computed from the data.
    """
    data = experiment.data
    known = record.read(folder) if folder and isinstance(data, Data) and not data.mean else None
    if known is None or not known.mean or experiment.folds is not None:
        return experiment
    return dataclasses.replace(experiment, data=dataclasses.replace(data, mean=known.mean, std=known.std))


def compare(dataset: Any, folder: Path) -> None:
    """Say in what the data have changed since the run in `folder` was made. UserError for other classes.

    With other classes, or the same in another order, the outputs of the network would be taken for the wrong ones.
    """
    known, now = record.read(folder), record.record(dataset)
    if known is None or now is None:
        return
    if known.class_names != now.class_names:
        before, after = (_listed(names) for names in (known.class_names, now.class_names))
        raise UserError(f"{folder} was trained on the classes {before}, and {now.name} has {after} now: restore them")
    changes = known.changed(now, *record.SPLITS)
    if known.decoder != now.decoder:
        changes.append(f"images are decoded by {now.decoder}, and were by {known.decoder}")
    if changes:
        note(f"{now.name} has changed since {folder} was made: {'; '.join(changes)}")


def keep(run: Run, dataset: Any) -> None:
    """Keep what a run that begins now needs of its data. UserError for one that resumes on other training examples."""
    known, now = record.read(run.path), record.record(dataset)
    if now is None:
        return
    if known is None:
        run.write_json(record.FILE, now.to_json())
    elif changes := known.changed(now, "train", "validation"):
        raise UserError(
            f"{run.path} cannot go on: {'; '.join(changes)}. Restore {now.name}, or start a new run from this one with "
            f"--init-from {run.path}"
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
