"""Check that a model fits a source of weights: detect the layout, infer fields, and report every wrong array."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

import zoo
from zoo.cards import Card
from zoo.errors import UserError
from zoo.files import parse_json
from zoo.weights import layouts, preprocessing
from zoo.weights.files import Opened, Tensor, listed
from zoo.weights.layout import Found, Layout
from zoo.weights.rules import SAME, Rule, rule

IN_TRAINING = ("dropout", "drop_path", "spread", "zero_init_last_scale")
"""Fields that have no effect after training, so weights cannot determine them."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A model and a source that fit each other. No array has been read yet."""

    card: Card
    module: Any  # an nn.Module with the field `cfg`
    layout: Layout
    tensors: Mapping[str, Tensor]  # by the layout's canonical names
    kept: Mapping[str, Any]  # the metadata that `save_weights` wrote
    inputs: Mapping[str, Any]  # like Card.inputs, with the shapes that the arrays are for
    rules: list[Rule]  # for the arrays that are read
    new: list[Rule]  # for the head, if it is initialized instead of read
    passed_over: tuple[str, ...]  # arrays of heads that the model does not have


def fit(
    model: nn.Module | str, opened: Opened, layout_name: str, new_head: bool, given: Mapping[str, Any] | None
) -> Fitted:
    """Fit a model to a source. With fields `given` the model is built to fit; with None it must fit as it is.

    UserError if it does not fit: the message names the field to set, or the arrays that are missing, misshapen or left
    over.
    """
    card = zoo.card(model) if isinstance(model, str) else card_of(model)
    module: Any = card.make() if isinstance(model, str) else model
    layout = layouts.detect(type(module), opened) if layout_name == "auto" else layouts.named(type(module), layout_name)
    tensors = {layout.canonical(name): tensor for name, tensor in opened.tensors.items()}
    if not tensors:
        raise UserError(f"{opened.name} contains no arrays")
    kept, shapes = metadata(opened), {name: tensor.shape for name, tensor in tensors.items()}

    if given is not None:
        usual = {**layout.usual(shapes), **saved_fields(kept, module.cfg)}
        module = card.make(**{**usual, **given})
        seen = found_fields(layout, shapes, opened, kept, module.cfg)
        module = card.make(**{**usual, **seen, **given})
    seen = found_fields(layout, shapes, opened, kept, module.cfg)
    ignored = ("classes", "actions", "head") if new_head else ()
    require_fields(opened.name, layout, seen, module.cfg, card, ignored)
    if reason := layout.refuses(module.cfg):
        raise UserError(f"{card.name} has no layout {layout.name}: {reason}")

    inputs = inputs_for(card, module.cfg, layout, shapes, kept)
    expected = expected_shapes(module, inputs)
    if layout.name == layouts.OWN and "x" in inputs and not kept.get("preprocessing"):
        # Our files do not record the image size, and the shape of the first dense layer depends on it.
        expected = {path: shapes[path] if len(shapes.get(path, ())) == len(s) else s for path, s in expected.items()}
    rules = rules_for(layout, module.cfg, expected)
    new = [each for each in rules if new_head and f"{each.ours[0]}/".startswith(f"{layout.head}/")]
    if new_head and not new:
        raise UserError(f"{card.name} has no head that could be initialized anew")
    rules = [each for each in rules if each not in new]
    passed_over = compare(opened.name, layout, tensors, rules, new, expected)
    return Fitted(card, module, layout, tensors, kept, inputs, rules, new, tuple(passed_over))


def identify(opened: Opened) -> str:
    """Return the name of the card whose model fits a source. UserError if none does, or if the layout is unknown."""
    if name := metadata(opened).get("name"):
        return str(name)
    families = _families(opened)
    if not families:
        names = listed(layouts.first(opened.tensors))
        raise UserError(f"{opened.name}: these weights have no known layout; the arrays are {names}")
    for name, card in zoo.CARDS.items():
        if card.module in families:
            try:
                fit(name, opened, "auto", False, {})
                return name
            except UserError:
                continue
    models = sorted({family.__name__ for family in families})
    raise UserError(f"{opened.name}: the weights of {' or '.join(models)}, but not of a size with a name; set --model")


