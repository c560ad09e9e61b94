"""The fields of an Experiment by their dotted names, and the command line arguments that set them."""

import dataclasses
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import zoo
from train.config.data import Data, of_name
from train.config.parse import override
from train.config.schema import Experiment, Model


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of an Experiment, or of its model's own Config."""

    name: str  # as on the command line: optim.lr, model.widths
    hint: Any  # its type, without None and annotations
    value: Any  # its current value


def fields_of(experiment: Experiment) -> dict[str, Field]:
    """Return every field that the command line can set, by name, in the order of the schema."""
    found = {"model.name": Field("model.name", str, experiment.model.name)}
    config = override(zoo.card(experiment.model.name).config, experiment.model.fields, experiment.model.name)
    _walk(config, "model.", found)
    _walk(experiment, "", found)
    for hidden in ("model", "smoke"):
        found.pop(hidden, None)
    return found


def words(field: Field, value: Any) -> list[str]:
    """Return the arguments that set `field` to `value`: ["--optim.lr", "0.001"], ["--model.widths", "64", "32"]."""
    part, dot, name = field.name.replace("_", "-").rpartition(".")
    if field.hint is bool:
        return [f"--{part}{dot}{name}" if value else f"--{part}{dot}no-{name}"]
    if isinstance(value, tuple | list):
        return [f"--{part}{dot}{name}", *map(str, value)]
    return [f"--{part}{dot}{name}", repr(value) if isinstance(value, float) else str(value)]


def changed(before: Experiment, after: Experiment, shown: Callable[[Any], Any] = lambda value: value) -> list[str]:
    """Return the arguments that change `before` to `after`. shown: what of a value is compared and written."""
    name = after.model.name
    found = [] if name == before.model.name else ["--model.name", name]
    if found:  # another model begins with the values on its card
        before = dataclasses.replace(before, model=Model(name))
    old = fields_of(before)
    if isinstance(before.data, Data) and isinstance(
        after.data, Data
    ):  # another set's own fields begin with its defaults
        renamed = fields_of(dataclasses.replace(before, data=of_name(before.data, after.data.name)))
        old = renamed | {"data.name": old["data.name"]}
    for field in fields_of(after).values():
        value = shown(field.value)
        if field.name not in old or shown(old[field.name].value) != value:
            found += words(field, value)
    return found


def _walk(instance: Any, prefix: str, found: dict[str, Field]) -> None:
    hints = get_type_hints(type(instance), include_extras=True)
    for field in dataclasses.fields(instance):
        name, value = prefix + field.name, getattr(instance, field.name)
        if prefix == "" and field.name == "model":
            continue
        if dataclasses.is_dataclass(value):
            _walk(value, name + ".", found)
        elif isinstance(value, Mapping):  # fields of a network inside the network
            found |= {f"{name}.{key}": Field(f"{name}.{key}", type(own), own) for key, own in value.items()}
        else:
            found[name] = Field(name, _plain(hints[field.name]), value)


def _plain(hint: Any) -> Any:
    """Return `hint` without annotations and without None."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        rest = [inside for inside in get_args(hint) if inside is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else hint
    return hint
