"""Weights into a model: which layout, does all of it fit, and then one array after the other."""

import dataclasses
import json
import logging
import math
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
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from zoo.errors import UserError
from zoo.weights import adapt, layouts, preprocessing
from zoo.weights.files import Opened, listed, merged, open_path
from zoo.weights.layout import Found, Layout
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import SAME, Rule, rule

Source = str | os.PathLike[str] | Mapping[str, Any]
LOG = logging.getLogger("zoo.weights")
IN_TRAINING = ("dropout", "drop_path", "spread", "zero_init_last_scale")
"""Fields that change nothing once a model is trained, so weights have no say in them."""


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A model with its weights, and what came with them."""

    model: nn.Module
    variables: dict[str, Any]
    name: str  # of the card
    layout: str
    source: str  # where from; of a hub with the revision
    preprocessing: Preprocessing | None  # what a picture or text goes through first, where that is known
    labels: tuple[str, ...] | None  # names of the classes, where the source has them
    passed_over: tuple[str, ...]  # arrays of heads that this model does not have
    folder: Path | None  # where a vocabulary may lie


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
    """Variables for `model.apply` from a published checkpoint; see `zoo.load_weights`."""
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
    """The model called `name`, made to fit the checkpoint, with its variables; see `zoo.load_model`."""
    return _load(name, source, layout, new_head, size, channels, dtype, seed, given=fields)


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
    """`given`: fields for a model made to fit; None where the model must be taken as it is."""
    opened = open_source(source)
    card = zoo.card(model) if isinstance(model, str) else card_of(model)
    module = card.make() if isinstance(model, str) else model
    layout = layouts.detect(type(module), opened) if layout_name == "auto" else layouts.named(type(module), layout_name)
    tensors = {layout.canonical(name): tensor for name, tensor in opened.tensors.items()}
    if not tensors:
        raise UserError(f"{opened.name} holds no arrays")
    kept = _metadata(opened)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    seen = found_fields(layout, shapes, opened, kept, module.cfg)
    if given is not None:
        usual = {**layout.usual(shapes), **saved_fields(kept, module.cfg)}
        module = card.make(**{**usual, **given})
        seen = found_fields(layout, shapes, opened, kept, module.cfg)
        fields = {**usual, **seen, **given}
        module = card.make(**fields)
        seen = found_fields(layout, shapes, opened, kept, module.cfg)
    ignored = ("classes", "actions", "head") if new_head else ()
    demand_fields(opened.name, layout, seen, module.cfg, card, ignored)
    if reason := layout.refuses(module.cfg):
        raise UserError(f"{card.name} has no layout {layout.name}: {reason}")

    inputs = inputs_for(card, module.cfg, layout, shapes, kept)
    expected = expected_shapes(module, inputs)
    if layout.name == layouts.OWN and "x" in inputs and not kept.get("preprocessing"):
        # Which images a model of ours was made for is not written down, and the first layer after them depends on it.
        expected = {path: shapes[path] if len(shapes.get(path, ())) == len(s) else s for path, s in expected.items()}
    rules = rules_for(layout, module.cfg, expected)
    new = [each for each in rules if new_head and f"{each.ours}/".startswith(f"{layout.head}/")]
    if new_head and not new:
        raise UserError(f"{card.name} has no head of its own that could be new")
    passed_over = compare(opened.name, layout, tensors, [r for r in rules if r not in new], new, expected)

    arrays = _read(opened.name, layout, [r for r in rules if r not in new], tensors, dtype)
    if channels is not None or size is not None:
        adapt.to_input(arrays, module, layout, rules, channels, size)
    if new:
        arrays |= adapt.fresh(module, inputs, [r.ours for r in new], seed, dtype)
    if layout_name == "auto":
        _say(f"{opened.name}: layout {layout.name}, {len(tensors)} arrays")
    return Loaded(
        module,
        unflatten_dict(arrays, sep="/"),
        card.name,
        layout.name,
        opened.name,
        _preprocessing(layout, opened, kept, inputs, size),
        _labels(opened, kept) if not new_head else None,
        tuple(passed_over),
        opened.folder,
    )


def open_source(source: Source) -> Opened:
    """A file, a folder, a run of this project, a hub name, or several of them by name."""
    if isinstance(source, Mapping):
        return merged({name: open_source(part) for name, part in source.items()})
    text = os.fspath(source)
    if text.startswith("hf://"):
        from zoo.weights import hub

        folder, name = hub.download(text)
        return dataclasses.replace(open_path(folder), name=name)
    path = Path(text).expanduser()
    if path.is_dir():
        from zoo.weights import runs

        if (run := runs.find(path)) is not None:
            return runs.open_run(run)
    return open_path(path)


def card_of(module: nn.Module) -> Any:
    """A card of the module's architecture: of the same Config where there is one, else the first."""
    cards = [card for card in zoo.CARDS.values() if card.module is type(module)]
    if not cards:
        raise UserError(f"{type(module).__name__} is no model of this project")
    return next((card for card in cards if card.config == module.cfg), cards[0])


