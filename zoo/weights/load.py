"""Load weights into a model: detect the layout, check that everything fits, then read one array after the other."""

import dataclasses
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import unflatten_dict

from zoo import CARDS
from zoo.errors import UserError, note
from zoo.weights import adapt, layouts, preprocessing, processors, table
from zoo.weights.files import Opened, listed, merged, open_path
from zoo.weights.fit import Fitted, fit
from zoo.weights.layout import Layout
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import Rule
from zoo.weights.table import Row

Source = str | os.PathLike[str] | Mapping[str, Any] | Opened
LOG = logging.getLogger("zoo.weights")
CLASSIFIERS = ("classify", "token")  # heads of BERT


@dataclasses.dataclass(frozen=True, repr=False)
class Loaded:
    """A model with its weights and their metadata."""

    model: Any  # an nn.Module with the field `cfg`
    variables: dict[str, Any]
    name: str  # of the card
    layout: str
    source: str  # path or hub name, with the revision
    preprocessing: Preprocessing | None  # of images or texts, if known
    labels: tuple[str, ...] | None  # names of the classes, if the source has them
    passed_over: tuple[str, ...]  # arrays of heads that this model does not have
    folder: Path | None  # where a vocabulary may be
    inputs: Mapping[str, Any]  # like Card.inputs, of the size that the weights are for where they show it
    row: Row | None = None  # of the table of weights, if they were named by it

    def __repr__(self) -> str:
        numbers = sum(leaf.size for leaf in jax.tree.leaves(self.variables.get("params", {})))
        return f"Loaded({self.name!r}, {numbers:,} parameters, layout {self.layout!r}, from {self.source!r})"


def load_weights(
    model: nn.Module | str,
    source: Source,
    *,
    layout: str = "auto",
    new_head: bool = False,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    dtype: Any = jnp.float32,
    seed: int = 0,
) -> dict[str, Any]:
    """Return variables for `model.apply` from a published checkpoint; see `zoo.load_weights`."""
    loaded = _load(model, source, layout, new_head, size, channels, dtype, seed, given=None)
    return loaded.variables


def load_model(
    name: str,
    source: Source,
    *,
    layout: str = "auto",
    new_head: bool = False,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    dtype: Any = jnp.float32,
    seed: int = 0,
    **fields: Any,
) -> Loaded:
    """Build the model called `name` to fit a checkpoint and load its variables; see `zoo.load_model`."""
    return _load(name, source, layout, new_head, size, channels, dtype, seed, given=fields)


def pretrained(name: str, *, classes: int | None = None, **options: Any) -> Loaded:
    """Load weights by name; see `zoo.pretrained`."""
    row = table.require(name)
    if classes is not None:
        options = {**_for_classes(row, classes), **options}
    return load_model(row.card, open_row(row), **options)


def _for_classes(row: Row, classes: int) -> dict[str, Any]:
    """Return the options that give the model of a row a head for so many classes: its own, if it has as many."""
    config = CARDS[row.card].config
    if not hasattr(config, "classes"):
        raise UserError(f"{row.name} tells no classes apart, so it takes no classes={classes}")
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise UserError(f"classes must be at least 1, not {classes!r}")
    own = row.fields.get("head")
    tells_apart = own in CLASSIFIERS if hasattr(config, "head") else True
    if tells_apart and classes == row.fields.get("classes", config.classes):
        return {}
    head = {"head": own if tells_apart else CLASSIFIERS[0]} if hasattr(config, "head") else {}
    return {"new_head": True, "classes": classes, **head}


