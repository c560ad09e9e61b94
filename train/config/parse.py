"""Fill dataclasses from the command line and from JSON; every error is one line, and all of them are told at once."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

import zoo
from train.config.data import Data, Scenes, Text, World, of_name
from train.config.schema import Experiment, Model
from train.config.ways import WAYS
from zoo.errors import Errors, UserError, unknown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from zoo.cards import Card

T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")


def parse(schema: type[T], args: Sequence[str], *, prog: str, default: T | None = None) -> T:
    """Fill `schema` (a dataclass) from `args`; `--help` prints every field and exits with 0.

    Raises UserError, one line, for an unknown option (nearest offered), a wrong type, a missing value.
    """
    box = io.StringIO()
    given: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(schema, args=list(args), prog=prog, **given)
    except SystemExit as stop:
        if not stop.code:
            raise
        message = _one_line(box.getvalue())
        raise UserError(message + _of_another_command(message, schema)) from None


def _of_another_command(message: str, schema: Any) -> str:
    """Say what is meant where an option is called `--data.preset` in `zoo train` and `--preset` here; else ""."""
    option = re.search(r"^Unrecognized options: --data\.([\w-]+)(?!.*: did you mean)", message)
    own = {field.name.replace("_", "-") for field in dataclasses.fields(schema)} if option else set()
    return f": did you mean --{option[1]}?" if option and option[1] in own else ""


def _of_another_kind(error: UserError, data: Any) -> UserError:
    """Return `error` with what is meant where an option is a field of another kind of data than `data`."""
    option = re.search(r"^Unrecognized options: --data\.([\w-]+).*?(?=: did you mean|$)", str(error))
    field = option[1].replace("-", "_") if option else ""
    kind = next((kind for kind in (Scenes, Text, World) if field in kind.__dataclass_fields__), None)
    if option is None or kind is None:
        return error
    if kind is Scenes and isinstance(data, Data):
        return UserError(f"{option[0]}: only scenes have data.{field}, and these are {data.name}: --data.name scenes")
    return UserError(f"{option[0]}: data.{field} is for {kind.KIND}, and {data.name} is {data.KIND}")


def _one_line(box: str) -> str:
    """Return the message inside the box that tyro draws, with its suggestions and without its pointers to --help."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = line.strip("│╭╰╮╯ ")
        if not text.strip("─-"):  # a rule; made of hyphens where the output is not UTF-8
            sections.append([])
        else:
            sections[-1].append(text)
    message, *rest = [" ".join(section) for section in sections if section]
    if choice := re.search(r"invalid choice '(.*)' for argument '--(\S+)'. Expected one of \((.*)\)", message):
        return str(unknown(choice[2], choice[1], re.findall(r"'([^']*)'", choice[3])))
    if number := re.search(r"Error parsing (--\S+): (invalid literal|could not convert).*: ('.*')", message):
        return f"{number[1]} must be a {'whole ' * (number[2] == 'invalid literal')}number, not {number[3]}"
    if number := re.search(
        r"Error parsing (--\S+): no type matching \{None\}\|(INT|FLOAT) .* from \[('.*')\]", message
    ):
        return f"{number[1]} must be a {'whole ' * (number[2] == 'INT')}number or None, not {number[3]}"
    if missing := re.search(r"Missing value for argument '(--\S+)'", message):
        return f"{missing[1]} needs a value"
    near = [option for text in rest if "meant" in text for option in re.findall(r"(?<![\w-])--[a-z][\w.-]*", text)]
    message = re.sub("^Error parsing model: ", "", message).rstrip(".")
    return f"{message}: did you mean {' or '.join(list(dict.fromkeys(near))[:3])}?" if near else message


