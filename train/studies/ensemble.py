"""Ensembles: the average of the probabilities of several classifiers, compared with each of them.

Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles", section 2.4:
the members differ only in their seed and have equal weights in the average.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import numpy as np
from scipy.special import log_softmax, logsumexp

from train.config import Classify
from train.config.replicas import alone
from train.core import State
from train.data.sources import padded
from train.loop.restore import assemble_run, restore_replicas
from train.loop.run import Run
from train.metrics.evaluation import BATCH
from train.tasks.setup import Setup
from zoo.errors import UserError

BINS = 15
"""Bins of the confidence in the expected calibration error."""


@dataclasses.dataclass(frozen=True)
class Member:
    """One trained classifier."""

    run: Run
    replica: int | None  # its index in a run of several replicas
    setup: Setup
    state: State
    held_out: bool  # whether all replicas of its run have the same validation split


def members(runs: Sequence[Run], checkpoint: Literal["last", "best"] = "last") -> list[Member]:
    """Return every replica of every run with the State of its `checkpoint`.

    Raises UserError where their probabilities cannot be averaged.
    """
    found: list[Member] = []
    for run in runs:
        if any(run.path.resolve() == other.run.path.resolve() for other in found):
            raise UserError(f"{run.path} is given twice")
        demand_probabilities(run)
        shared_setup, replicas, states = restore_replicas(run, checkpoint)
        for number, (replica, state) in enumerate(zip(replicas.members, replicas.each(states), strict=True)):
            whole = replica.fold is None
            # Each fold has its own normalization.
            setup = shared_setup if whole else assemble_run(alone(run.experiment, replica))
            found.append(Member(run, number if len(replicas.members) > 1 else None, setup, state, whole))
        demand_alike(found[0], found[-1])
    if len(found) < 2:
        raise UserError(f"an ensemble has at least two members, and {runs[0].path} holds one")
    return found


def demand_probabilities(run: Run) -> None:
    """Raise UserError unless the run trains a model whose outputs are class probabilities."""
    task = run.experiment.task
    if not isinstance(task, Classify):
        raise UserError(
            f"{run.path} is not a classifier (its task is {task.name!r}): an ensemble averages class probabilities"
        )
    if task.loss != "cross_entropy":
        raise UserError(f"{run.path} was trained with task.loss={task.loss}, so its outputs are not probabilities")


def demand_alike(first: Member, other: Member) -> None:
    """Raise UserError where two members were not trained on the same data set with the same splits."""
    one, two = first.setup.dataset, other.setup.dataset
    where = f"{other.run.path} cannot join {first.run.path}"
    if (one.name, one.version) != (two.name, two.version):
        raise UserError(f"{where}: its data set is {_title(two)}, and that of the other {_title(one)}")
    if one.class_names != two.class_names:
        raise UserError(f"{where}: it has {two.classes} classes, and the other {one.classes} or other class names")
    for split in ("validation", "test"):
        same = np.array_equal(_identity(one, split), _identity(two, split))
        if not same and (split == "test" or (first.held_out and other.held_out)):
            raise UserError(
                f"{where}: their {split} splits differ (data.validation, data.split_seed, data.fold), so one may have "
                "been trained on examples on which the other is tested"
            )


def _title(dataset: Any) -> str:
    return f"{dataset.name} {dataset.version}".strip()


def _identity(dataset: Any, split: str) -> np.ndarray:
    """Return what identifies the examples of a split: their indices in the data set, or for text their labels."""
    part = getattr(dataset, split)
    return part.indices if hasattr(part, "indices") else part.arrays["y"]


def judge(found: Sequence[Member]) -> dict[str, dict[str, Any]]:
    """Evaluate each member and the ensemble.

    Returns split -> {"count", "members": the metrics of each, "mean": their mean, "ensemble": the metrics of the
    ensemble, "confusion": its confusion matrix}; the metrics are those of `figures`. "validation" is missing without
    such a split, and where the members hold out different folds. Raises UserError for a member whose outputs
    are not finite.
    """
    result = {}
    for split in ("validation", "test"):
        if not len(getattr(found[0].setup.dataset, split)):
            continue
        if split == "validation" and not all(member.held_out for member in found):
            continue
        labels, each = np.zeros(0, int), []
        for member in found:
            log_p, labels = log_probabilities(member, split)
            if not np.isfinite(log_p).all():
                path, number = member.run.path, member.replica
                if number is None:
                    raise UserError(f"{path} has outputs that are not finite: leave this run out")
                raise UserError(
                    f"replica {number} of {path} has outputs that are not finite: take the others out by `zoo extract "
                    "RUN NUMBER`, and name those"
                )
            each.append(log_p)
        own = [figures(log_p, labels) for log_p in each]
        result[split] = {
            "count": len(labels),
            "members": own,
            "mean": {name: float(np.mean([one[name] for one in own])) for name in own[0]},
            "ensemble": figures(average(each), labels),
            "confusion": confusion(average(each), labels).tolist(),
        }
    return result


def log_probabilities(member: Member, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the log probabilities (N, classes) float64 of a member on a split, and the labels (N,)."""
    part = getattr(member.setup.dataset, split)
    size = min(BATCH, len(part))
    assert member.setup.task.predict is not None, "a classifier predicts"
    predict = jax.jit(member.setup.task.predict)
    logits, labels = [], []
    for start in range(0, len(part), size):
        positions = np.arange(start, min(start + size, len(part)))
        batch = _batch(part, positions)
        inputs = {name: leaf for name, leaf in padded(batch, size).items() if name not in ("y", "mask")}
        logits.append(np.asarray(predict(member.state, inputs), np.float64)[: len(positions)])
        labels.append(batch["y"])
    return log_softmax(np.concatenate(logits), axis=-1), np.concatenate(labels)


def _batch(part: Any, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the examples of a split of images or of texts."""
    if hasattr(part, "batch"):  # images
        return part.batch(positions)
    return {name: leaf[positions] for name, leaf in part.arrays.items()}


def confusion(log_p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the examples of each true class (row) that were taken for each class: integer (classes, classes)."""
    classes = log_p.shape[-1]
    return np.bincount(labels * classes + log_p.argmax(-1), minlength=classes**2).reshape(classes, classes)


def average(log_p: Sequence[np.ndarray]) -> np.ndarray:
    """Return the log of the mean probabilities. log_p: (N, classes) for each member."""
    return logsumexp(np.stack(log_p), axis=0) - np.log(len(log_p))


def figures(log_p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the accuracy, the loss (cross entropy in nats) and the calibration error of log probabilities.

    The expected calibration error (Guo et al. 2017, eq. 3) groups the examples into 15 bins of equal width by their
    confidence, the probability of the predicted class. It is the mean over the bins of |accuracy - mean confidence|,
    weighted by their number of examples.
    """
    # A row of NaN, from a member that diverged, predicts nothing: it is wrong, and has no confidence.
    largest = np.nan_to_num(log_p.max(-1), nan=-np.inf)
    right = (log_p.argmax(-1) == labels) & np.isfinite(largest)
    confidence = np.exp(largest)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return {
        "accuracy": float(right.mean()),
        "loss": float(-log_p[np.arange(len(labels)), labels].mean()),
        "calibration_error": float(np.abs(gaps).sum() / len(labels)),
    }
