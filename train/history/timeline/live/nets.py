"""The networks that read what a visitor of the page draws: of our own weights those on MNIST, and a user's own runs.

On disk a user's network is results/exhibits/live/NAME.json, which `zoo exhibit RUN --live` writes.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from train.history.timeline.lenient_json import finite, mapping, read_json, sequence, share, text, whole
from train.history.timeline.live.layers import layers_of
from train.history.timeline.live.packing import Packer
from zoo.errors import UserError
from zoo.files import file_name, write_atomically
from zoo.weights import Loaded, table
from zoo.weights.preprocessing import Images

SUBFOLDER = "live"  # of the folder of exhibits
SIDE = 28  # pixels on a side of what is drawn
LARGEST = 40  # pixels on a side of a network's input, what is added being empty
CLASSES = 10
TAG = "mnist"
MODELS = ("perceptron", "mlp", "lenet5", "alexnet_cifar", "resnet20", "vit_mini_patch4")
MOST = 1_000_000  # weights: more make the page heavy, and slow on a phone

Net = dict[str, Any]


def own_nets() -> list[Net]:
    """Return the networks of this project that are trained on MNIST, in the order of their years."""
    names = [f"{model}.{TAG}" for model in MODELS if model in zoo.CARDS]
    found = [zoo.pretrained(name) for name in names if name in table.current().rows]
    return [of_loaded(loaded, loaded.row.name, data=TAG.upper(), figure=_figure(loaded)) for loaded in found]


def of_loaded(loaded: Loaded, name: str, *, data: str, figure: float | None) -> Net:
    """Return a trained classifier as the page computes it.

    data: the data set that it was trained on. figure: the share of its test images that it reads rightly, if known.
    UserError, one line, where it has no such list of layers or reads something else than 28 x 28 grey pixels.
    """
    images, size = loaded.preprocessing, _size(loaded.variables)
    if not isinstance(images, Images):
        raise UserError(f"{name} cannot be shown live: it reads no images")
    side = _side(images, name)
    if size > MOST:
        raise UserError(f"{name} cannot be shown live: it has {size:,} weights, and the page takes {MOST:,}")
    packer = Packer()
    layers = layers_of(loaded.model, loaded.variables, (side, side, 1), packer)
    if layers[-1].get("outputs") != CLASSES:
        raise UserError(f"{name} cannot be shown live: it has {layers[-1].get('outputs')} classes, not {CLASSES}")
    card = zoo.card(loaded.name)
    return {
        "name": name,
        "model": card.name,
        "year": card.year,
        "params": size,
        "ours": loaded.row is not None,
        "data": data,
        "figure": figure,
        "input": {"side": side, "mean": images.mean[0], "std": images.std[0], "scale": images.scale},
        "classes": list(loaded.labels or map(str, range(CLASSES))),
        "layers": layers,
        **packer.packed(),
    }


def write(net: Net, folder: Path) -> Path:
    """Write a network into the folder of exhibits, and return its file."""
    stem = file_name(net["name"], "the name of an exhibit")
    said = json.dumps(net, ensure_ascii=False, allow_nan=False) + "\n"
    return write_atomically(folder / SUBFOLDER / f"{stem}.json", said, make_folder=True)


def read_all(folder: Path) -> Iterator[Net]:
    """Yield the networks in `folder`, sorted by name. UserError for a file that is none."""
    for file in sorted(folder.glob("*.json")):
        net = read_json(file)
        numbers = (whole(net.get("year")), whole(net.get("params")), whole(net.get("floats")))
        numbers += tuple(finite(mapping(net, "input").get(key)) for key in ("side", "mean", "std", "scale"))
        words = (text(net, "name"), text(net, "model"), text(net, "weights"))
        right = all(words) and None not in numbers and sequence(net, "layers")
        if not right or len(sequence(net, "classes")) != CLASSES:
            raise UserError(f"{file}: not a network of zoo exhibit --live: delete it, or make it again")
        yield {**net, "figure": share(net.get("figure")), "data": text(net, "data"), "ours": False}


def _side(images: Images, name: str) -> int:
    """Return the pixels on a side of a network's input."""
    (height, width), channels = images.size, len(images.mean)
    bordered = images.resize == "cut" and SIDE <= height <= LARGEST and (height - SIDE) % 2 == 0
    same = height == SIDE and images.resize in (None, SIDE, "as is", "cut", (SIDE, SIDE))
    if channels != 1 or height != width or not (same or bordered):
        given = f"{height}x{width}x{channels}"
        raise UserError(f"{name} cannot be shown live: it reads images of {given}, and a drawing is {SIDE}x{SIDE}x1")
    return height


def _size(variables: Mapping[str, Any]) -> int:
    import jax

    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(variables["params"]))


def _figure(loaded: Loaded) -> float | None:
    """Return the share of test images that it reads rightly, where its row says so."""
    figure = loaded.row.figure if loaded.row else None
    if figure is None or figure.metric != "accuracy":
        return None
    return figure.value / 100 if figure.unit == "%" else figure.value
