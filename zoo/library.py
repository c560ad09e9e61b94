"""The catalogue, and the functions that build from it; `zoo` itself shows them as its own."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from jax import Array

from zoo import alexnet, cards, lenet, measure, mlp, perceptron, resnet, vit
from zoo.cards import Card

CARDS: Mapping[str, Card] = cards.catalogue([perceptron, mlp, lenet, alexnet, resnet, vit])
"""Every registered model by name, oldest first."""


def create(name: str, **fields: Any) -> nn.Module:
    """The model called `name`, with fields of its Config changed. UserError offers the nearest names and fields."""
    return card(name).make(**fields)


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that match a shell pattern such as "vit*", oldest first."""
    return cards.match(CARDS, pattern)


def card(name: str) -> Card:
    """What history says of the model called `name`, and its exact size."""
    return cards.find(CARDS, name)


def param_count(name: str, **fields: Any) -> int:
    """Trained numbers of a model, its fields changed as in `create`, at its card's input. Allocates no arrays."""
    return measure.param_count(create(name, **fields), card(name).inputs)


def features(model: nn.Module, variables: Mapping[str, Any], x: Array) -> tuple[Array, dict[str, Array]]:
    """The output of `model` for x and what every submodule made of it, by path: {"s0b1/conv1": (B, H, W, C), ...}.

    Evaluation mode. ViT adds the attention weights of each block, "block0/attention/weights" (B, heads, T, T).
    """
    output, state = model.apply(variables, x, train=False, capture_intermediates=True, mutable=["intermediates"])
    found: dict[str, Array] = {}

    def walk(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                walk(value, (*path, key))
            elif path:  # at the root stands the output itself
                found["/".join(path if key == "__call__" else (*path, key))] = value[0]

    walk(state["intermediates"], ())
    return output, found
