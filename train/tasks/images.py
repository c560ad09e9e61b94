"""Training batches and evaluators of every task on images."""

from collections.abc import Callable
from typing import Any

from jax.sharding import Mesh

from train.config import Data, Experiment
from train.core import Task, devices
from train.data.feed import DeviceFeed, Feed, StreamFeed, streams
from train.data.sources import Resident
from train.data.split import Dataset, Split
from train.metrics import evaluation
from train.metrics.evaluation import BATCH, Evaluator
from train.tasks.setup import narrow

EVALUATION_BYTES = 32 << 20  # of images in one batch of a streamed split; as float32 they take four times as much


def feeder(experiment: Experiment, dataset: Dataset) -> Callable[[Mesh | None, Any], Feed]:
    """`Setup.feed` of a run on images; see `make_feed`."""
    data = narrow(experiment.data, Data)
    return lambda mesh, reader: make_feed(dataset, data, experiment.seed, mesh, reader)


def make_feed(dataset: Dataset, data: Data, seed: int, mesh: Mesh | None, reader: Any) -> Feed:
    """Return the training batches: a small set is kept on the device, a larger one is read from disk.

    A set may compose new examples in the compiled step instead.
    """
    if dataset.new_examples is not None:
        return DeviceFeed(dataset.new_examples(data.batch, mesh))
    if streams(dataset.train, data):
        return StreamFeed(dataset.train, data, seed, mesh, reader)
    return DeviceFeed(resident(dataset.train, data.batch, mesh, shuffled=data.order == "shuffled"))


def evaluators(
    experiment: Experiment, dataset: Dataset, task: Task, most: int = BATCH
) -> Callable[[str, Mesh | None], Evaluator | None]:
    """`Setup.evaluator` of a run on images: `task.evaluate` over a split, at most `most` examples at once."""
    data = narrow(experiment.data, Data)

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        split: Split = getattr(dataset, name)
        if not len(split):
            return None
        if streams(split, data):
            fitting = max(1, EVALUATION_BYTES * len(split) // split.nbytes)
            size = evaluation.batch_size(len(split), mesh, min(most, fitting))
            return evaluation.streamed(task, split, mesh, size, split.groups)
        size = evaluation.batch_size(len(split), mesh, most)
        return evaluation.resident(task, resident(split, size, mesh), split.groups)

    return evaluator


def resident(split: Split, batch: int, mesh: Mesh | None, *, shuffled: bool = True) -> Resident:
    """Place a split on the device, as the source of batches."""
    return Resident(devices.place(split.arrays(), mesh), batch, devices.batch_sharding(mesh), shuffled=shuffled)
