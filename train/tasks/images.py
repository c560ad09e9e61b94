"""Feed and evaluators that every task on images shares."""

from collections.abc import Callable
from typing import Any

from jax.sharding import Mesh

from train.config import Experiment
from train.core import Task, devices
from train.data.feed import DeviceFeed, Feed, StreamFeed, streams
from train.data.sources import Resident
from train.data.split import Dataset, Split
from train.metrics import evaluation
from train.metrics.evaluation import BATCH, Evaluator


def feeder(experiment: Experiment, dataset: Dataset) -> Callable[[Mesh | None, Any], Feed]:
    """`Setup.feed` of a run on images: from the device, or from disk what is too large for it."""

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        if streams(dataset.train, experiment.data):
            return StreamFeed(dataset.train, experiment.data, experiment.seed, mesh, reader)
        return DeviceFeed(resident(dataset.train, experiment.data.batch, mesh))

    return feed


def evaluators(
    experiment: Experiment, dataset: Dataset, task: Task, most: int = BATCH
) -> Callable[[str, Mesh | None], Evaluator | None]:
    """`Setup.evaluator` of a run on images: `task.evaluate` over a split, `most` examples at once at most."""

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        split = getattr(dataset, name)
        if not len(split):
            return None
        size = evaluation.batch_size(len(split), mesh, most)
        if streams(split, experiment.data):
            return evaluation.streamed(task, split, mesh, size)
        return evaluation.resident(task, resident(split, size, mesh))

    return evaluator


def resident(split: Split, batch: int, mesh: Mesh | None) -> Resident:
    """A split on the device."""
    return Resident(devices.place(split.arrays(), mesh), batch, devices.batch_sharding(mesh))
