"""Metrics of a finished run that its files do not hold: they are measured on its restored states."""

import functools

from train.config import metrics
from train.history.claims.arms import Metric
from train.loop.restore import restore_replicas
from train.loop.run import Run


def learned(what: str) -> Metric:
    """Return the metric `what`, such as "accuracy", of each seed on the examples that it was trained on, as labelled.

    It is measured as on test, without dropout and augmentation; "train accuracy" is a mean during training.
    """
    of = metrics.metric(what)
    return Metric(
        f"{of.title} on its training examples",
        of.unit,
        metrics.direction(what),
        functools.partial(_on_training_examples, what=what),
    )


def _on_training_examples(run: Run, what: str) -> list[float]:
    parts, team, state = restore_replicas(run)
    measure = parts.evaluator("train", None)
    assert measure is not None, "a run has training examples"
    return [float(measure(one)[what]) for one in team.each(state)]
