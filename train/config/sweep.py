"""Sweeps: fields of an Experiment that take another value in each replica of a run."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from train.config.schema import Experiment
from zoo.errors import UserError, unknown

SWEEPABLE = (
    *(f"optim.{name}" for name in ("lr", "final_lr", "momentum", "b1", "b2", "weight_decay", "clip_norm")),
    "task.label_smoothing",
)
"""Numbers that the program of a run takes as data. All else shapes its arrays or the program itself."""

Setting = dict[str, float]
"""Field -> value, of one replica."""


def settings(experiment: Experiment) -> list[Setting]:
    """Every combination of the values that `experiment.sweep` names, the last field varying fastest; [{}] without one.

    Raises UserError for what is not FIELD=VALUE,VALUE,…, and for a field that cannot differ between replicas.
    """
    columns: dict[str, list[float]] = {}
    for text in experiment.sweep:
        field, _, values = text.partition("=")
        if field not in SWEEPABLE and _get(experiment, field) is not None:
            raise UserError(
                f"sweep: {field} shapes the arrays or the program, so runs that differ in it cannot be replicas of one "
                f"program: train them one after the other; what can be swept: {', '.join(SWEEPABLE)}"
            )
        if field not in SWEEPABLE:
            raise unknown("sweep field", field, SWEEPABLE)
        if field in columns:
            raise UserError(f"sweep: {field} is given twice")
        try:
            columns[field] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UserError(f"sweep must be FIELD=VALUE,VALUE,… with numbers, not {text!r}") from None
        if not hasattr(getattr(experiment, field.partition(".")[0]), field.partition(".")[2]):
            raise UserError(f"sweep: the task {experiment.task.name!r} has no {field.partition('.')[2]}")
    return [dict(zip(columns, values, strict=True)) for values in itertools.product(*columns.values())]


def with_setting(experiment: Experiment, setting: Mapping[str, Any]) -> Experiment:
    """`experiment`, not swept any more, with these fields; a value may be traced."""
    for field, value in setting.items():
        part, _, name = field.partition(".")
        changed = dataclasses.replace(getattr(experiment, part), **{name: value})
        experiment = dataclasses.replace(experiment, **{part: changed})
    return dataclasses.replace(experiment, sweep=())


def _get(experiment: Experiment, field: str) -> Any:
    value: Any = experiment
    for name in field.split("."):
        value = getattr(value, name, None)
    if value is None and field.startswith("model."):
        return field  # a field of the model's own Config
    return value
