"""SimCLR: the encoder is the zoo's own without its head, the projection is the paper's, features come before it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo import simclr
from zoo.errors import UserError

KEY = jax.random.key(0)
FIELDS = {
    "resnet20": {"depths": (1, 1), "widths": (8, 16)},
    "vit_mini_patch4": {"width": 16, "depth": 1, "heads": 2},
}
each = pytest.mark.parametrize("encoder", FIELDS)
X = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))


@functools.cache
def made(encoder: str) -> tuple[Any, dict]:
    model = zoo.create("simclr_resnet20", encoder=encoder, fields=FIELDS[encoder], widths=(12, 5))
    return model, jax.jit(lambda key: model.init(key, X, train=False))(KEY)


def shapes(tree: dict) -> dict:
    return jax.tree.map(jnp.shape, tree)


@pytest.mark.parametrize("card", [zoo.card(name) for name in zoo.list_models("simclr*")], ids=lambda card: card.name)
def test_size_is_encoder_without_head_and_projection(card: zoo.Card) -> None:
    _, variables = card.shapes()
    config = card.config
    encoder = zoo.create(config.encoder, **config.fields)
    features, classes = config.widths[0], encoder.cfg.classes  # every card's hidden width is that of its features
    whole = zoo.measure.param_count(encoder, card.inputs)
    hidden, out = config.widths
    projection = features * hidden + 2 * hidden + hidden * out + out  # scale and shift, then scale alone
    assert card.params == whole - (features + 1) * classes + projection
    assert set(variables["params"]) == {"encoder", "head"}


@each
def test_the_encoder_takes_a_classifier_s_parameters(encoder: str) -> None:
    model, variables = made(encoder)
    classifier = zoo.create(encoder, **FIELDS[encoder])
    whole = jax.jit(lambda key: classifier.init(key, X, train=False))(jax.random.key(7))
    kept = {name: p for name, p in whole["params"].items() if name != "head"}
    assert shapes(kept) == shapes(variables["params"]["encoder"])
    mixed = {"params": {**variables["params"], "encoder": kept}, "batch_stats": dict(variables["batch_stats"])}
    if "batch_stats" in whole:
        mixed["batch_stats"]["encoder"] = whole["batch_stats"]
    ours = jax.jit(lambda: model.apply(mixed, X, train=False, method="represent"))()
    theirs = jax.jit(lambda: classifier.apply(whole, X, train=False, method="represent"))()
    assert ours.shape == (4, 16)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@each
def test_a_classifier_is_its_features_and_a_linear_head(encoder: str) -> None:
    classifier = zoo.create(encoder, **FIELDS[encoder])
    variables = jax.jit(lambda key: classifier.init(key, X, train=False))(KEY)
    head = {"kernel": jax.random.normal(KEY, (16, 10)), "bias": jnp.arange(10.0)}
    variables = {**variables, "params": {**variables["params"], "head": head}}
    h, logits = (
        jax.jit(lambda m=m: classifier.apply(variables, X, train=False, method=m))() for m in ("represent", "__call__")
    )
    np.testing.assert_allclose(logits, h @ head["kernel"] + head["bias"][None], rtol=1e-4, atol=1e-4)


@each
def test_projections_are_the_head_s_formula_on_the_features(encoder: str) -> None:
    model, variables = made(encoder)
    apply = jax.jit(lambda v, method: model.apply(v, X, train=False, method=method), static_argnums=1)
    h, z = apply(variables, "represent"), apply(variables, "__call__")
    head, root = variables["params"]["head"], (1 + 1e-5) ** 0.5  # statistics start at mean 0, variance 1
    hidden = jax.nn.relu(h @ head["dense1"]["kernel"] / root)
    np.testing.assert_allclose(z, hidden @ head["dense2"]["kernel"] / root, rtol=1e-4, atol=1e-6)
    assert set(head["norm1"]) == {"scale", "bias"}
    assert set(head["norm2"]) == {"scale"}


@each
def test_features_do_not_depend_on_the_head(encoder: str) -> None:
    model, variables = made(encoder)
    alone = {name: {"encoder": tree["encoder"]} for name, tree in variables.items() if "encoder" in tree}
    apply = jax.jit(lambda v: model.apply(v, X, train=False, method="represent"))
    np.testing.assert_array_equal(apply(alone), apply(variables))


def test_training_normalizes_every_projection_over_the_batch() -> None:
    model, variables = made("resnet20")
    z, moved = jax.jit(lambda v, x: model.apply(v, x, train=True, mutable=["batch_stats"]))(variables, X)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
    before, after = (shapes(tree) for tree in (variables["batch_stats"], moved["batch_stats"]))
    assert before == after
    assert (moved["batch_stats"]["encoder"]["stem"]["norm"]["mean"] != 0).any()


def test_fields_from_json_serve_as_well() -> None:
    assert zoo.create("simclr_resnet20", fields={"depths": [1, 1, 1]}) == zoo.create(
        "simclr_resnet20", fields={"depths": (1, 1, 1)}
    )
    assert isinstance(hash(zoo.create("simclr_resnet20")), int)  # a module is a static argument of a compiled program


def test_every_encoder_can_represent() -> None:
    assert len(simclr.ENCODERS) > 10
    assert all(hasattr(card.module, "represent") for card in simclr.ENCODERS.values())


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"encoder": "resnet5O"}, "unknown model 'resnet5O': did you mean resnet"),
        ({"fields": {"depth": (1, 1, 1)}}, "resnet20: unknown field 'depth': did you mean depths"),
        ({"widths": ()}, "simclr: widths must be a tuple of positive integers, not ()"),
        ({"widths": (8, 0)}, "simclr: widths must be a tuple of positive integers, not (8, 0)"),
    ],
)
def test_a_wrong_name_or_value_is_one_line(fields: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        zoo.create("simclr_resnet20", **fields)
    assert str(error.value).startswith(line)
