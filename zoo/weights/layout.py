"""A layout: how a library names and shapes the arrays of an architecture, and the properties of its network that names
do not show (the epsilon of a norm, the form of GELU, where a block strides).
"""

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flax import linen as nn

from zoo.errors import UserError
from zoo.weights.keys import Keys
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import Rule

Shapes = Mapping[str, tuple[int, ...]]
Found = dict[str, Any]  # fields of a Config
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # of DataParallel and torch.compile


def nothing(*_: Any) -> Found:
    return {}


@dataclasses.dataclass(frozen=True)
class Layout:
    """The rules of one layout and what belongs to it. All names of arrays are canonical, as `rename` returns them."""

    name: str
    module: type[nn.Module]
    rules: Callable[[Any], list[Rule]]  # of a Config
    known_by: tuple[str, ...]  # names that together identify this layout
    facts: Callable[[Any], Found] = nothing  # Config -> fields that this library's network always has
    usual: Callable[[Shapes], Found] = nothing  # shapes -> fields that are usual, but that nothing proves
    keys: Mapping[str, Keys] = dataclasses.field(default_factory=dict)  # of config.json, by its model_type
    infer: Callable[[Shapes, Mapping[str, Any], Any], Found] = nothing  # shapes, what config.json says with its
    # defaults ({} without such a file), Config -> fields found
    rename: Callable[[str], str] = str  # canonical name of an array that old versions or prefixes name differently
    not_weights: tuple[str, ...] = ()  # patterns of buffers, which need not be loaded
    other_heads: tuple[str, ...] = ()  # patterns of heads that are ignored if the model lacks them
    new_head_drops: tuple[str, ...] = ()  # patterns of further arrays that are ignored with a new head
    refuses: Callable[[Any], str] = lambda config: ""  # Config -> why it has no such layout, or ""
    only_reads: Callable[[Any], str] = lambda config: ""  # Config -> why such a network is read but not written, or ""
    heads: tuple[str, ...] = ("params/head",)  # our paths of the head, with every form of it
    first: tuple[str, int] | None = None  # the first kernel of an image model, and its channel axis
    positions: tuple[str, int] | None = None  # the position table, and its token axis
    preprocessing: Preprocessing | None = None
    describe: Callable[[Any, Shapes], dict[str, Any]] | None = None  # Config, shapes -> content of config.json
    extension: str = ".safetensors"

    def canonical(self, name: str) -> str:
        return self.rename(WRAPPERS.sub("", name))

    def knows(self, names: Iterable[str]) -> bool:
        """Return whether a file with arrays of these names has this layout."""
        return self.share(names) == 1.0

    def share(self, names: Iterable[str]) -> float:
        """Return the fraction of `known_by` that is among `names`."""
        there = {self.canonical(name) for name in names}
        return sum(name in there for name in self.known_by) / max(len(self.known_by), 1)

    def in_head(self, path: str) -> bool:
        """Return whether an array of ours, by its path, belongs to the head."""
        return f"{path}/".startswith(tuple(f"{head}/" for head in self.heads))

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


def gelu_of(content: Mapping[str, Any], key: str) -> str:
    """Return the form of GELU that a key of config.json names. UserError if it is another activation."""
    return activation_of(content, key, GELU_NAMES)


def activation_of(content: Mapping[str, Any], key: str, names: Mapping[str, str]) -> str:
    """Return what we call the activation that a key of config.json names. UserError if it is none of `names`."""
    if content[key] not in names:
        raise UserError(f"config.json: {key} is {content[key]!r}, which is none of {', '.join(names)}")
    return names[content[key]]


def first_axis(shapes: Shapes, **names: str) -> Found:
    """Return for each field the length of the first axis of the array with this name, if there is one."""
    return {field: shapes[name][0] for field, name in names.items() if shapes.get(name)}


def mlp_of(shapes: Shapes, kernel: str, config: Any, *, transposed: bool = False) -> Found:
    """Return the fields for the hidden units of MLPs, unless `config` has as many, by whichever of its fields.

    kernel: the name of the first of an MLP, (units, width), or (width, units) if `transposed`.
    """
    shape = shapes.get(kernel, ())
    if len(shape) != 2:
        return {}
    units, width = shape[::-1] if transposed else shape
    ratio = getattr(config, "mlp_ratio", None)
    if units == (config.hidden or (ratio or 4) * width):
        return {}
    if ratio is not None and width and units % width == 0:
        return {"mlp_ratio": units // width, "hidden": 0}
    return {"hidden": 0 if units == 4 * width else units}


def rows(**names: str) -> Callable[[Shapes, Mapping[str, Any], Any], Found]:
    """Return a function for `Layout.infer`: `first_axis` of the arrays with these names."""
    return lambda shapes, content, config: first_axis(shapes, **names)