def _families(opened: Opened) -> set[type[nn.Module]]:
    return {layout.module for layout in layouts.LAYOUTS if layout.knows(opened.tensors)}


def card_of(module: Any) -> Card:
    """Return the nearest card of a module: the one of its architecture with the most equal fields."""
    cards = [card for card in zoo.CARDS.values() if card.module is type(module)]
    if not cards:
        raise UserError(f"{type(module).__name__} is not a model of this project")
    fields = [field.name for field in dataclasses.fields(module.cfg)]

    def alike(card: Card) -> int:
        return sum(getattr(card.config, name, None) == getattr(module.cfg, name) for name in fields)

    return max(cards, key=alike)


def metadata(opened: Opened) -> Mapping[str, Any]:
    """Return the metadata that `save_weights` wrote, or an empty dict."""
    try:
        kept = parse_json(opened.metadata.get("zoo", "{}"))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        raise UserError(f"{opened.name}: its metadata `zoo` is not a JSON object")
    return kept


def found_fields(
    layout: Layout, shapes: Mapping[str, tuple[int, ...]], opened: Opened, kept: Mapping[str, Any], config: Any
) -> Found:
    """Return the Config fields that the layout, the shapes, config.json or our own metadata determine."""
    found = {**layout.facts(config), **layout.infer(shapes, opened.config, config)}
    return found | (saved_fields(kept, config) if layout.name == layouts.OWN else {})


def saved_fields(kept: Mapping[str, Any], config: Any) -> Found:
    """Return the Config fields that `save_weights` recorded and that matter after training."""
    if kept.get("family") != type(config).__module__.rpartition(".")[2]:
        return {}
    known = {field.name for field in dataclasses.fields(config)} - set(IN_TRAINING)
    saved = {name: tuple(v) if isinstance(v, list) else v for name, v in kept.get("fields", {}).items()}
    return {name: value for name, value in saved.items() if name in known}


def require_fields(source: str, layout: Layout, seen: Found, config: Any, card: Any, ignored: tuple[str, ...]) -> None:
    """Raise UserError if the weights belong to a different network than the model; the message says what to set."""
    order = [field.name for field in dataclasses.fields(config) if field.name in seen and field.name not in ignored]
    wrong = {field: seen[field] for field in order if not _equal(getattr(config, field), seen[field])}
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
    """Return inputs like `Card.inputs`, with the channels and image size that the arrays or the metadata determine."""
    known = preprocessing.from_json((kept or {}).get("preprocessing"))
    if isinstance(known, preprocessing.Images):
        return {"x": ((*known.size, len(known.mean)), jnp.float32)}
    inputs = {}
    for name, (shape, dtype) in card.inputs.items():
        if name == "z":
            shape = (config.latent,)
        elif len(shape) == 1 and not jnp.issubdtype(dtype, jnp.floating):
            shape = (1,)  # the length of a text does not affect the arrays
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
    """Return the shapes of the model's arrays by path, "params/stem/conv/kernel" -> shape, without allocating them."""
    example = {name: jax.ShapeDtypeStruct((1, *shape), dtype) for name, (shape, dtype) in inputs.items()}
    key = jax.eval_shape(jax.random.key, 0)
    tree = jax.eval_shape(lambda key, x: module.init(key, **x, train=False), key, example)
    flat: dict[str, Any] = flatten_dict(tree, sep="/")
    return {path: leaf.shape for path, leaf in flat.items()}


def rules_for(layout: Layout, config: Any, expected: Mapping[str, tuple[int, ...]]) -> list[Rule]:
    """Return the layout's rules for one Config. RuntimeError if they do not cover exactly the model's arrays."""
    if layout.name == layouts.OWN:
        return [rule(path, path, SAME) for path in expected]
    rules = layout.rules(config)
    ours = [path for each in rules for path in each.ours]
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
    """Raise UserError naming every missing, misshapen or unexpected array; return the arrays that are passed over."""
    missing, misshapen, used = [], [], set()
    for each in rules:
        for theirs, shape in zip(each.theirs, each.shapes(expected), strict=True):
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