def _load(
    model: nn.Module | str,
    source: Source,
    layout_name: str,
    new_head: bool,
    size: int | tuple[int, int] | None,
    channels: int | None,
    dtype: Any,
    seed: int,
    given: Mapping[str, Any] | None,
) -> Loaded:
    """Load a model. With fields `given` the model is built to fit; with None it must fit as it is."""
    opened = open_source(source)
    if opened.row is not None:
        layout_name = opened.row.layout if layout_name == "auto" else layout_name
        given = given if given is None else {**opened.row.fields, **given}
    fitted = fit(model, opened, layout_name, new_head, given)
    layout, rules = fitted.layout, fitted.rules
    arrays = _read(opened.name, layout, rules, fitted.tensors, dtype)
    prepared = _preprocessing(fitted, opened, size, adapt.channels_of(arrays, fitted.module, layout, rules))
    if channels is not None or size is not None:
        adapt.to_input(arrays, fitted.module, layout, rules, channels, size, fitted.inputs)
    if fitted.new:
        arrays |= adapt.fresh(
            fitted.module, fitted.inputs, [path for each in fitted.new for path in each.ours], seed, dtype
        )
    if layout_name == "auto":
        _say(f"{opened.name}: layout {layout.name}, {len(fitted.tensors)} arrays")
    return Loaded(
        fitted.module,
        unflatten_dict(arrays, sep="/"),
        fitted.card.name,
        layout.name,
        opened.name,
        _for_channels(prepared, adapt.channels_of(arrays, fitted.module, layout, rules)),
        None if new_head else _labels(opened, fitted.kept),
        fitted.passed_over,
        opened.folder,
        _at_size(fitted.inputs, size, channels),
        opened.row,
    )


def open_source(source: Source) -> Opened:
    """Open a file, a folder, a run of this project, a hub name, weights by name, or several of them by name.

    A path that exists comes before the weights of that name.
    """
    if isinstance(source, Opened):
        return source
    if isinstance(source, Mapping):
        return merged({name: open_source(part) for name, part in source.items()})
    text = os.fspath(source)
    if text.startswith("hf://"):
        from zoo.weights import hub

        folder, name = hub.download(text)
        return _unprefixed(dataclasses.replace(open_path(folder), name=name))
    path = Path(text).expanduser()
    if path.is_dir():
        from zoo.weights import runs

        if (run := runs.find(path)) is not None:
            return runs.open_run(run)
    if not path.exists() and (row := table.named_by(text)) is not None:
        return open_row(row)
    return _unprefixed(open_path(path))


def open_row(row: Row) -> Opened:
    """Open weights by name; their files are checked, and downloaded where they are nowhere on this machine."""
    from zoo.weights import store

    opened = open_path(store.folder_of(row))
    return _unprefixed(dataclasses.replace(opened, name=row.name, row=row))


def _unprefixed(opened: Opened) -> Opened:
    """Return a source without the prefix of a trainer's module, "model.conv1.weight", and say it."""
    prefix, names = layouts.unprefixed(opened.tensors)
    if not prefix:
        return opened
    _say(f"{opened.name}: the names of the arrays are read without their prefix {prefix}")
    return dataclasses.replace(opened, tensors={names[name]: tensor for name, tensor in opened.tensors.items()})


def _read(
    source: str, layout: Layout, rules: list[Rule], tensors: Mapping[str, Any], dtype: Any
) -> dict[str, jax.Array]:
    """Return all our arrays by path. The arrays of a file are in memory only while their rule is applied."""
    arrays, broken = {}, []
    for each in rules:
        names = [layout.canonical(name) for name in each.theirs]
        copies = [name for copy in each.copies if (name := layout.canonical(copy)) in tensors]
        if names[0] not in tensors:
            names, copies = copies[:1], copies[1:]
        parts = [tensors[name].read() for name in names]
        for copy in copies:
            if not np.array_equal(tensors[copy].read(), parts[0], equal_nan=parts[0].dtype.kind == "f"):
                raise UserError(f"{source}: {copy} differs from {names[0]}, but this model has one array for both")
        for name, part in zip(names, parts, strict=True):
            if not (np.issubdtype(part.dtype, np.floating) or jnp.issubdtype(part.dtype, jnp.floating)):
                raise UserError(f"{source}: {name} has dtype {part.dtype}, not floating-point numbers")
            # Minimum and maximum reveal NaN and infinity without a mask as large as the array.
            if part.size and not (np.isfinite(part.min()) and np.isfinite(part.max())):
                broken.append(name)
        arrays |= {path: jnp.array(a, dtype=dtype or a.dtype) for path, a in each.read(parts).items()}
    if broken:
        warnings.warn(f"{source}: NaN or infinity in {listed(broken)}", stacklevel=5)
    return arrays