def _metadata(opened: Opened) -> Mapping[str, Any]:
    """What `save_weights` wrote about the weights, or nothing."""
    try:
        kept = json.loads(opened.metadata.get("zoo", "{}"))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UserError(f"{opened.name}: its metadata `zoo` is no JSON object")
    return kept


def found_fields(
    layout: Layout, shapes: Mapping[str, tuple[int, ...]], opened: Opened, kept: Mapping[str, Any], config: Any
) -> Found:
    """Fields of the Config that the layout, the shapes, config.json or the metadata of a file of ours fix."""
    found = {**layout.facts(config), **layout.infer(shapes, opened.config, config)}
    return found | (saved_fields(kept, config) if layout.name == layouts.OWN else {})


def saved_fields(kept: Mapping[str, Any], config: Any) -> Found:
    """Fields of the Config that `save_weights` wrote down, those that matter after training."""
    if kept.get("family") != type(config).__module__.rpartition(".")[2]:
        return {}
    known = {field.name for field in dataclasses.fields(config)} - set(IN_TRAINING)
    saved = {name: tuple(v) if isinstance(v, list) else v for name, v in kept.get("fields", {}).items()}
    return {name: value for name, value in saved.items() if name in known}


def demand_fields(source: str, layout: Layout, seen: Found, config: Any, card: Any, ignored: tuple[str, ...]) -> None:
    """Raise UserError where the model is another network than the weights are of, naming what to set."""
    wrong = {
        field: value
        for field, value in seen.items()
        if field not in ignored and not _equal(getattr(config, field), value)
    }
    if wrong:
        has = ", ".join(f"{field}={value!r} (here {getattr(config, field)!r})" for field, value in wrong.items())
        call = ", ".join([repr(card.name), *(f"{field}={value!r}" for field, value in wrong.items())])
        raise UserError(f"{source}, layout {layout.name}, has {has}: make the model with zoo.create({call})")


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6)
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return dict(ours) == dict(theirs)
    return ours == theirs


