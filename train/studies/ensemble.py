"""Ensembles: the averaged probabilities of several trained classifiers, each member measured beside them.

Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles", section 2.4:
members that differ in their seed alone, an average of equal weights.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from scipy.special import log_softmax, logsumexp

from train.config.replicas import alone
from train.core import State
from train.data.sources import padded
from train.loop.restore import assemble_run, restore_replicas
from train.loop.run import Run
from train.metrics.evaluation import BATCH
from train.tasks.setup import Setup
from zoo.errors import UserError

BINS = 15
"""Of the confidence, for the expected calibration error."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One trained classifier."""

    run: Run
    replica: int | None  # which of the run's, where it has several
    parts: Setup
    state: State
    held_out: bool  # whether the members of its run have a validation split in common


def members(runs: Sequence[Run], checkpoint: Literal["last", "best"] = "last") -> list[Member]:
    """Every replica of every run, with the State of its `checkpoint`. UserError where they cannot be averaged."""
    found: list[Member] = []
    for run in runs:
        if any(run.path.resolve() == other.run.path.resolve() for other in found):
            raise UserError(f"{run.path} is given twice")
        demand_probabilities(run)
        parts, team, state = restore_replicas(run, checkpoint)
        for number, (one, own) in enumerate(zip(team.members, team.each(state), strict=True)):
            # Each fold is normalized in its own way.
            its = parts if one.fold is None else assemble_run(alone(run.experiment, one))
            found.append(Member(run, number if len(team.members) > 1 else None, its, own, one.fold is None))
        demand_alike(found[0], found[-1])
    if len(found) < 2:
        raise UserError(f"an ensemble has at least two members, and {runs[0].path} holds one")
    return found


def demand_probabilities(run: Run) -> None:
    """Raise UserError unless what the run trains gives probabilities of classes."""
    task = run.experiment.task
    if task.name != "classify":
        raise UserError(
            f"{run.path} is no classifier (its task is {task.name!r}): an ensemble averages their probabilities"
        )
    if task.loss != "cross_entropy":
        raise UserError(f"{run.path} was trained with task.loss={task.loss}, so that its outputs are no probabilities")


def demand_alike(first: Member, other: Member) -> None:
    """Raise UserError where two members were not trained for the same examples, cut in the same way."""
    one, two = first.parts.dataset, other.parts.dataset
    where = f"{other.run.path} cannot join {first.run.path}"
    if (one.name, one.version) != (two.name, two.version):
        raise UserError(f"{where}: the data set of one is {_named(two)}, of the other {_named(one)}")
    if one.class_names != two.class_names:
        raise UserError(f"{where}: it has {two.classes} classes, and the other {one.classes} or others by name")
    for split in ("validation", "test"):
        same = np.array_equal(_identity(one, split), _identity(two, split))
        if not same and (split == "test" or (first.held_out and other.held_out)):
            raise UserError(
                f"{where}: their {split} splits differ (data.validation, data.split_seed, data.fold), and what one "
                "is tested on the other may have learned from"
            )


def _named(dataset: Any) -> str:
    return f"{dataset.name} {dataset.version}".strip()


def _identity(dataset: Any, split: str) -> np.ndarray:
    """Which examples a split holds: their places in the set, or of text their labels."""
    part = getattr(dataset, split)
    return part.indices if hasattr(part, "indices") else part.arrays["y"]


def judge(found: Sequence[Member]) -> dict[str, dict[str, Any]]:
    """split -> {"count", "members": their figures in order, "mean": of these, "ensemble": the average's figures}.

    Figures are those of `figures`. "validation" is missing where there is none, or where members hold out different
    folds. Raises UserError for a member whose outputs are not finite.
    """
    result = {}
    for split in ("validation", "test"):
        if not len(getattr(found[0].parts.dataset, split)) or not (split == "test" or all(m.held_out for m in found)):
            continue
        labels, each = None, []
        for member in found:
            log_p, labels = log_probabilities(member, split)
            if not np.isfinite(log_p).all():
                which = "" if member.replica is None else f" (replica {member.replica})"
                raise UserError(f"{member.run.path}{which} gives outputs that are not finite: leave it out")
            each.append(log_p)
        own = [figures(log_p, labels) for log_p in each]
        result[split] = {
            "count": len(labels),
            "members": own,
            "mean": {name: float(np.mean([one[name] for one in own])) for name in own[0]},
            "ensemble": figures(average(each), labels),
        }
    return result


def log_probabilities(member: Member, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, classes) float64, the logarithm of what the member gives each class, and the labels (N,)."""
    part = getattr(member.parts.dataset, split)
    size = min(BATCH, len(part))
    predict = jax.jit(member.parts.task.predict)
    logits, labels = [], []
    for start in range(0, len(part), size):
        positions = np.arange(start, min(start + size, len(part)))
        batch = _batch(part, positions)
        shown = {name: leaf for name, leaf in padded(batch, size).items() if name not in ("y", "mask")}
        logits.append(np.asarray(predict(member.state, shown), np.float64)[: len(positions)])
        labels.append(batch["y"])
    return log_softmax(np.concatenate(logits), axis=-1), np.concatenate(labels)


def _batch(part: Any, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Images from wherever they are, or sentences."""
    if hasattr(part, "batch"):
        return part.batch(positions)
    return {name: leaf[positions] for name, leaf in part.arrays.items()}


def average(log_p: Sequence[np.ndarray]) -> np.ndarray:
    """The logarithm of the mean of the members' probabilities, each (N, classes)."""
    return logsumexp(np.stack(log_p), axis=0) - np.log(len(log_p))


def figures(log_p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """accuracy, loss (cross entropy in nats) and calibration_error of log probabilities (N, classes).

    calibration_error: Guo et al. 2017, eq. 3: the mean, over 15 bins of equal width of the likeliest class's
    probability, of the distance between accuracy and that probability, weighted by the examples in the bin.
    """
    right = log_p.argmax(-1) == labels
    confidence = np.exp(log_p.max(-1))
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return {
        "accuracy": float(right.mean()),
        "loss": float(-log_p[np.arange(len(labels)), labels].mean()),
        "calibration_error": float(np.abs(gaps).sum() / len(labels)),
    }
