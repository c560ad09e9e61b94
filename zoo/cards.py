"""Card: the history of a model, its size and how to build it. A catalogue is built from an explicit list of modules."""

import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.errors import Errors, UserError, unknown
from zoo.registry import Registry

Class = TypeVar("Class", bound=type)
Inputs = dict[str, tuple[tuple[int, ...], Any]]  # argument -> (shape without batch, dtype)
TEXTS = ("tokens", "source", "source_mask", "target")
"""Arguments that are a text, whose only axis is its length."""


def renamed(**new_names: str) -> Callable[[Class], Class]:
    """Return a class decorator that accepts old keywords: `@renamed(old="new")` lets `old=...` stand for `new=...`."""

    def decorate(cls: Class) -> Class:
        init = cls.__init__

        @functools.wraps(init)
        def init_with_old_names(self: Any, *args: Any, **fields: Any) -> None:
            for old, new in new_names.items():
                if old in fields:
                    fields[new] = fields.pop(old)
            init(self, *args, **fields)

        setattr(cls, "__init__", init_with_old_names)  # noqa: B010 (a type checker forbids the assignment)
        return cls

    return decorate


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where a model was published. `id` is an arXiv id ("1512.03385"), a DOI ("10.1037/h0042519"), or a URL if the
    publication has neither. The Paper of an unpublished model has no id, and is false.
    """

    title: str
    authors: str
    venue: str
    id: str

    def __bool__(self) -> bool:
        return bool(self.id)

    @property
    def url(self) -> str:
        if not self.id:
            return ""
        if self.id.startswith("https://"):
            return self.id
        return f"https://doi.org/{self.id}" if self.id.startswith("10.") else f"https://arxiv.org/abs/{self.id}"


@renamed(departs="differences")
@dataclasses.dataclass(frozen=True)
class Card:
    """One registered model: its history, its exact size, and the Config that builds it.

    Shapes leave out the batch axis. `params` counts the parameters, without batch statistics. `flops` counts the matrix
    multiplications and convolutions of one forward pass of one example, a multiply-add as 2.
    """

    name: str
    family: str
    year: int
    paper: Paper
    idea: str  # one sentence: what was new
    module: Callable[[Any], nn.Module]  # Config -> module
    config: Any  # a frozen dataclass: the architecture and nothing else
    inputs: Mapping[str, tuple[tuple[int, ...], Any]]  # argument -> (shape, dtype)
    output: tuple[int, ...] | tuple[tuple[int, ...], ...]  # one shape, or one for each of several outputs
    params: int
    flops: int
    differences: str = ""  # from the paper; empty if there are none
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)  # older card -> what this model took from it
    paper_params: int | None = None  # number of parameters as the paper states it, if it does
    initial_values: str = ""  # of weights and biases, and epsilons: "As in", and where; or what they are instead

    @property
    def of_pixels(self) -> bool:
        """Whether the output has logits of classes for each pixel, (H, W, classes)."""
        return len(self.output) == 3 and all(isinstance(side, int) for side in self.output)

    @property
    def departs(self) -> str:
        """The old name of `differences`."""
        return self.differences

    def make(self, **changes: Any) -> nn.Module:
        """Build the module, with fields of its Config changed. UserError suggests names for an unknown field."""
        return self.module(self.changed(**changes))

    def changed(self, **changes: Any) -> Any:
        """Return the Config with fields changed. UserError suggests names for an unknown field."""
        fields = [f.name for f in dataclasses.fields(self.config)]
        errors = Errors()
        for name in changes:
            with errors.kept():
                if name not in fields:
                    raise UserError(f"{self.name}: {unknown('field', name, fields)}")
        errors.report()
        # Values read from JSON are lists where the Config has tuples.
        changes = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}
        return dataclasses.replace(self.config, **changes)

    def inputs_of(self, config: Any) -> Inputs:
        """Return `inputs` as a changed Config needs them: its own size of z, labels, texts within its context."""
        inputs = dict(self.inputs)
        if "z" in inputs and hasattr(config, "latent"):
            inputs["z"] = ((config.latent,), inputs["z"][1])
            if getattr(config, "classes", 0):
                inputs["labels"] = ((), jnp.int32)
        context = getattr(config, "context", None)
        for name, (shape, dtype) in self.inputs.items():
            if name in TEXTS and len(shape) == 1 and context:
                inputs[name] = ((min(shape[0], context),), dtype)
        return inputs

    def shapes(self, batch: int = 2) -> tuple[Any, Any]:
        """Return (output, variables) as shapes and dtypes. Nothing is computed or allocated, so any size is fast."""
        x = {k: jax.ShapeDtypeStruct((batch, *shape), dtype) for k, (shape, dtype) in self.inputs.items()}
        init = self.make().init_with_output
        return jax.eval_shape(lambda key, x: init(key, **x, train=False), jax.random.key(0), x)


def image(height: int, width: int, channels: int) -> Inputs:
    """Return `Card.inputs` of an image classifier: x (B, height, width, channels) float32."""
    return {"x": ((height, width, channels), jnp.float32)}


def text(length: int) -> Inputs:
    """Return `Card.inputs` of a model of one text: tokens (B, length) int32."""
    return {"tokens": ((length,), jnp.int32)}


def text_pair(source: int, target: int) -> Inputs:
    """Return `Card.inputs` of an encoder-decoder: source (B, S) int32, its mask (B, S) bool, target (B, T) int32."""
    return {
        "source": ((source,), jnp.int32),
        "source_mask": ((source,), jnp.bool_),
        "target": ((target,), jnp.int32),
    }


def catalogue(modules: Iterable[ModuleType]) -> dict[str, Card]:
    """Return all cards of `modules` by name, oldest first. Raise RuntimeError if two cards have the same name."""
    cards: dict[str, Card] = {}
    for card in sorted((card for module in modules for card in module.CARDS), key=lambda card: card.year):
        if card.name in cards:
            raise RuntimeError(f"two models have the name {card.name!r}")
        cards[card.name] = card
    return cards


def check_parents(cards: Mapping[str, Card]) -> Mapping[str, Card]:
    """Return `cards` unchanged; raise RuntimeError if a parent is missing, younger than its child, or in a cycle."""
    for card in cards.values():
        for parent in card.parents:
            if parent not in cards:
                raise RuntimeError(f"{card.name}: parent {parent!r} is not a registered model")
            if cards[parent].year > card.year or card.name in ancestors(cards, parent):
                raise RuntimeError(f"{card.name}: parent {parent} is younger, or descends from {card.name}")
    return cards


class Catalogue(Registry[Card]):
    """Cards by name, oldest first; those that users register among them."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(super().__iter__(), key=lambda name: self[name].year))  # stable


def ancestors(cards: Mapping[str, Card], name: str) -> set[str]:
    """Return the model called `name`, its parents, their parents, and so on."""
    found: set[str] = set()
    queue = [name]
    while queue:
        current = queue.pop()
        if current not in found and current in cards:
            found.add(current)
            queue += cards[current].parents
    return found


def find(cards: Mapping[str, Card], name: str) -> Card:
    """Return the card called `name`; the UserError for an unknown name suggests the nearest ones."""
    if name not in cards:
        raise unknown("model", name, cards)
    return cards[name]


def match(cards: Mapping[str, Card], pattern: str) -> list[str]:
    """Return the names that match a shell pattern such as "vit*", oldest first."""
    return [name for name in cards if fnmatch.fnmatchcase(name, pattern)]
