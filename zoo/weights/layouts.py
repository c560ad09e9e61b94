"""All layouts, from an explicit list of modules, and the detection of a file's layout."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from flax import linen as nn

from zoo import CARDS
from zoo.bert import BERT
from zoo.bert import Config as BertConfig
from zoo.errors import UserError, unknown
from zoo.weights import alexnet, bert, dcgan, dqn, gpt, lenet, recurrent, resnet, transformer, vgg, vit
from zoo.weights.files import SHORT, Opened, listed
from zoo.weights.layout import Found, Layout, Shapes

LAYOUTS: list[Layout] = [
    layout
    for module in (alexnet, vgg, lenet, dqn, dcgan, resnet, vit, bert, gpt, transformer, recurrent)
    for layout in module.LAYOUTS
]
OWN = "zoo"
"""The layout of this project: every array is named by its path, "params/stem/conv/kernel"."""
LIKELY = 0.5
"""A file with more than this share of the names that identify a layout has this layout, and may be incomplete."""
PREFIXES = ("model.", "net.", "backbone.", "state_dict.", "module.", "_orig_mod.")
"""Of whole networks inside another module, as trainers save them."""


def of_module(module: type[nn.Module]) -> list[Layout]:
    """Return the layouts of one architecture, the most common first, without `zoo`."""
    return [layout for layout in LAYOUTS if layout.module is module]


def names_of(module: type[nn.Module]) -> list[str]:
    return [*(layout.name for layout in of_module(module)), OWN]


FIELDS = {
    "classes": (("params/head/kernel", -1),),
    "actions": (("params/head/out/kernel", -1), ("params/head/advantage/out/kernel", -1)),
    "representation": (("params/representation/kernel", -1),),
    "context": (("params/positions/embedding", 0),),
    "vocab": tuple((f"params/{name}/embedding", 0) for name in ("tokens", "embed", "target_embed", "decoder/embed")),
    "source_vocab": (("params/source_embed/embedding", 0), ("params/encoder/embed/embedding", 0)),
}
"""Fields that depend on the data, and the arrays of ours (path, axis) whose shape shows them."""
HEADS = ("params/head", "params/head/value")  # of an agent; the second is a dueling one's
FIRST_DENSE = tuple(f"{head}/{layer}/kernel" for head in HEADS for layer in ("hidden0", "out"))
"""The first layer of an agent that observes numbers: as many rows as there are numbers. The first that is there."""


def _infer(shapes: Shapes, content: Mapping[str, Any], config: Any) -> Found:
    found = {}
    for field, places in FIELDS.items():
        sizes = [shapes[path][axis] for path, axis in places if path in shapes]
        if sizes and hasattr(config, field):
            found[field] = sizes[0]
    if isinstance(config, BertConfig):
        found["head"] = _bert_head({path.split("/")[1] for path in shapes if "/" in path})
    return found


def _bert_head(parts: set[str]) -> str:
    if "masked" in parts:
        return "pretrain" if "next" in parts else "masked"
    if "head" in parts:
        return "classify" if "pooler" in parts else "token"
    return "pooler" if "pooler" in parts else "hidden"


def own(module: type[nn.Module]) -> Layout:
    """Return the layout `zoo` of an architecture. Its rules, the identity, are created once the arrays are known."""
    layout = Layout(
        OWN, module, rules=lambda config: [], known_by=(), infer=_infer, new_head_drops=("params/representation/*",)
    )
    if module is BERT:  # a head for classes takes the place of those of pre-training
        return dataclasses.replace(layout, new_head_drops=("params/masked/*", "params/next/*", "params/pooler/*"))
    published = next((each for each in of_module(module) if each.first), None)
    if published is None:
        return layout
    rules = published.rules(next(card.config for card in CARDS.values() if card.module is module))

    def here(array: tuple[str, int] | None, axis: int) -> tuple[str, int] | None:
        return array and next((rule.ours[0], axis) for rule in rules if array[0] in rule.theirs)

    return dataclasses.replace(
        layout, heads=published.heads, first=here(published.first, 2), positions=here(published.positions, 1)
    )


def named(module: type[nn.Module], name: str) -> Layout:
    """Return the layout called `name`. UserError suggests those that the architecture has."""
    if name == OWN:
        return own(module)
    for layout in of_module(module):
        if layout.name == name:
            return layout
    raise unknown(f"layout of {module.__name__}", name, names_of(module))


def detect(module: type[nn.Module], opened: Opened) -> Layout:
    """Detect the layout of a file by the names of its arrays. UserError if the architecture has no such layout."""
    names = list(opened.tensors)
    if any(name.startswith("params/") for name in names):
        return own(module)
    # timm's ResNet has the names of torchvision's: only a config.json beside them tells.
    timm = "architecture" in opened.config or opened.config.get("model_type") == "timm_wrapper"

    def likelihood(layout: Layout) -> tuple[float, bool]:
        return layout.share(names), timm and layout.name == "timm"

    likeliest = max(of_module(module), key=likelihood, default=None)
    if likeliest is not None and likeliest.share(names) > LIKELY:
        return likeliest  # the error for an incomplete file then lists the missing arrays
    others = sorted({f"{each.module.__name__} ({each.name})" for each in LAYOUTS if each.knows(names)})
    looks = f"; they look like {' or '.join(others)}" if others else ""
    raise UserError(
        f"{opened.name}: these are not weights of {module.__name__} in a known layout "
        f"({', '.join(names_of(module))}){looks}; the arrays are {listed(first(names))}"
    )


def unprefixed(names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the prefix that all names have before those of a known layout, and the names without it by the old ones.

    ("", {}) if there is none, or if the names are those of a layout already, as "model.shared.weight" is of Marian's.
    Buffers, which need not be loaded, may lack the prefix.
    """
    names = list(names)
    if any(name.startswith("params/") for name in names) or _known(names):
        return "", {}
    weights = [name for name in names if not any(layout.is_buffer(name) for layout in LAYOUTS)]
    prefix = ""
    while lead := next((p for p in PREFIXES if weights and all(n.startswith(prefix + p) for n in weights)), None):
        prefix += lead
        new = {name: name.removeprefix(prefix) for name in names}
        if _known(new.values()) and len(set(new.values())) == len(new):
            return prefix, new
    return "", {}


def _known(names: Iterable[str]) -> bool:
    there = list(names)
    return any(layout.share(there) > LIKELY for layout in LAYOUTS)


def first(names: Iterable[str]) -> list[str]:
    """Return the names sorted for a message, or ["none"]."""
    return sorted(names) or ["none"]


__all__ = ["LAYOUTS", "OWN", "SHORT", "detect", "first", "named", "names_of", "of_module", "own"]