def _at_size(inputs: Mapping[str, Any], size: int | tuple[int, int] | None, channels: int | None) -> dict[str, Any]:
    """Return the inputs with the image size and the number of channels that the weights were adapted to."""
    if "x" not in inputs:
        return dict(inputs)
    shape, dtype = inputs["x"]
    shape = shape if size is None else (*adapt.pair(size), *shape[2:])
    shape = shape if channels is None else (*shape[:-1], channels)
    return {**inputs, "x": (shape, dtype)}


def _preprocessing(
    fitted: Fitted, opened: Opened, size: int | tuple[int, int] | None, channels: int | None
) -> Preprocessing | None:
    """Return the preprocessing that came with the weights, or else the layout's, at the model's image size.

    channels: of the images that the file's weights read, before they are adapted; None if they read none.
    """
    usual, kept = fitted.layout.preprocessing, fitted.kept
    if isinstance(usual, preprocessing.Images) and fitted.layout.positions:
        usual = adapt.at_size(usual, fitted.inputs["x"][0][:2])
    if kept.get("preprocessing"):
        usual = preprocessing.from_json(kept["preprocessing"])
    elif opened.row is not None and opened.row.preprocessing is not None:
        usual = opened.row.preprocessing
    elif isinstance(usual, preprocessing.Images):
        usual = _described(fitted, opened, usual, size, channels)
    elif (
        isinstance(usual, preprocessing.Text) and opened.folder and (opened.folder / "tokenizer_config.json").is_file()
    ):
        from zoo.weights.files import read_json

        content = read_json(opened.folder / "tokenizer_config.json")
        if not isinstance(content, dict):
            file = opened.folder / "tokenizer_config.json"
            raise UserError(f"{file} must be a JSON object, not {str(content)[:60]!r}")
        usual = preprocessing.Text(lower=bool(content.get("do_lower_case", usual.lower)))
    if size is not None and isinstance(usual, preprocessing.Images):
        usual = adapt.at_size(usual, size)
    return usual


def _described(
    fitted: Fitted,
    opened: Opened,
    usual: preprocessing.Images,
    size: int | tuple[int, int] | None,
    channels: int | None,
) -> preprocessing.Images:
    """Return the preprocessing that the files beside the weights describe; `usual` without such a file.

    UserError if it is not for the images that the weights read.
    """
    timm = opened.config.get("pretrained_cfg")
    try:
        if opened.preprocessor:
            images = processors.from_hugging_face(opened.preprocessor, usual, opened.config.get("model_type"))
        elif isinstance(timm, Mapping):
            images = processors.from_timm(timm)
        else:
            return usual
        if channels is not None:
            images = processors.for_channels(images, opened.preprocessor, channels)
    except UserError as error:
        raise UserError(f"{opened.name}: {error}") from None
    network = fitted.inputs["x"][0][:2] if fitted.layout.positions else images.size
    if images.resize == "as is":
        images = dataclasses.replace(images, size=network)
    if size is None and images.size != network:
        made, read = (f"{height}x{width}" for height, width in (images.size, network))
        key = "size" if opened.preprocessor else "input_size"
        raise UserError(
            f"{opened.name}: {key} prepares its images at {made} pixels, and its positions are of {read}: "
            f"load it with size={images.size}"
        )
    return images


def _for_channels(usual: Preprocessing | None, channels: int | None) -> Preprocessing | None:
    """Return the preprocessing of images with as many channels as the first kernel of the weights."""
    if channels is None or not isinstance(usual, preprocessing.Images):
        return usual
    return usual.with_channels(channels)


def _labels(opened: Opened, kept: Mapping[str, Any]) -> tuple[str, ...] | None:
    if kept.get("labels"):  # the file's own come before those of a config.json beside it
        return tuple(map(str, kept["labels"]))
    if opened.row is not None and opened.row.labels:
        return opened.row.labels
    names = opened.config.get("id2label")
    if isinstance(names, Mapping) and set(names) == {str(i) for i in range(len(names))}:  # no class without a name
        return tuple(str(names[str(i)]) for i in range(len(names)))
    if isinstance(names := opened.config.get("label_names"), list) and names:
        return tuple(map(str, names))
    return None


def _say(line: str) -> None:
    LOG.info(line)
    if sys.stderr.isatty():
        note(line)
