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
from zoo.cards import TEXTS, Card
from zoo.errors import UserError
from zoo.files import parse_json
from zoo.weights import keys, layouts, preprocessing, sizes
from zoo.weights.compare import Headless, Misfit, compare
from zoo.weights.files import Opened, Tensor, listed
from zoo.weights.layout import Found, Layout
from zoo.weights.rules import SAME, Rule, rule

IN_TRAINING = (
    "dropout", "input_dropout", "drop_path", "spread", "deviation", "position_deviation", "zero_init_last_scale",
    "remat",
)  # fmt: skip
"""Fields that have no effect after training, so weights cannot determine them."""
FAMILIES = {type(card.config).__module__.rpartition(".")[2] for card in zoo.CARDS.values()}
OF_PRE_TRAINING = ("representation",)
"""Fields of layers below the head that a new head does without, unless they are given."""
RECORD: dict[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "family": (str, "a text"),
    "fields": (dict, "an object"),
    "layout": (str, "a text"),
    "preprocessing": (dict, "an object"),
    "labels": (list, "a list"),
}
"""What `save_weights` records in the metadata of a file; each may be null."""


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

    UserError if it does not fit: the message names the fields to set, or the arrays that are missing, misshapen or left
    over.
    """
    try:
        return _fit(model, opened, layout_name, new_head, given)
    except Misfit as error:
        raise UserError(f"{error}{_advice(model, opened, layout_name, new_head, given)}") from None


def _advice(
    model: nn.Module | str, opened: Opened, layout_name: str, new_head: bool, given: Mapping[str, Any] | None
) -> str:
    """Return the end of a message: the sizes with which the model fits, "" if there are no such."""
    card = zoo.card(model) if isinstance(model, str) else card_of(model)
    module: Any = card.make() if isinstance(model, str) else model
    layout = _layout(type(module), opened, layout_name, metadata(opened))
    shapes = {layout.canonical(name): tensor.shape for name, tensor in opened.tensors.items()}
    here = {**vars(module.cfg), **(given or {})}
    found = {field: value for field, value in sizes.shown(layout, shapes, module.cfg).items() if value != here[field]}
    if not found:
        return ""
    seen = found_fields(layout, shapes, opened, metadata(opened), module.cfg)
    fields = {
        field: {**seen, **found}[field] for field in here if field in found or (field == "heads" and field in seen)
    }
    blind = "heads" in here and "heads" not in {**fields, **(given or {})}
    tried = {**fields, **({"heads": 1} if blind else {})}
    other = model if given is not None else module.clone(cfg=dataclasses.replace(module.cfg, **tried))
    try:
        _fit(other, opened, layout_name, new_head, None if given is None else {**given, **tried})
    except Headless:
        pass
    except UserError:
        return ""
    end = " and its heads, which no array shows" if blind else ""
    named = ", ".join(f"{field}={value!r}" for field, value in {**(given or {}), **fields}.items())
    if given is None:
        return f"; make the model with zoo.create({card.name!r}, {named}){end}"
    return f"; load it with zoo.load_model({card.name!r}, …, {named}){end}"


def _fit(
    model: nn.Module | str, opened: Opened, layout_name: str, new_head: bool, given: Mapping[str, Any] | None
) -> Fitted:
    card = zoo.card(model) if isinstance(model, str) else card_of(model)
    module: Any = card.make() if isinstance(model, str) else model
    kept = metadata(opened)
    layout = _layout(type(module), opened, layout_name, kept)
    tensors = {layout.canonical(name): tensor for name, tensor in opened.tensors.items()}
    if not tensors:
        raise UserError(f"{opened.name} contains no arrays")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    if given is not None:
        module = _built(card, layout, shapes, opened, kept, given, new_head)
    seen = _needed(found_fields(layout, shapes, opened, kept, module.cfg), new_head)
    ignored = ("classes", "actions", "head") if new_head else ()
    require_fields(opened.name, layout, seen, module.cfg, card, ignored)
    if reason := layout.refuses(module.cfg):
        raise UserError(f"{card.name} has no layout {layout.name}: {reason}")

    inputs = inputs_for(card, module.cfg, layout, shapes, kept)
    expected = expected_shapes(module, inputs)
    if layout.name == layouts.OWN and "x" in inputs and not kept.get("preprocessing"):
        expected = at_any_size(module, inputs, expected, shapes)
    rules = rules_for(layout, module.cfg, expected)
    new = [each for each in rules if new_head and layout.in_head(each.ours[0])]
    if new_head and not new:
        raise UserError(f"{card.name} has no head that could be initialized anew")
    rules = [each for each in rules if each not in new]
    passed_over = compare(opened.name, layout, tensors, rules, new, expected)
    if not saved_fields(kept, module.cfg):
        require_agreement(layout, opened, module.cfg, shapes)
    return Fitted(card, module, layout, tensors, kept, inputs, rules, new, tuple(passed_over))


def _built(
    card: Card,
    layout: Layout,
    shapes: Mapping[str, tuple[int, ...]],
    opened: Opened,
    kept: Mapping[str, Any],
    given: Mapping[str, Any],
    new_head: bool,
) -> Any:
    """Return the card's model with the fields that the file determines, and over them those that the user gives."""
    usual = _needed({**layout.usual(shapes), **saved_fields(kept, card.config)}, new_head)
    try:
        first = card.make(**{**usual, **given})
    except UserError:  # the fields may fit the file's others, and not the card's
        seen = _needed(found_fields(layout, shapes, opened, kept, card.config), new_head)
        first = card.make(**{**usual, **seen, **given})
    seen = _needed(found_fields(layout, shapes, opened, kept, first.cfg), new_head)
    try:
        return card.make(**{**usual, **seen, **given})
    except UserError as error:  # the file's fields may fit its sizes, and not the card's
        raise Misfit(f"{opened.name}: {error}") from None


