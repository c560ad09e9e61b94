"""The catalogue, and the functions that build from it; `zoo` itself shows them as its own."""

from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from jax import Array

from zoo import (
    alexnet,
    bert,
    cards,
    dcgan,
    dqn,
    gan,
    gpt,
    lenet,
    lstm,
    measure,
    mlp,
    perceptron,
    resnet,
    seq2seq,
    seq2seq_attention,
    simclr,
    transformer,
    vit,
)
from zoo.cards import Card

MODULES = (
    perceptron,
    mlp,
    lstm,
    lenet,
    alexnet,
    dqn,
    seq2seq,
    seq2seq_attention,
    gan,
    dcgan,
    resnet,
    transformer,
    bert,
    gpt,
    vit,
    simclr,
)
CARDS: Mapping[str, Card] = cards.check_parents(cards.catalogue(MODULES))
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


def load_weights(
    model_or_name: nn.Module | str, source: Any, *, layout: str = "auto", **options: Any
) -> dict[str, Any]:
    """Variables for `zoo.create(...).apply` from published weights: every array fits, or nothing is loaded.

    source: a safetensors file, an npz, the index of a file in shards, a folder as Hugging Face lays it, a run of this
        project, a hub name ("hf://owner/name@revision"), or several of these by name ({"netG": ..., "netD": ...}).
    layout: whose names the arrays have, or "auto", which sees it in them. `zoo.weights.layouts.names_of` lists them.
    options: `new_head=True` leaves the head out and begins one as the model does (from `seed`), for other classes;
        `size` (pixels) resamples the positions of a ViT; `channels` sums or repeats the first kernel; `dtype` (float32;
        None keeps the file's).

    Raises UserError, one line, where arrays are missing, misshapen or left over, where the weights are of another
    network than the model (it says which field to set), and for every kind of damaged file. NaN is a warning.
    """
    from zoo import weights

    return weights.load_weights(model_or_name, source, layout=layout, **options)


def load_model(name: str, source: Any, *, layout: str = "auto", **options: Any) -> Any:
    """The model called `name` made to fit published weights, with them: `.model`, `.variables`, `.preprocessing`.

    Epsilons, the form of GELU, strides, classes and vocabulary come from the layout and the file; `options` are those
    of `load_weights` and fields of the model's Config. The result also has `.layout`, `.labels`, `.passed_over`.
    """
    from zoo import weights

    return weights.load_model(name, source, layout=layout, **options)


def save_weights(
    path: Any, model: nn.Module, variables: Mapping[str, Any], *, layout: str = "zoo", **about: Any
) -> Any:
    """Write weights to .safetensors, .npz or a folder, in a layout that another library reads; returns the path.

    about: `inputs` (what images or texts go through first) and `labels` (names of the classes) travel in the file.
    UserError where the network of that library is another one than `model`.
    """
    from zoo import weights

    return weights.save_weights(path, model, variables, layout=layout, **about)


def features(model: nn.Module, variables: Mapping[str, Any], *inputs: Array) -> tuple[Any, dict[str, Any]]:
    """The output of `model` and what every submodule made of its input, by path: {"s0b1/conv1": (B, H, W, C), ...}.

    Evaluation mode. `inputs` in the order of the card's. Models with attention add its weights in each block,
    "block0/attention/weights" (B, heads, T, T). Of a module called several times, what it made the first time.
    """
    output, state = model.apply(variables, *inputs, train=False, capture_intermediates=True, mutable=["intermediates"])
    found: dict[str, Array] = {}

    def walk(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                walk(value, (*path, key))
            elif path or key != "__call__":  # at the root that is the output itself
                found["/".join(path if key == "__call__" else (*path, key))] = value[0]

    walk(state["intermediates"], ())
    return output, found
