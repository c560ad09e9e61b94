"""What the keys of a config.json mean. Each is used, or has one value that is our network, or is known to be harmless.

Weights of another network can have the names and shapes of this one. Only their config.json tells them apart, so a key
that is not known here is named and refused: it may change the network.
"""

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zoo.errors import UserError
from zoo.weights.files import listed

Content = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Keys:
    """The keys of an object in JSON. A key that the file does not have counts with its default."""

    used: Content = dataclasses.field(default_factory=dict)  # key -> default; None stands for any type
    only: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)  # key -> values, the default first
    pattern: Mapping[str, str] = dataclasses.field(default_factory=dict)  # key -> expression for its text, or texts
    objects: Mapping[str, "Keys"] = dataclasses.field(default_factory=dict)  # key -> the keys of its object
    harmless: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()  # keys without a default

    def read(self, content: Content, place: str) -> dict[str, Any]:
        """Return `content` with the defaults. UserError names every key that is unknown or is of another network.

        place: of the object, for the message: "weights/config.json".
        """
        problems = [*self._wrong(content), *unknown(content, self._known, "the network")]
        problems += [f"{key} is missing" for key in self.needs if content.get(key) is None]
        if problems:
            raise UserError(f"{place}: {'; '.join(problems)}")
        inner = {key: keys.read(content.get(key) or {}, f"{place}, {key}") for key, keys in self.objects.items()}
        defaults = {key: values[0] for key, values in self.only.items()}
        return {**defaults, **self.used, **content, **inner}

    @property
    def _known(self) -> set[str]:
        return {*self.used, *self.only, *self.pattern, *self.objects, *self.harmless}

    def _wrong(self, content: Content) -> Iterator[str]:
        for key, value in content.items():
            if key in self.only and not _among(value, self.only[key]):
                yield f"{key} is {_short(value)}, which is another network; it can only be {_or(self.only[key])}"
            elif key in self.pattern and not _matches(value, self.pattern[key], one=key in self.needs):
                yield f"{key} is {_short(value)}, which is another network"
            elif key in self.objects and not isinstance(value, Mapping | None):
                yield f"{key} must be an object, not {_short(value)}"
            elif key in self.used and not _same_type(value, self.used[key]):
                yield f"{key} must be {_kind(self.used[key])}, not {_short(value)}"


def read(kinds: Mapping[str, Keys], content: Content, place: str) -> dict[str, Any]:
    """Return what a config.json says, with defaults, by the keys of its `model_type`; without one, of the first kind.

    UserError if these weights have no config.json, or one of another kind.
    """
    if not kinds:
        raise UserError(
            f"{place} belongs to other weights: this layout has no such file; move these weights to another folder"
        )
    kind = _kind_of(kinds, content)
    if kind not in kinds:
        raise UserError(f"{place}: model_type is {_short(kind)}, which is another network than {_or(tuple(kinds))}")
    return kinds[kind].read(content, place)


def unknown(content: Content, known: Collection[str], what: str) -> list[str]:
    """Return a phrase that names the keys which are not in `known`, [] if there are none. what: they may change it."""
    names = sorted(content.keys() - set(known))
    near = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.8) for name in names}
    hints = [f"{_short(name)}{f' (did you mean {near[name][0]}?)' if near[name] else ''}" for name in names]
    return [f"not known, and so may change {what}: {listed(hints)}; remove what does not"] if names else []


def disagreements(kinds: Mapping[str, Keys], content: Content, described: Content) -> list[str]:
    """Return a phrase for each size in a config.json, as `read` takes it, that is not the one in `described`."""
    sizes = [key for key in kinds[_kind_of(kinds, content)].used if key in content and _is_size(content[key])]
    return [
        f"{key} is {_short(content[key])} where the arrays are of {described[key]}"
        for key in sizes
        if key in described and content[key] != described[key]
    ]


def _kind_of(kinds: Mapping[str, Keys], content: Content) -> str:
    kind = content.get("model_type", next(iter(kinds)))
    return kind if isinstance(kind, str) else repr(kind)


def _is_size(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_size, value))
    return isinstance(value, int) and not isinstance(value, bool)


def _among(value: Any, allowed: tuple[Any, ...]) -> bool:
    """Return whether a value is one of those allowed. In Python True == 1, in JSON true is not 1."""
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in allowed)


def _matches(value: Any, expression: str, *, one: bool) -> bool:
    """Return whether a text matches, or every text of a list unless it has to be `one`."""
    if one and isinstance(value, list):
        return False
    texts = value if isinstance(value, list) else [] if value is None else [value]
    return all(isinstance(text, str) and re.fullmatch(expression, text) for text in texts)


def _same_type(value: Any, default: Any) -> bool:
    if default is None:
        return True
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool)


def _kind(default: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return names[type(default)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _or(values: tuple[Any, ...]) -> str:
    return " or ".join(map(repr, values))