def _needed(found: Found, new_head: bool) -> Found:
    """Return the fields without those of layers that a new head does without."""
    return {name: value for name, value in found.items() if not (new_head and name in OF_PRE_TRAINING)}


def _layout(module: type[nn.Module], opened: Opened, name: str, kept: Mapping[str, Any]) -> Layout:
    """Return the layout called `name`; for "auto" the one that the file records, or else the one of its arrays."""
    if name != "auto":
        return layouts.named(module, name)
    if kept.get("layout") in layouts.names_of(module):
        recorded = layouts.named(module, kept["layout"])
        if recorded.share(opened.tensors) > 0:
            return recorded
    return layouts.detect(module, opened)


def identify(opened: Opened) -> str:
    """Return the name of the card whose model fits a source. UserError if none does, or if the layout is unknown."""
    if opened.row is not None:
        return opened.row.card
    if name := metadata(opened).get("name"):
        return str(name)
    families = _families(opened)
    if not families:
        names = listed(layouts.first(opened.tensors))
        raise UserError(f"{opened.name}: these weights have no known layout; the arrays are {names}")
    for name, card in zoo.CARDS.items():
        if card.module in families:
            try:
                _fit(name, opened, "auto", False, {})
                return name
            except Headless:
                raise
            except UserError:
                continue
    models = sorted({family.__name__ for family in families})
    raise UserError(f"{opened.name}: the weights of {' or '.join(models)}, but not of a size with a name; set --model")


def _families(opened: Opened) -> set[type[nn.Module]]:
    """Return the architectures whose layouts know the file, or most of it if none does."""
    known = {layout.module for layout in layouts.LAYOUTS if layout.knows(opened.tensors)}
    return known or {layout.module for layout in layouts.LAYOUTS if layout.share(opened.tensors) > layouts.LIKELY}


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
    kept = {key: value for key, value in kept.items() if value is not None}
    if strange := sorted(kept.keys() - RECORD.keys()):
        raise UserError(f"{opened.name} records {listed(strange)}, which is not known here: another version made it")
    for key, (kind, what) in RECORD.items():
        if key in kept and not isinstance(kept[key], kind):
            raise UserError(f"{opened.name}: {key} in its metadata must be {what}, not {str(kept[key])[:60]!r}")
    return kept


def found_fields(
    layout: Layout, shapes: Mapping[str, tuple[int, ...]], opened: Opened, kept: Mapping[str, Any], config: Any
) -> Found:
    """Return the Config fields that the layout, the shapes, and the file's own record determine.

    Only without a record does a config.json beside the file count: it may belong to other weights.
    """
    recorded = saved_fields(kept, config)
    beside = {} if recorded else said_beside(layout, opened)
    if layout.other_heads:  # whose arrays a model without them may pass over
        recorded.pop("head", None)
    return {**layout.facts(config), **layout.infer(shapes, beside, config), **recorded}


def said_beside(layout: Layout, opened: Opened) -> dict[str, Any]:
    """Return what a config.json beside the weights says, with defaults; {} where there is none."""
    return keys.read(layout.keys, opened.config, f"{opened.folder}/config.json") if opened.config else {}


def saved_fields(kept: Mapping[str, Any], config: Any) -> Found:
    """Return the Config fields that `save_weights` recorded and that matter after training."""
    fields, family = kept.get("fields", {}), kept.get("family")
    if family != type(config).__module__.rpartition(".")[2]:
        if fields and family not in FAMILIES:
            raise UserError(f"these weights record fields of the family {family!r}, which is not known here")
        return {}
    if strange := sorted(fields.keys() - {field.name for field in dataclasses.fields(config)}):
        raise UserError(
            f"{family} has no field {listed(strange)}, which these weights record: another version made them"
        )
    saved = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return {name: value for name, value in saved.items() if name not in IN_TRAINING}


