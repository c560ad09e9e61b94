"""Read a metric from the files of a finished run: one value per seed, or its curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from train.config import Experiment, metrics
from train.config.ways import way_of
from train.history.claims.claim import Metric
from train.history.claims.verdict import Curve
from train.loop.run import Run, read_metrics, read_summary
from train.loop.summary import Summary
from zoo.errors import UserError


def require_measured(metric: Metric, experiment: Experiment) -> None:
    """Raise UserError where evaluations of the experiment's task do not give the metric.

    What a step of training gives, and what a function of the finished run reads, is not known before.
    """
    split, _, rest = metric.name.removeprefix("steps to reach ").removeprefix("mean ").partition(" ")
    name, given = rest.partition(" ")[0], way_of(experiment.task).metrics
    if metric.of is None and split != "train" and name not in given:
        raise UserError(
            f"the task {experiment.task.name!r} has no {metric.name}: its evaluations give {', '.join(given)}"
        )


def read(run: Run, metric: Metric) -> list[float | None]:
    """Return the metric of each seed after the run's last step; None for a seed that diverged."""
    summary = read_summary(run.path)
    assert summary is not None, f"{run.path} is not finished"
    gone = diverged(summary)
    if metric.of is not None:
        values = list(metric.of(run))
        if len(values) != run.experiment.seeds:
            raise UserError(f"{metric.name}: {len(values)} values for {run.experiment.seeds} seeds")
        return [None if i in gone else value for i, value in enumerate(values)]
    if metric.name.startswith("steps to reach "):
        steps = _steps_to_reach(run, *metric.name.removeprefix("steps to reach ").split())
        # A seed that diverged has not stayed at its goal: it counts as one that never reached it.
        return [float(run.experiment.steps) if i in gone else value for i, value in enumerate(steps)]
    if metric.name.startswith("mean "):
        values = curve(run, metric.name.removeprefix("mean ")).y.mean(1)
        return [None if i in gone else value for i, value in enumerate(values)]
    split, name = metric.name.split()
    if split == "train":
        values = _at_the_end(run, name, summary)
    else:
        there = summary.replicas[0].on(split)
        if name not in there:
            raise UserError(f"{run.path} has no {metric.name}; {split} has {', '.join(there)}")
        values = [replica.on(split)[name] for replica in summary.replicas]
    return [None if i in gone else value for i, value in enumerate(values)]


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


def _steps_to_reach(run: Run, split: str, what: str, goal: str) -> np.ndarray:
    line = curve(run, f"{split} {what}")
    there = line.y >= float(goal) if metrics.direction(what) == "higher" else line.y <= float(goal)
    return np.where(there.any(1), line.x[there.argmax(1)], float(run.experiment.steps))
