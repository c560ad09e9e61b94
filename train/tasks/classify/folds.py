"""k-fold cross-validation of an image classifier: one set on the device, each replica drawing from its own fold."""

import dataclasses
import functools
from typing import Any

import numpy as np
from jax.sharding import Mesh

from train.config import Experiment
from train.config.replicas import members
from train.core import PerReplica, devices
from train.data.feed import DeviceFeed, Feed, streams
from train.data.images import folds
from train.data.sources import Batch, Resident
from train.data.split import Split, moments
from train.metrics import evaluation
from train.metrics.evaluation import BATCH, Evaluator
from train.tasks.classify import images
from train.tasks.setup import Setup
from zoo.errors import UserError


def assemble(experiment: Experiment) -> Setup:
    """The parts of a run whose replicas each hold out one of `experiment.folds`; `data.validation` is not used.

    Each normalizes with mean and deviation of what it trains on, as a run of that fold alone does.
    """
    data = dataclasses.replace(experiment.data, validation=0.0)
    parts = images.assemble(dataclasses.replace(experiment, data=data))
    dataset = parts.dataset
    if streams(dataset.train, data):
        raise UserError(f"folds need a set that fits on the device, and {data.name} is read while training")
    found = folds.cut(dataset.train, experiment.folds, data.split_seed, dataset.name, dataset.class_names)
    size = len(found[0].train)
    if data.batch > size:
        raise UserError(f"data.batch {data.batch} is larger than the {size} training examples of a fold")

    def given(fold: folds.Fold) -> Batch:
        own = Split(dataset.train.store, dataset.train.indices[fold.train])
        mean, std = moments(own) if data.normalize else (np.zeros(1, np.float32), np.ones(1, np.float32))
        return {"mean": mean, "std": std}

    normal = [given(fold) for fold in found]

    @functools.cache
    def placed(name: str) -> Batch:
        """Once, for all folds."""
        return devices.place(getattr(dataset, name).arrays(), None)

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        del mesh, reader  # replicas have one device, and a set that lives there has no reader
        team = [member.fold for member in members(experiment)]
        own = {
            "rows": np.stack([found[fold].train for fold in team]).astype(np.int32),
            "given": {name: np.stack([normal[fold][name] for fold in team]) for name in ("mean", "std")},
        }
        return DeviceFeed(PerReplica(Resident(placed("train"), data.batch), devices.place(own, None)))

    def of_fold(split: str, fold: int) -> Evaluator:
        rows = found[fold].validation.astype(np.int32) if split == "validation" else None
        size = len(dataset.test) if rows is None else len(rows)
        name = "test" if rows is None else "train"
        source = Resident(placed(name), min(BATCH, size), rows=rows, given=normal[fold])
        return evaluation.resident(parts.task, devices.place(source, None))

    return dataclasses.replace(parts, feed=feed, of_fold=of_fold)