def require_fields(source: str, layout: Layout, seen: Found, config: Any, card: Any, ignored: tuple[str, ...]) -> None:
    """Raise UserError if the weights belong to a different network than the model; the message says what to set."""
    order = [field.name for field in dataclasses.fields(config) if field.name in seen and field.name not in ignored]
    wrong = {field: seen[field] for field in order if not equal(getattr(config, field), seen[field])}
    if wrong:
        here = {field: getattr(config, field) for field in wrong}
        here = {field: dict(value) if isinstance(value, Mapping) else value for field, value in here.items()}
        has = ", ".join(f"{field}={value!r} (here {here[field]!r})" for field, value in wrong.items())
        call = ", ".join([repr(card.name), *(f"{field}={value!r}" for field, value in wrong.items())])
        raise UserError(f"{source}, layout {layout.name}, has {has}: make the model with zoo.create({call})")


def require_agreement(layout: Layout, opened: Opened, config: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise UserError where the sizes in a config.json are not those of the arrays, which fit the model."""
    if layout.describe is not None and opened.config:
        wrong = keys.disagreements(layout.keys, opened.config, layout.describe(config, shapes))
        if wrong:
            raise UserError(f"{opened.folder}/config.json belongs to other weights: {'; '.join(wrong)}")


def equal(ours: Any, theirs: Any) -> bool:
    """Return whether two values of a field make the same network, whatever they say of its training."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6)
    return _plain(ours) == _plain(theirs)


def _plain(value: Any) -> Any:
    """Return a field's value without what JSON does not keep (tuples, FrozenDict) and what ends with training."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if key not in IN_TRAINING}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def inputs_for(
    card: Any,
    config: Any,
    layout: Layout,
    shapes: Mapping[str, tuple[int, ...]],
    kept: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return inputs like `Card.inputs`, with the channels and image size that the arrays or the metadata determine."""
    known = preprocessing.from_json((kept or {}).get("preprocessing"))
    reads = card.inputs_of(config)
    if known is not None and isinstance(known, preprocessing.Text) == ("x" in reads):
        kind = type(known).__name__.lower()
        raise UserError(f"these weights record a preprocessing of {kind}, and {card.name} reads {', '.join(reads)}")
    if isinstance(known, preprocessing.Images):
        channels, first = len(known.mean), shapes.get(layout.first[0], ()) if layout.first else ()
        if layout.first and len(first) == 4:  # older versions recorded three channels of weights that read one
            channels = first[layout.first[1]]
        return {"x": ((*known.size, channels), jnp.float32)}
    inputs = {}
    for name, (shape, dtype) in reads.items():
        if name in TEXTS and len(shape) == 1:
            shape = (1,)  # the length of a text does not affect the arrays
        elif name == "x" and len(shape) == 1 and layout.name == layouts.OWN:
            rows = [shapes[path][0] for path in layouts.FIRST_DENSE if len(shapes.get(path, ())) == 2]
            shape = tuple(rows[:1]) or shape
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


def at_any_size(
    module: nn.Module,
    inputs: Mapping[str, Any],
    expected: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[int, ...]]:
    """Return `expected` with the lengths in `shapes` on those axes that the size of `x` decides.

    Files do not record the size of the images, and the first dense layer has a row for each of their features.
    """
    shape, dtype = inputs["x"]
    try:
        larger = expected_shapes(module, {**inputs, "x": (tuple(2 * side for side in shape), dtype)})
    except Exception:  # a user's own model, which may take images of one size only
        return dict(expected)
    found = {}
    for path, own in expected.items():
        there = shapes.get(path, ())
        same = zip(own, larger[path], there, strict=True) if len(there) == len(own) else ()
        found[path] = tuple(n if n == at_double else actual for n, at_double, actual in same) or own
    return found


def rules_for(layout: Layout, config: Any, expected: Mapping[str, tuple[int, ...]]) -> list[Rule]:
    """Return the layout's rules for one Config. RuntimeError if they do not cover exactly the model's arrays."""
    if layout.name == layouts.OWN:
        return [rule(path, path, SAME) for path in expected]
    rules = layout.rules(config)
    ours = [path for each in rules for path in each.ours]
    if sorted(ours) != sorted(expected):
        raise RuntimeError(f"layout {layout.name}: {set(ours) ^ set(expected) or 'an array twice'}")
    return rules
