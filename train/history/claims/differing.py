"""What two arms of a claim differ in: one thing, and where it is several fields, an effect declares them."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from train.config import Experiment
from train.history.claims.arms import TrainedArm

LEFT_OUT = ("seed", "seeds", "smoke", "sweep")  # no part of what arms are compared by
NAMED = ("model", "optim", "task")  # parts whose other fields depend on their name


def differing(one: TrainedArm, other: TrainedArm) -> list[str]:
    """Return the paths of the fields in which two arms differ, such as "model.fields.activation".

    Fields that either arm tunes are left out. Two models, update rules or tasks of different names differ in one thing,
    which is the whole part: "model".
    """
    tuned = {text.partition("=")[0] for arm in (one, other) if arm.tune for text in arm.tune.sweep}
    first, second = (dict(_flat(arm.experiment)) for arm in (one, other))
    whole = {part for part in NAMED if first[f"{part}.name"] != second[f"{part}.name"]}
    if type(one.experiment.data) is not type(other.experiment.data):
        whole.add("data")
    paths = {path for path in first | second if first.get(path) != second.get(path)}
    paths = {part if (part := path.partition(".")[0]) in whole else path for path in paths}
    return sorted(paths - tuned | ({"start"} if one.start != other.start else set()))


def covered(path: str, declared: tuple[str, ...]) -> bool:
    """Whether a declared path is that of a field, or of a part that it belongs to."""
    return any(path == one or path.startswith(f"{one}.") for one in declared)


def _flat(experiment: Experiment) -> Iterator[tuple[str, Any]]:
    """Yield the path of each field of an experiment with its value."""
    for field in dataclasses.fields(experiment):
        if field.name not in LEFT_OUT:
            yield from _inside(field.name, getattr(experiment, field.name))


def _inside(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if not isinstance(value, Mapping):
        yield path, value
        return
    for name, inner in value.items():
        yield from _inside(f"{path}.{name}", inner)