def parse_experiment(
    args: Sequence[str],
    *,
    prog: str,
    default: Experiment,
    options: type[T],
    check: Callable[[Experiment], None] | None = None,
) -> tuple[Experiment, T]:
    """Parse one command line into (`default` with overrides applied, the command's own `options`).

    `--model.FIELD` takes the fields of the named model's own Config, so `--help` shows them too. Which tasks and losses
    there are is read from their tables now, after the user's own file has entered its own.

    Raises UserError for all that is wrong at once: every option that cannot be read, and what `check` finds in the
    fields of the others.
    """
    default = _with_named_data(default, args)
    args, name = take("--model.name", args)
    try:
        return _parse_experiment(args, name, prog, default, options)
    except UserError:
        errors = Errors()
        if name is not None or any(map(_is_of_model, _cut(args))):  # only then: cards import JAX
            with errors.kept():
                zoo.card(default.model.name if name is None else name)
        if errors:  # without the model, its fields mean nothing
            name, args = None, [word for words in _cut(args) if not _is_of_model(words) for word in words]

        def attempt(words: Sequence[str]) -> tuple[Experiment, T]:
            try:
                return _parse_experiment(words, name, prog, default, options)
            except UserError as error:
                raise _of_another_kind(error, default.data) from None

        readable = _readable(attempt, args, errors)
        if check is not None and readable:  # else there is nothing but the config's own fields to find wrong
            with errors.kept():
                check(attempt(readable)[0])
        errors.report()
        raise


def _with_named_data(default: Experiment, args: Sequence[str]) -> Experiment:
    """Return `default` with the kind of data that `--data.name` names: scenes have fields of their own."""
    _, name = take("--data.name", args)
    if name is None or not isinstance(default.data, Data):
        return default
    return dataclasses.replace(default, data=of_name(default.data, name))


def _readable(attempt: Callable[[Sequence[str]], object], args: Sequence[str], errors: Errors) -> list[str]:
    """Return the options in `args` that can be read, and enter what is wrong with the others into `errors`."""
    options, readable = list(_cut(args)), []
    for words in options:
        if not _is_of_model(words):
            with errors.kept():
                attempt(words)
                readable += words
    # One field of a model may be impossible without another one, so they are judged together first.
    of_model = [words for words in options if _is_of_model(words)]
    try:
        attempt(together := [word for words in of_model for word in words])
        return readable + together
    except UserError as error:
        alone = Errors()
        for words in of_model:
            with alone.kept():
                attempt(words)
        with errors.kept():
            alone.report()
            raise error
    return readable


def _cut(args: Sequence[str]) -> Iterator[list[str]]:
    """Cut `args` before each option; words before the first one are a part of their own."""
    starts = [i for i, word in enumerate(args) if i == 0 or word.startswith("--")]
    for start, end in zip(starts, [*starts[1:], len(args)], strict=False):
        yield list(args[start:end])


def _is_of_model(words: Sequence[str]) -> bool:
    return words[0].startswith("--model.")


def _parse_experiment(
    args: Sequence[str], name: str | None, prog: str, default: Experiment, options: type[T]
) -> tuple[Experiment, T]:
    model = default.model if name in (None, default.model.name) else Model(name)
    shared = [
        ("options", Annotated[options, tyro.conf.arg(name="")]),
        ("experiment", Annotated[Experiment, tyro.conf.arg(name="")]),
    ]
    if name is None and not any(arg in ("-h", "--help") or arg.startswith("--model.") for arg in args):
        schema = dataclasses.make_dataclass("Command", shared)  # without the model, which would import JAX
        filled = parse(schema, args, prog=prog, default=schema(options(), default))
        return filled.experiment, filled.options
    card = zoo.card(model.name)
    config = _model_config(card, model.fields)
    about = {"__doc__": f"Train {model.name} on {default.data.name}. Another model: --model.name NAME."}
    schema = dataclasses.make_dataclass("Command", [*shared, ("model", type(config))], namespace=about)
    filled = parse(schema, args, prog=prog, default=schema(options(), default, config))
    fields = {
        f.name: _plain(getattr(filled.model, f.name))
        for f in dataclasses.fields(config)
        if getattr(filled.model, f.name) != getattr(card.config, f.name)
    }
    return dataclasses.replace(filled.experiment, model=Model(model.name, fields)), filled.options


