"""Card: what history says of a model, and how to build it. The catalogue is an explicit list of modules."""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from zoo.errors import UserError, unknown


@dataclasses.dataclass(frozen=True)
class Paper:
    """Where a model was published. `id` is an arXiv id ("1512.03385"), a DOI ("10.1037/h0042519"), or, where a text
    has neither, its address.
    """

    title: str
    authors: str
    venue: str
    id: str

    @property
    def url(self) -> str:
        if self.id.startswith("https://"):
            return self.id
        return f"https://doi.org/{self.id}" if self.id.startswith("10.") else f"https://arxiv.org/abs/{self.id}"


@dataclasses.dataclass(frozen=True)
class Card:
    """One registered model: its history, its exact size, and the Config that makes it.

    Shapes leave out the batch axis. `params` counts trained numbers (batch statistics are not
    trained); `flops` is one forward pass of one example, a multiply-add counted as 2, products
    and convolutions only.
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
    departs: str = ""  # how it differs from the paper; empty if it does not
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)  # card of an older model -> what it took of it
    paper_params: int | None = None  # as the paper counts and rounds them, where it does

    def make(self, **changes: Any) -> nn.Module:
        """The module, with fields of its Config changed. A misspelt field is an error that names the nearest."""
        fields = [f.name for f in dataclasses.fields(self.config)]
        for name in changes:
            if name not in fields:
                raise UserError(f"{self.name}: {unknown('field', name, fields)}")
        changes = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}  # from JSON
        return self.module(dataclasses.replace(self.config, **changes))

    def shapes(self, batch: int = 2) -> tuple[Any, Any]:
        """(output, variables) as shapes and dtypes: no memory, no arithmetic, for any size of model."""
        x = {k: jax.ShapeDtypeStruct((batch, *shape), dtype) for k, (shape, dtype) in self.inputs.items()}
        init = self.make().init_with_output
        return jax.eval_shape(lambda key, x: init(key, **x, train=False), jax.random.key(0), x)


def image(height: int, width: int, channels: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """`Card.inputs` of an image classifier: x (B, height, width, channels) float32."""
    return {"x": ((height, width, channels), jnp.float32)}


def text(length: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """`Card.inputs` of a model that reads one text: tokens (B, length) int32."""
    return {"tokens": ((length,), jnp.int32)}


def text_pair(source: int, target: int) -> dict[str, tuple[tuple[int, ...], Any]]:
    """`Card.inputs` of an encoder-decoder: source (B, S) int32, its mask (B, S) bool, target (B, T) int32."""
    return {
        "source": ((source,), jnp.int32),
        "source_mask": ((source,), jnp.bool_),
        "target": ((target,), jnp.int32),
    }


def catalogue(modules: Iterable[ModuleType]) -> dict[str, Card]:
    """Every card of `modules` by name, oldest first. Two cards of one name stop the import."""
    cards: dict[str, Card] = {}
    for card in sorted((card for module in modules for card in module.CARDS), key=lambda card: card.year):
        if card.name in cards:
            raise RuntimeError(f"two models are called {card.name!r}")
        cards[card.name] = card
    return cards


def check_parents(cards: Mapping[str, Card]) -> Mapping[str, Card]:
    """`cards`, if the parents of each are among them, none is younger, and none is its own ancestor: RuntimeError."""
    for card in cards.values():
        for parent in card.parents:
            if parent not in cards:
                raise RuntimeError(f"{card.name} took something of {parent!r}, which is no model")
            if cards[parent].year > card.year or card.name in ancestors(cards, parent):
                raise RuntimeError(f"{card.name} took something of {parent}, which is younger")
    return cards


def ancestors(cards: Mapping[str, Card], name: str) -> set[str]:
    """The model called `name`, those it took something of, those these took something of, and so on."""
    found, ahead = set(), [name]
    while ahead:
        one = ahead.pop()
        if one not in found and one in cards:
            found.add(one)
            ahead += cards[one].parents
    return found


def find(cards: Mapping[str, Card], name: str) -> Card:
    """The card called `name`, or an error that offers the nearest names."""
    if name not in cards:
        raise unknown("model", name, cards)
    return cards[name]


def match(cards: Mapping[str, Card], pattern: str) -> list[str]:
    """Names that match a shell pattern such as "vit*", oldest first."""
    return [name for name in cards if fnmatch.fnmatchcase(name, pattern)]
