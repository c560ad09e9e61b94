"""A registry: entries by name, where a taken name is an error and a misspelt one gets the nearest names offered.

METRICS: Registry[Metric] = Registry("metric")
METRICS.register("accuracy", Metric(...))
METRICS.find("acuracy")  # UserError: unknown metric 'acuracy': did you mean accuracy?

Pure Python: importing this module imports neither JAX nor a model.
"""

import contextlib
import contextvars
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from zoo.errors import UserError, unknown

T = TypeVar("T")
_owner: contextvars.ContextVar[str | None] = contextvars.ContextVar("owner", default=None)


class Registry(Mapping[str, T]):
    """A mapping from names to entries, in the order in which they were registered.

    `kind` is the word for an entry in messages: "model", "metric", "task". As with every mapping, `registry[name]`
    raises KeyError for an unknown name; `find` raises the UserError that a user should see.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._owners: dict[str, str | None] = {}
        _registries.add(self)

    def register(self, name: str, entry: T, owner: str | None = None) -> T:
        """Add `entry` under `name` and return it.

        owner: what brings the entry, such as the path of a config file. None takes the owner of the surrounding
            `registering` block; without one, the entry belongs to the project itself. The same owner may register
            the same name again, which replaces its entry, so that a file can be loaded twice.

        Raises UserError where the name belongs to another owner or is no name.
        """
        owner = owner if owner is not None else _owner.get()
        if not isinstance(name, str) or not name or name != name.strip():
            raise UserError(f"the name of a {self.kind} must be a word, not {name!r}")
        if name in self._entries and (owner is None or self._owners[name] != owner):
            holder = self._owners[name]
            whose = "" if holder is None else f" by {holder}"
            raise UserError(f"the {self.kind} name {name!r} is taken{whose}: choose another name")
        self._entries[name] = entry
        self._owners[name] = owner
        return entry

    def find(self, name: str) -> T:
        """Return the entry called `name`; raise UserError, which offers the nearest names, where there is none."""
        if name not in self._entries:
            raise unknown(self.kind, name, self._entries)
        return self._entries[name]

    def owner(self, name: str) -> str | None:
        """Return who registered `name`: None for an entry of the project itself."""
        self.find(name)
        return self._owners[name]

    def remove(self, name: str) -> None:
        """Take the entry called `name` out, for tests and notebooks."""
        self.find(name)
        del self._entries[name], self._owners[name]

    # A registry equals only itself, so that it can be in a set.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


_registries: weakref.WeakSet["Registry[Any]"] = weakref.WeakSet()


def registered_by(owner: str) -> list[str]:
    """Return what `owner` registered, in all registries: ["data set bumps", "model mine"]."""
    return sorted(f"{each.kind} {name}" for each in _registries for name in each if each.owner(name) == owner)


@contextlib.contextmanager
def registering(owner: str) -> Iterator[None]:
    """Make `owner` the owner of everything that is registered inside this block, in any registry."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)
