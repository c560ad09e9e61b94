"""Checks of an experiment that need no data."""

from collections.abc import Iterator
from typing import Any

import zoo
from train.algorithms import optimizers
from train.config import Data, Experiment, Text, World, sweep
from zoo.errors import UserError

LEARNS_FROM: dict[str, tuple[type, ...]] = {
    "classify": (Data, Text),
    "language": (Text,),
    "translate": (Text,),
    "masked": (Text,),
    "contrast": (Data,),
    "adversarial": (Data,),
    "q_learning": (World,),
}
"""The kinds of data that each task can be posed on."""


KINDS = {Data: "a set of images", Text: "text", World: "an environment"}


COUNTS = (
    *(
        "steps",
        "seeds",
        "eval_every_steps",
        "patience",
        "data.batch",
        "data.vocab",
        "data.image_size",
        "data.environments",
    ),
    *("data.time_limit", "task.train_every", "task.target_every", "task.replay", "task.replay_start"),
    *("task.epsilon_steps", "task.eval_episodes", "task.critic_steps"),
)


SHARES = ("data.validation", "task.label_smoothing", "task.share")


SEEDS = ("seed", "data.split_seed", "data.workers")


NO_VALIDATION = "patience needs a validation split to judge by, and here is none (data.validation is its share)"


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read or anything is compiled."""
    if experiment.sweep:
        for setting in sweep.settings(experiment):
            check(sweep.with_setting(experiment, setting))
        return
    task, data = experiment.task.name, experiment.data
    if not isinstance(data, LEARNS_FROM[task]):
        wanted = " or ".join(KINDS[kind] for kind in LEARNS_FROM[task])
        raise UserError(f"the task {task!r} needs {wanted}, and {data.name} is {KINDS[type(data)]}")
    if isinstance(data, Text):
        _check_lengths(experiment)
    for field, value in _present(experiment, COUNTS):
        if value is not None and value < 1:
            raise UserError(f"{field} must be at least 1, not {value}")
    for field, value in _present(experiment, SHARES):
        if not 0 <= value < 1:
            raise UserError(f"{field} must be at least 0 and below 1, not {value}")
    for field, value in _present(experiment, SEEDS):
        if value < 0:
            raise UserError(f"{field} must not be negative, not {value}")
        if value >= 2**32:
            raise UserError(f"{field} must be below 2^32, not {value}")
    for field, value in _present(experiment, ("task.temperature",)):
        if not 0 < value < float("inf"):
            raise UserError(f"{field} must be a number above 0, not {value}")
    _check_folds(experiment)
    folded = experiment.folds or getattr(data, "fold", None)
    if experiment.patience and (task == "adversarial" or (getattr(data, "validation", None) == 0 and not folded)):
        raise UserError(NO_VALIDATION)
    optimizers.validate(experiment.optim, experiment.steps)
    zoo.create(experiment.model.name, **experiment.model.fields)


def _check_folds(experiment: Experiment) -> None:
    data, fold = experiment.data, getattr(experiment.data, "fold", None)
    if experiment.folds is not None:
        if not isinstance(data, Data) or experiment.task.name != "classify":
            raise UserError(
                f"folds are for classifiers of images, not for the task {experiment.task.name!r} on {data.name}"
            )
        if experiment.folds < 2:
            raise UserError(f"folds must be at least 2, not {experiment.folds}")
        if data.placement == "stream":
            raise UserError("folds need a set that lives on the device, not data.placement=stream")
        if fold is not None:
            raise UserError("folds are all of them and data.fold is one: give one of the two")
    if fold is not None and not (fold[1] > 1 and 0 <= fold[0] < fold[1]):
        raise UserError(f"data.fold must be K N with N at least 2 and K from 0 to N - 1, not {fold[0]} {fold[1]}")


def _check_lengths(experiment: Experiment) -> None:
    length, buckets = experiment.data.length, experiment.data.buckets
    if length < 5:
        raise UserError(f"data.length must be at least 5 tokens, not {length}")
    if list(buckets) != sorted(set(buckets)) or not all(0 < bucket < length for bucket in buckets):
        raise UserError(f"data.buckets must rise and lie between 1 and data.length {length}, not {buckets}")
    if buckets and experiment.task.name == "language":
        raise UserError("data.buckets are for sentences; a language model reads windows of one length")
    if getattr(experiment.task, "beams", 1) < 1:
        raise UserError(f"task.beams must be at least 1, not {experiment.task.beams}")


def _present(experiment: Experiment, fields: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(field, value) of those `fields` that this kind of data and of task has."""
    for field in fields:
        part, _, name = field.rpartition(".")
        holder = getattr(experiment, part) if part else experiment
        if hasattr(holder, name):
            yield field, getattr(holder, name)
