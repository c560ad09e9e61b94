"""From the command line to dataclasses, and from JSON to dataclasses, with one line for whatever is wrong."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import tyro

import zoo
from train.config import Experiment, Model
from zoo.errors import UserError, unknown

T = TypeVar("T")


def parse(schema: type[T], args: Sequence[str], *, prog: str, default: T | None = None) -> T:
    """Fill `schema` (a dataclass) from `args`; `--help` prints every field and exits with 0.

    Raises UserError, one line, for an unknown option (nearest offered), a wrong type, a missing value.
    """
    box = io.StringIO()
    given = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(schema, args=list(args), prog=prog, **given)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(_one_line(box.getvalue())) from None


def _one_line(box: str) -> str:
    """The message inside the box that tyro draws, with its suggestions and without its pointers to --help."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = line.strip("│╭╰╮╯ ")
        if text.startswith("──") or not text:
            sections.append([])
        else:
            sections[-1].append(text)
    message = " ".join(sections[0]).rstrip(".")
    rest = " ".join(text for section in sections[1:] for text in section)
    near = [option for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", rest) if option != "--help"]
    near = [option for option in dict.fromkeys(near) if option not in re.split(r"[\s,]", message)]
    return f"{message}: did you mean {' or '.join(near[:3])}?" if near else message


def parse_experiment(
    args: Sequence[str], *, prog: str, default: Experiment, options: type[T]
) -> tuple[Experiment, T]:
    """(`default` with overrides applied, the command's own `options`) from one command line.

    `--model.FIELD` takes the fields of the named model's own Config, so `--help` shows them too.
    """
    args, name = _take("--model.name", args)
    model = default.model if name in (None, default.model.name) else Model(name)
    card = zoo.card(model.name)
    config = _model_config(card, model.fields)
    schema = dataclasses.make_dataclass(
        "Command",
        [
            ("options", Annotated[options, tyro.conf.arg(name="")]),
            ("experiment", Annotated[Experiment, tyro.conf.arg(name="")]),
            ("model", type(config)),
        ],
        namespace={"__doc__": f"Train {model.name} on {default.data.name}. Another model: --model.name NAME."},
    )
    filled = parse(schema, args, prog=prog, default=schema(options(), default, config))
    fields = {
        f.name: getattr(filled.model, f.name)
        for f in dataclasses.fields(config)
        if getattr(filled.model, f.name) != getattr(card.config, f.name)
    }
    return dataclasses.replace(filled.experiment, model=Model(model.name, fields)), filled.options


def _take(option: str, args: Sequence[str]) -> tuple[list[str], str | None]:
    """`args` without `option` and its value, and that value."""
    rest, value = [], None
    words = iter(args)
    for word in words:
        if word == option:
            value = next(words, None)
            if value is None:
                raise UserError(f"{option} needs a value")
        elif word.startswith(option + "="):
            value = word.removeprefix(option + "=")
        else:
            rest.append(word)
    return rest, value


def _model_config(card: zoo.Card, fields: Mapping[str, Any]) -> Any:
    return override(card.config, fields, card.name)


def override(instance: T, changes: Mapping[str, Any], where: str = "") -> T:
    """`instance` (a dataclass) with fields replaced, nested dataclasses by nested mappings; lists become tuples.

    Raises UserError for a name that is not a field, saying `where`, and for a value of another type.
    """
    names = [f.name for f in dataclasses.fields(instance)]
    new = {}
    for name, value in changes.items():
        if name not in names:
            raise UserError(f"{where}: {unknown('field', name, names)}" if where else str(unknown("field", name, names)))
        old = getattr(instance, name)
        if dataclasses.is_dataclass(old):
            new[name] = override(old, value, f"{where}.{name}" if where else name)
        else:
            new[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(instance, **new)
