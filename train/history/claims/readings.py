"""Read a metric from the files of a finished run: one value per seed, or its curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.config import Experiment, metrics
from train.config.ways import way_of
from train.history.claims.arms import MEAN_LOG_LOSS, Measured, Metric
from train.history.claims.values import Curve
from train.loop.run import Run, read_metrics, read_summary
from train.loop.summary import Summary
from zoo.errors import UserError

DIVERGED = "diverged.json"  # in the folder of a run whose replicas have all diverged


def all_diverged(path: Path) -> bool:
    """Whether every replica of the run in this folder has diverged."""
    return (path / DIVERGED).is_file()


def require_measured(metric: Metric, experiment: Experiment) -> None:
    """Raise UserError where evaluations of the experiment's task do not give the metric.

    What a step of training gives, and what a function of the finished run reads, is not known before.
    """
    if metric.name == MEAN_LOG_LOSS:
        return
    split, _, rest = metric.name.removeprefix("steps to reach ").removeprefix("mean ").partition(" ")
    name, given = rest.partition(" ")[0], way_of(experiment.task).metrics
    if metric.of is None and split != "train" and name not in given:
        raise UserError(
            f"the task {experiment.task.name!r} has no {metric.name}: its evaluations give {', '.join(given)}"
        )


def read(run: Run, metric: Metric) -> list[float | None]:
    """Return the numbers of `measure`; what is only a lower bound as if it were the value."""
    return [found.value for found in measure(run, metric)]


def measure(run: Run, metric: Metric) -> list[Measured]:
    """Return the metric of each seed after the run's last step; without a value for a seed that diverged."""
    summary = read_summary(run.path)
    assert summary is not None, f"{run.path} is not finished"
    gone = diverged(summary)
    if metric.of is not None:
        return _by_function(run, metric, gone)
    if metric.counts_steps:
        steps = _steps_to_reach(run, *metric.name.removeprefix("steps to reach ").split())
        # A seed that diverged has not stayed at its goal: it counts as one that never reached it.
        return [never_reached(run) if i in gone else found for i, found in enumerate(steps)]
    if metric.name == MEAN_LOG_LOSS:
        return [Measured(None if i in gone else value) for i, value in enumerate(_mean_log_loss(run))]
    if metric.name.startswith("mean "):
        values = curve(run, metric.name.removeprefix("mean ")).y.mean(1)
        return [Measured(None if i in gone else value) for i, value in enumerate(values)]
    split, name = metric.name.split()
    if split == "train":
        values = _at_the_end(run, name, summary)
    else:
        there = summary.replicas[0].on(split)
        if name not in there:
            raise UserError(f"{run.path} has no {metric.name}; {split} has {', '.join(there)}")
        values = [replica.on(split)[name] for replica in summary.replicas]
    return [Measured(None if i in gone else value) for i, value in enumerate(values)]


def never_reached(run: Run) -> Measured:
    """Return what is known of a seed that never reached its goal: it would take more steps than the run has."""
    return Measured(float(run.experiment.steps), at_least=True)


def _by_function(run: Run, metric: Metric, gone: Mapping[int, int]) -> list[Measured]:
    """Return the values that the metric's own function gives; an ensemble of which a seed diverged has none."""
    assert metric.of is not None, "the caller asks before"
    given = [found if isinstance(found, Measured) else Measured(found) for found in metric.of(run)]
    if any(found.of is None for found in given) and len(given) != run.experiment.seeds:
        raise UserError(f"{metric.name}: {len(given)} values for {run.experiment.seeds} seeds")
    lost = {run.experiment.seed + i for i in gone}
    of = [{run.experiment.seed + i} if found.of is None else set(found.of) for i, found in enumerate(given)]
    return [found._replace(value=None) if own & lost else found for found, own in zip(given, of, strict=True)]


def diverged(summary: Summary) -> dict[int, int]:
    """Return replica -> the step at which its loss was not finite."""
    steps = {number: replica.diverged_at_step for number, replica in enumerate(summary.replicas)}
    return {number: step for number, step in steps.items() if step is not None}


def curve(run: Run, name: str) -> Curve:
    """Return the curve of a logged metric, such as "train loss", for every seed."""
    split, _, what = name.partition(" ")
    lines = [line for line in read_metrics(run.path) if line["split"] == split and what in line]
    if not lines:
        raise UserError(f"{run.path} has no lines of {name}")
    rows = [_each(line, what) for line in lines]
    return Curve(np.array([line["step"] for line in lines], float), np.array(rows, float).T)


def _each(line: Mapping[str, Any], what: str) -> list[float]:
    found = line["replicas"][what] if "replicas" in line else [line[what]]
    return [np.nan if value is None else value for value in found]


def _at_the_end(run: Run, what: str, summary: Summary) -> list[float]:
    """Return the mean of each seed over the steps since the last evaluation but one, chunks weighted by their steps.

    With early stopping the last step is that of the State that the seed keeps, its best one.
    """
    line, every = curve(run, f"train {what}"), run.experiment.eval_every_steps
    chunks = np.diff(line.x, prepend=0)
    found = []
    for replica, y in zip(summary.replicas, line.y, strict=True):
        last = replica.best_step or summary.steps or run.experiment.steps
        inside = (line.x > (last - 1) // every * every) & (line.x <= last)
        found.append(float((y[inside] * chunks[inside]).sum() / chunks[inside].sum()))
    return found


def _mean_log_loss(run: Run) -> list[float]:
    """Return the mean over all steps of the logarithm of each seed's training loss, chunks weighted by their steps."""
    line = curve(run, "train loss")
    return np.average(np.log(line.y), axis=1, weights=np.diff(line.x, prepend=0)).tolist()


def _steps_to_reach(run: Run, split: str, what: str, goal: str) -> list[Measured]:
    line = curve(run, f"{split} {what}")
    there = line.y >= float(goal) if metrics.direction(what) == "higher" else line.y <= float(goal)
    return [Measured(float(line.x[own.argmax()])) if own.any() else never_reached(run) for own in there]
