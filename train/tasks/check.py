"""Checks of an experiment that need no data."""

import zoo
from train.algorithms import optimizers
from train.config import Data, Experiment, Text, World, ranges, sweep
from train.config.ways import Way, resolve, way_of
from train.data import worlds
from train.data.decode import SHRINKING
from train.data.images import augment, catalog
from train.data.images.wrong_labels import WRONG_FOLDS
from zoo.errors import Errors, UserError

LEAST_LENGTH = 5  # tokens of a text: two of content and the three that frame a pair of sentences
NO_VALIDATION = "patience needs a validation split to judge by, and here is none (data.validation is its share)"


def check(experiment: Experiment) -> None:
    """Raise UserError for all that can be seen to be wrong before data are read or anything is compiled.

    What contradicts what is only judged of values that are possible by themselves.
    """
    if experiment.sweep:
        errors = Errors()
        for setting in sweep.settings(experiment):
            with errors.kept():
                check(sweep.with_setting(experiment, setting))
        return errors.report()
    errors, way, data = Errors(), way_of(experiment.task), experiment.data
    with errors.kept():
        way.require(data)
    fits = not errors
    with errors.kept():
        check_fields(experiment)
    for of_all in (_check_folds, _check_patience):
        with errors.kept():
            of_all(experiment, way)
    if fits and way.check is not None and ranges.holds(experiment.task) and ranges.holds(data):
        with errors.kept():
            resolve(way.check)(experiment)
    if experiment.steps >= 1 and optimizers.holds(experiment.optim):
        with errors.kept():
            optimizers.validate(experiment.optim, experiment.steps)
    if errors:
        with errors.kept():
            _find_data(data)
    errors.report()


def check_fields(experiment: Experiment) -> None:
    """Raise UserError for all fields whose value is impossible, whatever the others are."""
    errors, data = Errors(), experiment.data
    with errors.kept():
        ranges.check(experiment)
    with errors.kept():
        if experiment.seed < 2**32 < experiment.seed + experiment.seeds:
            raise UserError(f"seed {experiment.seed} and seeds {experiment.seeds}: the last seed must be below 2^32")
    if isinstance(data, Text):
        with errors.kept():
            _check_lengths(data)
    if isinstance(data, Data):
        for of_images in (catalog.check, _check_decoding):
            with errors.kept():
                of_images(data)
    for name in data.augment if isinstance(data, Data) else ():
        with errors.kept():
            augment.parse((name,))
    if not isinstance(data, World):
        with errors.kept():
            ranges.require_share_of_labels(data.labels)
    with errors.kept():
        optimizers.validate_fields(experiment.optim)
    with errors.kept():
        zoo.create(experiment.model.name, **experiment.model.fields)
    errors.report()


def check_readable(experiment: Experiment) -> None:
    """`check_fields`, and whether there is such a data set, of an experiment of which some fields could not be read."""
    errors = Errors()
    for each in (lambda: check_fields(experiment), lambda: _find_data(experiment.data)):
        with errors.kept():
            each()
    errors.report()


def _find_data(data: Data | Text | World) -> None:
    """Raise UserError for images or an environment that are not there. Nothing of them is read."""
    if isinstance(data, Data):
        catalog.require_there(data.name)
    elif isinstance(data, World):
        worlds.require_there(data.name)


def _check_folds(experiment: Experiment, way: Way) -> None:
    """Raise UserError for a cross-validation that cannot be done, or a fold that is none."""
    data, fold = experiment.data, getattr(experiment.data, "fold", None)
    if experiment.folds is not None:
        if not isinstance(data, way.folds):
            raise UserError(
                f"folds are for classifiers of images, not for the task {experiment.task.name!r} on {data.name}"
            )
        if isinstance(data, Data) and data.NO_FOLDS:
            raise UserError(data.NO_FOLDS)
        if isinstance(data, Data) and data.wrong_labels:
            raise UserError(f"folds with data.wrong_labels: {WRONG_FOLDS}")
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


def _check_decoding(data: Data) -> None:
    """Raise UserError for images that are decoded at a smaller scale, where nothing makes them smaller."""
    if data.decode == "scaled" and (data.image_size is None or data.fit not in SHRINKING):
        raise UserError(f"data.decode=scaled needs data.image_size, with data.fit {' or '.join(SHRINKING)}")


def _check_lengths(data: Text) -> None:
    """Raise UserError for a length of texts, or for buckets, that cannot be."""
    if data.length < LEAST_LENGTH:
        raise UserError(f"data.length must be at least {LEAST_LENGTH} tokens, not {data.length}")
    rising = list(data.buckets) == sorted(set(data.buckets))
    if not rising or not all(0 < bucket < data.length for bucket in data.buckets):
        raise UserError(f"data.buckets must rise and lie between 1 and data.length {data.length}, not {data.buckets}")
