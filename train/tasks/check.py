"""Checks of an experiment that need no data."""

import zoo
from train.algorithms import optimizers
from train.config import Data, Experiment, Text, ranges, sweep
from train.config.ways import Way, resolve, way_of
from zoo.errors import UserError

LEAST_LENGTH = 5  # tokens of a text: two of content and the three that frame a pair of sentences
NO_VALIDATION = "patience needs a validation split to judge by, and here is none (data.validation is its share)"


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read or anything is compiled."""
    if experiment.sweep:
        for setting in sweep.settings(experiment):
            check(sweep.with_setting(experiment, setting))
        return
    way, data = way_of(experiment.task), experiment.data
    way.require(data)
    ranges.check(experiment)
    if experiment.seed + experiment.seeds > 2**32:
        raise UserError(f"seed {experiment.seed} and seeds {experiment.seeds}: the last seed must be below 2^32")
    if isinstance(data, Text):
        _check_lengths(data)
    _check_folds(experiment, way)
    _check_patience(experiment, way)
    if way.check is not None:
        resolve(way.check)(experiment)
    optimizers.validate(experiment.optim, experiment.steps)
    zoo.create(experiment.model.name, **experiment.model.fields)


def _check_folds(experiment: Experiment, way: Way) -> None:
    """Raise UserError for a cross-validation that cannot be done, or a fold that is none."""
    data, fold = experiment.data, getattr(experiment.data, "fold", None)
    if experiment.folds is not None:
        if type(data) not in way.folds:
            raise UserError(
                f"folds are for classifiers of images, not for the task {experiment.task.name!r} on {data.name}"
            )
        if isinstance(data, Data) and data.placement == "stream":
            raise UserError("folds need a set that lives on the device, not data.placement=stream")
        if fold is not None:
            raise UserError("folds are all of them and data.fold is one: give one of the two")
    if fold is not None and not (fold[1] > 1 and 0 <= fold[0] < fold[1]):
        raise UserError(f"data.fold must be K N with N at least 2 and K from 0 to N - 1, not {fold[0]} {fold[1]}")


def _check_patience(experiment: Experiment, way: Way) -> None:
    """Raise UserError for early stopping without a validation split."""
    if experiment.patience is None:
        return
    held_out = getattr(experiment.data, "validation", None) != 0
    folded = experiment.folds is not None or getattr(experiment.data, "fold", None) is not None
    if not way.early_stopping or not (held_out or folded):
        raise UserError(NO_VALIDATION)


def _check_lengths(data: Text) -> None:
    """Raise UserError for a length of texts, or for buckets, that cannot be."""
    if data.length < LEAST_LENGTH:
        raise UserError(f"data.length must be at least {LEAST_LENGTH} tokens, not {data.length}")
    rising = list(data.buckets) == sorted(set(data.buckets))
    if not rising or not all(0 < bucket < data.length for bucket in data.buckets):
        raise UserError(f"data.buckets must rise and lie between 1 and data.length {data.length}, not {data.buckets}")