def _plain(value: Any) -> Any:
    """Turn a mapping that a Config froze into a dict, which JSON knows."""
    return {name: _plain(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def take(option: str, args: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `option` out of `args`: (the other arguments, its value or None)."""
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


def _model_config(card: "Card", fields: Mapping[str, Any]) -> Any:
    return override(card.config, fields, card.name)


def override(instance: D, changes: Mapping[str, Any], where: str = "") -> D:
    """Return `instance` (a dataclass) with fields replaced, nested dataclasses by nested mappings; lists become tuples.

    The fields of a model are merged: {"model": {"fields": {"depth": 2}}} keeps the others, unless the changes name
    another model. Any other mapping is replaced as a whole.
    Raises UserError for names that are not fields, saying `where`, and for values of another type, all at once.
    """
    hints = get_type_hints(type(instance), include_extras=True)
    names = [f.name for f in dataclasses.fields(instance)]
    same_model = isinstance(instance, Model) and changes.get("name", instance.name) == instance.name
    new, errors = {}, Errors()
    for name, value in changes.items():
        with errors.kept():
            if name not in names:
                unknown_field = unknown("field", name, names)
                raise UserError(f"{where}: {unknown_field}") if where else unknown_field
            old, path = getattr(instance, name), f"{where}.{name}" if where else name
            hint = declared(hints[name])
            if dataclasses.is_dataclass(old) and isinstance(value, Mapping):
                new[name] = override(_of_kind(old, value, hint), value, path)
            elif not _fits(value, hint):
                raise UserError(f"{path} cannot be {value!r}")
            elif same_model and isinstance(old, Mapping):
                new[name] = _merged(old, value)
            else:
                new[name] = tuple(value) if isinstance(value, list) else value
    errors.report()
    return dataclasses.replace(instance, **new)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the values of `new`, mappings in it likewise."""
    both = [name for name in new if isinstance(new[name], Mapping) and isinstance(old.get(name), Mapping)]
    return {**old, **new, **{name: _merged(old[name], new[name]) for name in both}}


def declared(hint: Any) -> Any:
    """The type that a field's annotation stands for: where a table decides it, the type that the table gives now."""
    while get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        factories = [extra.constructor_factory for extra in extras if hasattr(extra, "constructor_factory")]
        if factories:
            hint = factories[0]()
    return hint


def _of_kind(old: Any, changes: Mapping[str, Any], hint: Any) -> Any:
    """Return `old`, or a blank instance of the other dataclass that the field may hold and `changes` belong to."""
    if isinstance(old, tuple(way.config for way in WAYS.values())) and "name" in changes:
        WAYS.find(str(changes["name"]))
    kinds: list[type[Any]] = [
        type(old),
        *(kind for kind in get_args(hint) if isinstance(kind, type) and dataclasses.is_dataclass(kind)),
    ]
    for kind in kinds:
        types = get_type_hints(kind, include_extras=True)
        if all(name in types for name in changes) and _fits(changes.get("name", ""), types.get("name", str)):
            return old if kind is type(old) else kind(**({} if "name" not in changes else {"name": changes["name"]}))
    return old


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` (a list may stand for a tuple, an int for a float) is of the type that a field declares."""
    kind, inside = get_origin(hint), get_args(hint)
    if kind is Annotated:
        return _fits(value, inside[0])
    if kind is Literal:
        return value in inside
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in inside)
    if kind is tuple and isinstance(value, list | tuple):
        each = inside[:1] * len(value) if inside[1:] == (...,) else inside
        return len(each) == len(value) and all(map(_fits, value, each))
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    return isinstance(value, {float: int | float}.get(hint, kind or hint))
