"""The table of ways of learning: what each one is configured by, learns from, is set up by and is judged by.

The table is empty here. `train.tasks` enters the ways of learning of this project, and a user's own file enters its own
with `train.tasks.register`. The command line and config.json build their types from the table, so a way of learning
that is entered before they are read is a way like every other.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Union

from train.config.metrics import direction, metric
from train.config.registry import Registry
from zoo.errors import UserError

Target = Callable[..., Any] | str
"""A function, or "package.module:function", which is imported when it is called for the first time."""


class TaskConfig(Protocol):
    """What the config of every way of learning has: the name of the way."""

    @property
    def name(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Way:
    """One way of learning. `Experiment.task` holds an instance of its `config`, whose `name` is the name of the way.

    setups: the kinds of data that it learns from, and for each one the function that builds a run:
        `setup(experiment, task, data)`, which returns a `train.tasks.setup.Setup`; on text
        `setup(experiment, task, data, tokenizer)`, where None trains a tokenizer.
    check: `check(experiment)` raises UserError for whatever is wrong before data are read; fields that have a range in
        their annotation need no check.
    blueprint: `blueprint(experiment, tokenizer)` builds (model, task, inputs) of a way on text without its data, for
        the commands that only write text.
    """

    name: str
    config: type  # a frozen dataclass
    setups: Mapping[type[Any], Target]
    metrics: tuple[str, ...]  # that an evaluation may give
    best: str  # the metric of validation that says which checkpoint is the best
    compared_by: str  # the metric of the test split by which runs are compared; of most ways that of `best`
    judged_by: tuple[str, ...] = ()  # fields, such as "task.share", that decide what `best` measures
    counts: str = "examples"  # what the "count" of an evaluation counts
    confuses: str = "examples"  # what a confusion matrix counts, where there is one
    check: Target | None = None
    blueprint: Target | None = None
    binomial: bool = False  # `compared_by` is a share of the test examples: it has an interval over them, or over their
    # groups
    folds: tuple[type[Any], ...] = ()  # the kinds of data on which it can be cross-validated
    early_stopping: bool = True  # whether validation can say when to stop

    @property
    def learns_from(self) -> tuple[type[Any], ...]:
        """The kinds of data that it can be posed on."""
        return tuple(self.setups)

    def require(self, data: Any) -> None:
        """Raise UserError unless the way can be posed on this kind of data."""
        if self._kind_of(data) is None:
            wanted = " or ".join(kind.KIND for kind in self.learns_from)
            raise UserError(f"the task {self.name!r} needs {wanted}, and {data.name} is {data.KIND}")

    def setup_for(self, data: Any) -> Callable[..., Any]:
        """The function that builds a run on `data`; UserError for another kind of data."""
        self.require(data)
        kind = self._kind_of(data)
        assert kind is not None  # `require` has said so
        return resolve(self.setups[kind])

    def _kind_of(self, data: Any) -> type[Any] | None:
        """Return the kind of data in `setups` that `data` is, such as Data for Scenes; None where there is none."""
        return next((kind for kind in type(data).__mro__ if kind in self.setups), None)


WAYS: Registry[Way] = Registry("task")


def register_way(way: Way) -> Way:
    """Enter `way` into the table and return it. Raises UserError for whatever would fail later, in one line."""
    where = f"the task {way.name!r}"
    if not dataclasses.is_dataclass(way.config) or not getattr(way.config, "__dataclass_params__").frozen:  # noqa: B009
        raise UserError(f"{where} needs a frozen dataclass as its config, not {way.config!r}")
    fields = {field.name: field for field in dataclasses.fields(way.config)}
    if "name" not in fields or fields["name"].default != way.name:
        raise UserError(f'{where}: its config needs the field `name: Literal["{way.name}"] = "{way.name}"`')
    if missing := [name for name, field in fields.items() if _has_no_default(field)]:
        raise UserError(f"{where}: the field {missing[0]!r} of its config needs a default")
    if not way.setups or not all(hasattr(kind, "KIND") for kind in way.setups):
        raise UserError(f"{where} must say what it learns from: some of Data, Text and World")
    for name in (*way.metrics, way.best, way.compared_by):
        metric(name)
    for name in (way.best, way.compared_by):
        direction(name)
    return WAYS.register(way.name, way)


def way_of(task: Any) -> Way:
    """The way of learning whose config `task` is."""
    return WAYS.find(task.name)


def task_type() -> Any:
    """The type of `Experiment.task`: the union of the configs of all ways; anything while the table is empty."""
    if not WAYS:
        return object
    return Union[tuple(way.config for way in WAYS.values())]  # noqa: UP007  the members are known at run time only


def resolve(target: Target) -> Callable[..., Any]:
    """The function that `target` is or names."""
    if callable(target):
        return target
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