def inputs_for(
    card: Any,
    config: Any,
    layout: Layout,
    shapes: Mapping[str, tuple[int, ...]],
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Inputs as `Card.inputs` has them, with the channels and the image size that the arrays or the metadata show."""
    known = preprocessing.from_json((kept or {}).get("preprocessing"))
    if isinstance(known, preprocessing.Images):
        return {"x": ((*known.size, len(known.mean)), jnp.float32)}
    inputs = {}
    for name, (shape, dtype) in card.inputs.items():
        if name == "z":
            shape = (config.latent,)
        elif len(shape) == 1 and not jnp.issubdtype(dtype, jnp.floating):
            shape = (1,)  # a text of any length gives the same arrays
        elif layout.first and layout.first[0] in shapes:
            theirs, axis = shapes[layout.first[0]], layout.first[1]
            shape = (*shape[:-1], theirs[axis]) if len(theirs) > axis else shape
        if layout.positions and layout.positions[0] in shapes and len(shape) == 3:
            theirs, axis = shapes[layout.positions[0]], layout.positions[1]
            patches = (theirs[axis] if len(theirs) > axis else 0) - (config.pool == "token")
            side = math.isqrt(max(patches, 1)) * config.patch
            shape = (side, side, shape[-1])
        inputs[name] = (shape, dtype)
    return inputs


def expected_shapes(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The arrays that the model has, by path: "params/stem/conv/kernel" -> shape. Allocates nothing."""
    example = {name: jax.ShapeDtypeStruct((1, *shape), dtype) for name, (shape, dtype) in inputs.items()}
    key = jax.eval_shape(jax.random.key, 0)
    tree = jax.eval_shape(lambda key, x: module.init(key, **x, train=False), key, example)
    return {path: leaf.shape for path, leaf in flatten_dict(tree, sep="/").items()}


def rules_for(layout: Layout, config: Any, expected: Mapping[str, tuple[int, ...]]) -> list[Rule]:
    """The layout's table for one Config; a table that misses or invents an array is a mistake of ours."""
    if layout.name == layouts.OWN:
        return [rule(path, path, SAME) for path in expected]
    rules = layout.rules(config)
    ours = [each.ours for each in rules]
    if sorted(ours) != sorted(expected):
        raise RuntimeError(f"layout {layout.name}: {set(ours) ^ set(expected) or 'an array twice'}")
    return rules


def compare(
    source: str,
    layout: Layout,
    tensors: Mapping[str, Any],
    rules: list[Rule],
    new: list[Rule],
    expected: Mapping[str, tuple[int, ...]],
) -> list[str]:
    """Raise UserError that names every missing, misshapen or unexpected array; returns those passed over."""
    missing, misshapen, used = [], [], set()
    for each in rules:
        for theirs, shape in zip(each.theirs, each.shapes(expected[each.ours]), strict=True):
            name = layout.canonical(theirs)
            copies = {layout.canonical(copy) for copy in each.copies} & tensors.keys()
            used |= {name, *copies}
            for there in {name, *copies} & tensors.keys():
                if tensors[there].shape != shape:
                    misshapen.append(f"{there} is {tensors[there].shape}, not {shape}")
            if name not in tensors and not copies:
                missing.append(theirs)
    rest = tensors.keys() - used
    replaced = {layout.canonical(name) for each in new for name in (*each.theirs, *each.copies)}
    over = sorted(name for name in rest if name in replaced or layout.passes_over(name) or (new and layout.drops(name)))
    unexpected = sorted(name for name in rest - set(over) if not layout.is_buffer(name))
    problems = [
        f"{len(names)} {kind}: {listed(names)}"
        for kind, names in (("missing", missing), ("misshapen", misshapen), ("unexpected", unexpected))
        if names
    ]
    if problems:
        raise UserError(f"{source} does not fit (layout {layout.name}); nothing is loaded. {'; '.join(problems)}")
    return over


def _read(
    source: str, layout: Layout, rules: list[Rule], tensors: Mapping[str, Any], dtype: Any
) -> dict[str, jax.Array]:
    """Every array of ours, by path. Theirs live one rule long."""
    arrays, broken = {}, []
    for each in rules:
        names = [layout.canonical(name) for name in each.theirs]
        copies = [name for copy in each.copies if (name := layout.canonical(copy)) in tensors]
        if names[0] not in tensors:
            names, copies = copies[:1], copies[1:]
        parts = [tensors[name].read() for name in names]
        for copy in copies:
            if not np.array_equal(tensors[copy].read(), parts[0], equal_nan=parts[0].dtype.kind == "f"):
                raise UserError(f"{source}: {copy} is not {names[0]}, but this model has one array for both")
        for name, part in zip(names, parts, strict=True):
            if not (np.issubdtype(part.dtype, np.floating) or jnp.issubdtype(part.dtype, jnp.floating)):
                raise UserError(f"{source}: {name} holds {part.dtype}, not floating-point numbers")
            # The least and the largest show NaN and infinity without a mask as large as the array.
            if part.size and not (np.isfinite(part.min()) and np.isfinite(part.max())):
                broken.append(name)
        array = each.transform.read(parts)
        arrays[each.ours] = jnp.array(array, dtype=dtype or array.dtype)
    if broken:
        warnings.warn(f"{source}: NaN or infinity in {listed(broken)}", stacklevel=5)
    return arrays


def _preprocessing(
    layout: Layout,
    opened: Opened,
    kept: Mapping[str, Any],
    inputs: Mapping[str, Any],
    size: int | tuple[int, int] | None,
) -> Preprocessing | None:
    """What came with the weights, else what the layout's library usually does, at the size that positions show."""
    usual = layout.preprocessing
    if isinstance(usual, preprocessing.Images) and layout.positions:
        usual = adapt.at_size(usual, inputs["x"][0][:2])
    if kept.get("preprocessing"):
        usual = preprocessing.from_json(kept["preprocessing"])
    elif isinstance(usual, preprocessing.Images) and opened.preprocessor:
        usual = preprocessing.from_hugging_face(opened.preprocessor, usual)
    elif isinstance(usual, preprocessing.Images) and isinstance(opened.config.get("pretrained_cfg"), Mapping):
        usual = preprocessing.from_timm(opened.config["pretrained_cfg"], usual)
    elif (
        isinstance(usual, preprocessing.Text) and opened.folder and (opened.folder / "tokenizer_config.json").is_file()
    ):
        from zoo.weights.files import read_json

        content = read_json(opened.folder / "tokenizer_config.json")
        usual = preprocessing.Text(lower=bool(content.get("do_lower_case", usual.lower)))
    if size is not None and isinstance(usual, preprocessing.Images):
        usual = adapt.at_size(usual, size)
    return usual


def _labels(opened: Opened, kept: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = opened.config.get("id2label")
    if isinstance(names, Mapping) and all(str(key).isdigit() for key in names):
        return tuple(str(names[key]) for key in sorted(names, key=int))
    if names := kept.get("labels") or opened.config.get("label_names"):
        return tuple(map(str, names))
    return None


def _say(line: str) -> None:
    LOG.info(line)
    if sys.stderr.isatty():
        print(f"zoo: {line}", file=sys.stderr)
