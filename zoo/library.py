"""The catalogue of models and the functions that build them. `zoo` re-exports them."""

import dataclasses
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
    fcn,
    gan,
    gpt,
    lecun1989,
    lenet,
    lstm,
    measure,
    mlp,
    own,
    perceptron,
    resnet,
    seq2seq,
    seq2seq_attention,
    simclr,
    transformer,
    unet,
    vgg,
    vit,
)
from zoo.cards import Card, Paper
from zoo.errors import UserError

MODULES = (
    perceptron,
    mlp,
    lecun1989,
    lstm,
    lenet,
    alexnet,
    dqn,
    seq2seq,
    seq2seq_attention,
    gan,
    dcgan,
    vgg,
    fcn,
    unet,
    resnet,
    transformer,
    bert,
    gpt,
    vit,
    simclr,
)
CARDS = cards.Catalogue("model")
"""Every registered model by name, oldest first."""
for _card in cards.check_parents(cards.catalogue(MODULES)).values():
    CARDS.register(_card.name, _card)


def register(
    model: Card | str,
    module: type[nn.Module] | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    year: int | None = None,
    paper: Paper | None = None,
    idea: str | None = None,
    **fields: Any,
) -> Card:
    """Add a model of your own to the catalogue, and return its card.

    zoo.register(card)                                                 # a zoo.Card with its whole history
    zoo.register("mine", Mine, inputs=zoo.cards.image(8, 8, 1))        # a Flax module class as it is

    The fields of the class become fields of `zoo.create("mine", ...)` and options `--model.FIELD`; `fields` are
    defaults for them, needed where the class has none. A classifier needs a field `classes`. Parameters and FLOPs are
    counted when they are first read. Raises UserError, one line, for a name that is taken.
    """
    if isinstance(model, Card):
        if module is not None or inputs or year or paper or idea or fields:
            raise UserError(f"zoo.register takes a card alone, or a name and a class; {model.name!r} came with more")
        if not isinstance(model.module, type) or not dataclasses.is_dataclass(model.config):
            raise UserError(f"{model.name}: the module of a card is a class that takes `config`, a dataclass, as `cfg`")
        for parent in model.parents:
            cards.find(CARDS, parent)
        return CARDS.register(model.name, model)
    if not isinstance(model, str) or module is None:
        raise UserError(f"zoo.register takes a card, or a name and a Flax module class, not {model!r} alone")
    card = own.card_of_class(model, module, inputs or {}, fields, year=year, paper=paper, idea=idea)
    return CARDS.register(model, card)


def create(name: str, **fields: Any) -> nn.Module:
    """Build the model called `name`, with fields of its Config changed. UserError suggests the nearest names."""
    if "pretrained" in fields or (name not in CARDS and "." in name):
        _refuse_pretrained(name, fields)
    return card(name).make(**fields)


def _refuse_pretrained(name: str, fields: Mapping[str, Any]) -> None:
    """Raise UserError for a model that is asked for as other libraries do it, `create(name, pretrained=True)`."""
    from zoo.weights import table

    if name in CARDS and "pretrained" in {field.name for field in dataclasses.fields(card(name).config)}:
        return
    if table.find(name) is not None or (name in CARDS and "pretrained" in fields):
        raise UserError(
            f"a model holds no weights here: zoo.pretrained({name!r}) returns a model, its variables and what prepares "
            "an image or a text for it"
        )


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of the models that match a shell pattern such as "vit*", oldest first."""
    return cards.match(CARDS, pattern)


def card(name: str) -> Card:
    """Return the card of the model called `name`: its history and its exact size."""
    return cards.find(CARDS, name)


def param_count(name: str, **fields: Any) -> int:
    """Count the parameters of a model, with fields changed as in `create`, without allocating any array."""
    model: Any = create(name, **fields)
    return measure.param_count(model, card(name).inputs_of(model.cfg))


def load_weights(
    model_or_name: nn.Module | str, source: Any, *, layout: str = "auto", **options: Any
) -> dict[str, Any]:
    """Return variables for `zoo.create(...).apply` from published weights. Every array must fit.

    source: a safetensors file, an npz, the index of a sharded file, a folder in Hugging Face's format, a run of this
        project, a hub name ("hf://owner/name@revision"), or several of these by name ({"netG": ..., "netD": ...}).
    layout: the library whose array names the file has; "auto" detects it. `zoo.weights.layouts.names_of` lists them.
    options: `new_head=True` initializes a new head from `seed` instead of loading it, for other classes; `size`
        (pixels) resamples the position table of a ViT; `channels` sums or repeats the first kernel; `dtype` is float32
        by default, and None keeps that of the file.

    Raises UserError, one line, if arrays are missing, have the wrong shape or are left over, if the weights belong to a
    different network than the model (the message names the field to set), and if a file is damaged. NaN is a warning.
    """
    from zoo import weights

    return weights.load_weights(model_or_name, source, layout=layout, **options)


def load_model(name: str, source: Any, *, layout: str = "auto", **options: Any) -> Any:
    """Build the model called `name` to fit published weights and load them: `.model`, `.variables`, `.preprocessing`.

    Epsilons, the form of GELU, strides, classes and vocabulary are read from the layout and the file. `options` are
    those of `load_weights` and fields of the model's Config. The result also has `.layout`, `.labels`, `.passed_over`.
    UserError if a config.json beside the weights has a key that is not known, or one of another network.
    """
    from zoo import weights

    return weights.load_model(name, source, layout=layout, **options)


def pretrained(name: str, *, classes: int | None = None, **options: Any) -> Any:
    """Return a trained model by the name of its weights: `.model`, `.variables`, `.preprocessing`, `.labels`, `.row`.

    loaded = zoo.pretrained("resnet50")             # the default weights of that model, "resnet50.tv_in1k"
    loaded = zoo.pretrained("resnet50", classes=37)  # with a new head, initialized from `seed`

    Published weights are downloaded once, from the commit that their row names, and their hash is checked each time
    they are opened. `ZOO_WEIGHTS=DIR` reads a folder that `zoo weights fetch NAME --to DIR` wrote, and `ZOO_OFFLINE=1`
    forbids the network. `options` are those of `load_model`. The row has the licence: read it before you publish.

    UserError, one line, for an unknown name (near ones are offered), another file than the row's, or no network.
    """
    from zoo import weights

    return weights.pretrained(name, classes=classes, **options)


def list_pretrained(pattern: str = "*") -> list[Any]:
    """Return the rows of the table of weights whose name matches a shell pattern, or that are of the card so called.

    A row has `.name`, `.bytes`, `.licence`, `.trained_on`, `.figure`, `.source`, `.revision` and `.sha256`, and more.
    """
    from zoo.weights import table

    return table.match(pattern)


def save_weights(
    path: Any, model: nn.Module, variables: Mapping[str, Any], *, layout: str = "zoo", **about: Any
) -> Any:
    """Write weights to .safetensors, .npz or a folder, in a layout that another library reads; returns the path.

    about: `inputs` (the preprocessing of images or texts) and `labels` (names of the classes) are stored in the file.
    Raises UserError if that library's network differs from `model`.
    """
    from zoo import weights

    return weights.save_weights(path, model, variables, layout=layout, **about)


def features(model: nn.Module, variables: Mapping[str, Any], *inputs: Array) -> tuple[Any, dict[str, Any]]:
    """Return the output of `model` and of every submodule, by path: {"s0b1/conv1": (B, H, W, C), ...}.

    The model runs in evaluation mode on `inputs`, in the order of the card's. Models with attention add its weights in
    each block, "block0/attention/weights" (B, heads, T, T). For a module called several times the first output counts.
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
