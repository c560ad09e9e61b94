"""Cards of models that a user registers: a Flax module class as it is becomes a card made from its fields."""

import dataclasses
import datetime
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union

from flax import linen as nn

from zoo import measure
from zoo.cards import Card, Paper
from zoo.errors import UserError

FLAX_FIELDS = ("parent", "name")  # dataclass fields that every Flax module has
MODES: dict[str, Callable[[bool], bool]] = {
    "training": lambda train: train,
    "is_training": lambda train: train,
    "deterministic": lambda train: not train,
}
"""Other names for the argument `train` of a module's __call__, and the value that each takes."""


class OwnCard(Card):
    """The card of a registered module class. Its output shape and its counts are computed when they are first read."""

    def __init__(self, **facts: Any) -> None:
        empty: dict[str, Any] = dict.fromkeys(COMPUTED)
        super().__init__(**(facts | empty))
        for name in COMPUTED:
            object.__delattr__(self, name)  # so that reading it calls __getattr__

    def __getattr__(self, name: str) -> Any:
        if name not in COMPUTED:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = COMPUTED[name](self)
        object.__setattr__(self, name, value)
        return value

    def make(self, **changes: Any) -> nn.Module:
        config = self.changed(**changes)
        module: Any = self.module  # a class, which takes its fields
        return module(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config)})


def _flops(card: Card) -> int:
    return measure.layer_table(card.make(), card.inputs)[0].flops


def _output(card: Card) -> Any:
    output, _ = card.shapes()
    shapes = [leaf.shape[1:] for leaf in output] if isinstance(output, tuple) else [output.shape[1:]]
    return tuple(shapes) if len(shapes) > 1 else shapes[0]


COMPUTED: dict[str, Callable[[Card], Any]] = {
    "output": _output,
    "params": lambda card: measure.param_count(card.make(), card.inputs),
    "flops": _flops,
}
"""Fields of a card that an OwnCard computes."""


def card_of_class(
    name: str,
    module: type[nn.Module],
    inputs: Mapping[str, Any],
    fields: Mapping[str, Any],
    **history: Any,
) -> Card:
    """Make the card of a Flax module class.

    inputs: argument -> (shape without batch, dtype), as `Card.inputs`.
    fields: values for fields of the class, in place of its own defaults.
    history: `year`, `paper`, `idea`; None where the user gave none.

    Raises UserError for a class that is no Flax module, an unknown field, a field without a value, or an input that
    `__call__` does not take.
    """
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        raise UserError(f"{name}: zoo.register takes a card, or a name and a Flax module class, not {module!r}")
    _check_inputs(name, module, inputs)
    facts = {
        "name": name,
        "family": name,
        "year": history["year"] or datetime.date.today().year,
        "paper": history["paper"] or Paper(name, "", "", ""),
        "idea": history["idea"] or "",
        "inputs": inputs,
    }
    if "cfg" in (field.name for field in dataclasses.fields(module)):  # a class in the manner of this library
        config = fields.get("cfg", _default(module, "cfg"))
        if not dataclasses.is_dataclass(config) or isinstance(config, type):
            raise UserError(f"{name}: give the Config of the class: zoo.register({name!r}, …, cfg=Config())")
        return _CfgCard(module=_adapted(module, {}), config=config, **facts)
    config = _config(name, module, fields)
    fixed = {field: value for field, value in fields.items() if not hasattr(config, field)}
    names = [field.name for field in dataclasses.fields(config)]

    def cfg(self: nn.Module) -> Any:
        return type(config)(**{name: getattr(self, name) for name in names})

    own = _adapted(module, {"cfg": property(cfg), **fixed})
    return OwnCard(module=own, config=config, **facts)


class _CfgCard(OwnCard):
    """The card of a class whose one field `cfg` is a Config."""

    def make(self, **changes: Any) -> nn.Module:
        return self.module(self.changed(**changes))


def _check_inputs(name: str, module: type[nn.Module], inputs: Mapping[str, Any]) -> None:
    example = "inputs=zoo.cards.image(8, 8, 1)"
    if not isinstance(inputs, Mapping) or not inputs:
        raise UserError(f"{name}: say what the model takes, such as {example}")
    parameters = inspect.signature(module.__call__).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    takes = [parameter.name for parameter in parameters if parameter.name != "self"]
    if missing := [argument for argument in inputs if argument not in takes]:
        raise UserError(
            f"{name}: __call__ takes ({', '.join(takes)}) and no argument {missing[0]!r}, which inputs names"
        )


def _adapted(module: type[nn.Module], members: dict[str, Any]) -> type[nn.Module]:
    """A subclass of `module` with `members`, whose __call__ takes the keyword `train` whatever `module` calls it."""
    parameters = inspect.signature(module.__call__).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    members = {
        "__module__": module.__module__,
        "__qualname__": module.__qualname__,
        "__doc__": module.__doc__,
        **members,
    }
    if "train" not in parameters and not takes_any:
        mode = next((name for name in MODES if name in parameters), None)
        inner = module.__call__

        @functools.wraps(inner)
        def call(self: nn.Module, *inputs: Any, train: bool, **more: Any) -> Any:
            more |= {mode: MODES[mode](train)} if mode else {}
            return inner(self, *inputs, **more)

        members["__call__"] = call
    return type(module.__name__, (module,), members)


def _config(name: str, module: type[nn.Module], given: Mapping[str, Any]) -> Any:
    """A frozen dataclass with the fields of `module` that the command line and JSON can set, at their defaults."""
    hints = typing.get_type_hints(module)
    own = [field for field in dataclasses.fields(module) if field.init and field.name not in FLAX_FIELDS]
    if unknown_names := given.keys() - {field.name for field in own}:
        has = ", ".join(field.name for field in own) or "none"
        raise UserError(f"{name}: {module.__name__} has no field {min(unknown_names)!r}; its fields: {has}")
    found = []
    for field in own:
        value = given.get(field.name, _default(module, field.name))
        if value is dataclasses.MISSING:
            raise UserError(
                f"{name}: the field {field.name!r} has no default; give one: zoo.register(…, {field.name}=…)"
            )
        hint = _settable(hints[field.name])
        if hint is None:
            continue
        value = (
            tuple(value) if isinstance(value, list) else float(value) if hint is float and value is not None else value
        )
        hint = hint | None if value is None else hint
        found.append((field.name, hint, dataclasses.field(default=value)))
    kind = dataclasses.make_dataclass(
        f"{module.__name__}Config", found, frozen=True, namespace={"__module__": module.__module__}
    )
    return kind()


def _default(module: type[nn.Module], name: str) -> Any:
    """The default of a field; dataclasses.MISSING where it has none."""
    field = next(field for field in dataclasses.fields(module) if field.name == name)
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _settable(hint: Any) -> Any:
    """`hint` with sequences as tuples, where it is made of numbers, strings, bools and None; else None."""
    kind, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint in (int, float, bool, str, NoneType) or kind is Literal:
        return hint
    if kind in (Union, UnionType):
        parts = [_settable(part) for part in inside]
        return None if None in parts else functools.reduce(lambda left, right: left | right, parts)
    if kind in (list, Sequence) and (part := _settable(inside[0])) is not None:
        return tuple[part, ...]
    if kind is tuple:
        parts = [part if part is ... else _settable(part) for part in inside]
        return None if None in parts else tuple[tuple(parts)]
    return None
