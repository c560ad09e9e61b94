"""A layout: how one library names and shapes the arrays of one architecture, and what its network does that names do
not tell (the epsilon of a norm, the form of GELU, where a block strides).
"""

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flax import linen as nn

from zoo.errors import UserError
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import Rule

Shapes = Mapping[str, tuple[int, ...]]
Found = dict[str, Any]  # fields of a Config
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # of DataParallel and torch.compile


def nothing(*_: Any) -> Found:
    return {}


@dataclasses.dataclass(frozen=True)
class Layout:
    """One table of rules and what belongs to it. Names of arrays are those that `rename` gives."""

    name: str
    module: type[nn.Module]
    rules: Callable[[Any], list[Rule]]  # of a Config
    known_by: tuple[str, ...]  # names that together tell a file of this layout from those of others
    facts: Callable[[Any], Found] = nothing  # of a Config: fields that its network always has
    usual: Callable[[Shapes], Found] = nothing  # of shapes: fields of the usual code, which nothing proves
    infer: Callable[[Shapes, Mapping[str, Any], Any], Found] = nothing  # of shapes, config.json, a Config: fields seen
    rename: Callable[[str], str] = str  # other names for the same arrays: of old versions, with other prefixes
    not_weights: tuple[str, ...] = ()  # patterns of buffers that any model makes anew
    other_heads: tuple[str, ...] = ()  # patterns of heads that a model without them passes over
    new_head_drops: tuple[str, ...] = ()  # patterns of what else goes where the head is new
    refuses: Callable[[Any], str] = lambda config: ""  # why a Config has no such layout
    head: str = "params/head"  # where the classes are
    first: tuple[str, int] | None = None  # the array that reads the image, and its axis of channels
    positions: tuple[str, int] | None = None  # the position table, and its axis of tokens
    preprocessing: Preprocessing | None = None
    describe: Callable[[Any, Shapes], dict[str, Any]] | None = None  # of a Config and their shapes: config.json
    extension: str = ".safetensors"

    def canonical(self, name: str) -> str:
        return self.rename(WRAPPERS.sub("", name))

    def knows(self, names: Iterable[str]) -> bool:
        """Whether a file with arrays of these names has this layout."""
        return self.share(names) == 1.0

    def share(self, names: Iterable[str]) -> float:
        """Of the names that tell this layout from others, how many are there."""
        there = {self.canonical(name) for name in names}
        return sum(name in there for name in self.known_by) / max(len(self.known_by), 1)

    def passes_over(self, name: str) -> bool:
        return _any(name, self.other_heads)

    def drops(self, name: str) -> bool:
        return _any(name, self.new_head_drops)

    def is_buffer(self, name: str) -> bool:
        return _any(name, self.not_weights)


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


GELU_NAMES = {
    "gelu": "exact",
    "gelu_python": "exact",
    "gelu_new": "tanh",
    "gelu_fast": "tanh",
    "gelu_pytorch_tanh": "tanh",
}


def gelu_of(name: str) -> str:
    """The form of GELU that config.json names. UserError where it is another activation."""
    if name not in GELU_NAMES:
        raise UserError(f"config.json: activation {name!r} is none of {', '.join(GELU_NAMES)}")
    return GELU_NAMES[name]


def rows(**fields: str) -> Callable[[Shapes, Mapping[str, Any], Any], Found]:
    """An `infer`: each field is the first axis of the array named."""
    return lambda shapes, *_: {field: shapes[name][0] for field, name in fields.items() if name in shapes}
