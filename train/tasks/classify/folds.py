"""Set up k-fold cross-validation of an image classifier: one set on the device, each replica with its own fold."""

import dataclasses
import functools
from typing import Any, cast

import numpy as np
from jax.sharding import Mesh

from train.config import Classify, Data, Experiment
from train.config.replicas import members
from train.core import PerReplica, Source, devices
from train.data.feed import DeviceFeed, Feed, streams
from train.data.images.folds import Fold, cut
from train.data.sources import Batch, Resident
from train.data.split import Dataset, Split, moments
from train.metrics import evaluation
from train.metrics.evaluation import BATCH, Evaluator
from train.tasks.classify import images
from train.tasks.classify.weights import weighting
from train.tasks.setup import Setup, require_batch
from zoo.errors import UserError


def assemble(experiment: Experiment, task: Classify, data: Data, count: int) -> Setup:
    """Set up a run whose replicas each hold out one of `count` folds; the share `data.validation` is not used.

    Each replica normalizes by the moments of its own training examples, as a run of that fold alone does.
    """
    whole = dataclasses.replace(data, validation=0.0)
    setup = images.assemble(dataclasses.replace(experiment, data=whole), task, whole)
    dataset = setup.dataset
    if streams(dataset.train, whole):
        raise UserError(f"folds need a set that fits on the device, and {data.name} is read while training")
    folds = cut(dataset.train, count, data.split_seed, dataset.name, dataset.class_names)
    require_batch(data.batch, len(folds[0].train), " of a fold")
    fixed = {"mean": dataset.mean, "std": dataset.std} if data.mean and data.normalize else None
    normalization = [fixed or _normalization(dataset.train, fold, data.normalize) for fold in folds]
    given = [own | _weights(task, dataset, fold) for own, fold in zip(normalization, folds, strict=True)]

    @functools.cache
    def placed(split: str) -> Batch:
        """The arrays of a split on the device, once for all folds."""
        return devices.place(getattr(dataset, split).arrays(), None)

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        del mesh, reader  # replicas share one device, and a set that lives there has no reader
        held_out = [member.fold for member in members(experiment) if member.fold is not None]
        own = {
            "rows": np.stack([folds[fold].train for fold in held_out]).astype(np.int32),
            "given": {name: np.stack([given[fold][name] for fold in held_out]) for name in given[0]},
        }
        source = PerReplica(
            Resident(placed("train"), data.batch, shuffled=data.order == "shuffled"), devices.place(own, None)
        )
        return DeviceFeed(cast(Source, source))  # `train.core.replicate` makes the Source of each replica from it

    def of_fold(split: str, fold: int) -> Evaluator:
        given = devices.place(normalization[fold], None)
        if split == "validation":
            rows = devices.place(folds[fold].validation.astype(np.int32), None)
            source = Resident(placed("train"), min(BATCH, len(rows)), rows=rows, given=given)
        else:
            source = Resident(placed("test"), min(BATCH, len(dataset.test)), given=given)
        return evaluation.resident(setup.task, source)

    return dataclasses.replace(setup, feed=feed, of_fold=of_fold)


def _weights(task: Classify, dataset: Dataset, fold: Fold) -> dict[str, np.ndarray]:
    """The class weights of a fold's own training examples, as a batch brings them; {} without any."""
    train = Split(dataset.train.store, dataset.train.indices[fold.train])
    weights, _ = weighting(task, lambda: images.labels_of(train), dataset.class_names)
    return {} if weights is None else {"class_weights": weights}


def _normalization(train: Split, fold: Fold, normalize: bool) -> dict[str, np.ndarray]:
    """The mean and standard deviation of a fold's own training examples, float32 (C,); 0 and 1 without `normalize`."""
    if not normalize:
        return {"mean": np.zeros(1, np.float32), "std": np.ones(1, np.float32)}
    mean, std = moments(Split(train.store, train.indices[fold.train]))
    return {"mean": mean, "std": std}
