"""The settings of a Tune: of fields whose values replicas of one run can have, and of fields that need a run each.

The second kind shapes the program: `model.dropout`, a number in the Config of the model, `data.augment.mixup`, the
strength of an augmentation, and `task.initial.normal`, the deviation of initial kernels.
"""

import dataclasses
import itertools
from collections.abc import Iterable

from train.config import Experiment, override, sweep
from train.config.sweep import Setting
from zoo.errors import UserError

MODEL, AUGMENT, INITIAL = "model.", "data.augment.", "task.initial."


def shapes_program(field: str) -> bool:
    """Whether runs that differ in a field cannot be replicas of one program."""
    return field.startswith((MODEL, AUGMENT, INITIAL))


def divided(texts: Iterable[str]) -> tuple[list[Setting], tuple[str, ...]]:
    """Return every combination of the fields that shape the program, [{}] without one, and the texts of the others.

    texts: like Experiment.sweep. Raises UserError for values that are no numbers.
    """
    columns: dict[str, list[float]] = {}
    swept = []
    for text in texts:
        field, _, values = text.partition("=")
        if not shapes_program(field):
            swept.append(text)
            continue
        try:
            columns[field] = [float(value) for value in values.split(",")]
        except ValueError:
            raise UserError(f"a Tune is FIELD=VALUE,VALUE,… with numbers, not {text!r}") from None
    return [dict(zip(columns, values, strict=True)) for values in itertools.product(*columns.values())], tuple(swept)


def last(experiment: Experiment, texts: Iterable[str]) -> Setting:
    """Return the last setting of a grid."""
    fixed, swept = divided(texts)
    return fixed[-1] | sweep.settings(dataclasses.replace(experiment, sweep=swept))[-1]


def with_setting(experiment: Experiment, setting: Setting) -> Experiment:
    """Return an experiment, not swept any more, with a setting of either kind of field."""
    swept = {field: value for field, value in setting.items() if not shapes_program(field)}
    experiment = sweep.with_setting(experiment, swept)
    for field, value in setting.items():
        name = field.rpartition(".")[2]
        if field.startswith(MODEL):
            number = int(value) if value.is_integer() else value  # a field of whole numbers takes no float
            experiment = override(experiment, {"model": {"fields": {name: number}}})
        elif field.startswith(AUGMENT):
            kept = (one for one in getattr(experiment.data, "augment", ()) if one.rpartition("_")[0] != name)
            experiment = override(experiment, {"data": {"augment": (*kept, f"{name}_{value:g}")}})
        elif field.startswith(INITIAL):
            experiment = override(experiment, {"task": {"initial": f"{name}_{value:g}"}})
    return experiment
