"""Decoding with every registered model that decodes, found by its methods: the cache changes nothing."""

import dataclasses
from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from flax import linen as nn
from jax import Array

import zoo
from train.inference.decode import PAD, Beam, Decoder, Prompts, SpecialTokens, beam_search, generate

BOS, STOP = 2, 3
SPECIAL = SpecialTokens(BOS, STOP)
KEY = jax.random.key(0)
SMALL = {
    "vocab": 13,
    "source_vocab": 11,
    "context": 32,
    "embed": 12,
    "width": 16,
    "hidden": 24,
    "align": 8,
    "maxout": 8,
    "depth": 2,
    "heads": 2,
}
"""Fields of a Config and what the tests make of them, where it has them."""


def _smallest_of_each_family() -> dict[str, nn.Module]:
    """Every way to continue a sequence that is registered, by family, made small."""
    smallest: dict[str, zoo.Card] = {}
    for card in sorted(zoo.CARDS.values(), key=lambda card: card.params):
        if hasattr(card.module, "decode"):
            smallest.setdefault(card.family, card)
    return {
        family: card.make(**{f.name: SMALL[f.name] for f in dataclasses.fields(card.config) if f.name in SMALL})
        for family, card in smallest.items()
    }


MODELS = _smallest_of_each_family()


@cache
def prepared(family: str) -> tuple[nn.Module, dict, dict[str, Array], Callable[[Array], Array]]:
    """A model, variables (initial ones hardly tell tokens apart), three sources or none, (3, T) -> logits at once."""
    model, key = MODELS[family], jax.random.key(7)
    one, given, name = jnp.ones((1, 2), jnp.int32), {}, "tokens"
    inputs = {name: one}
    if "source" in next(card for card in zoo.CARDS.values() if card.family == family).inputs:
        mask = jnp.arange(6)[None] < jnp.array([6, 3, 5])[:, None]
        given = {"source": jnp.where(mask, jax.random.randint(key, (3, 6), 4, 11), PAD), "source_mask": mask}
        name = "target"
        inputs = {"source": one, "source_mask": one != 0, name: one}
    variables = jax.jit(partial(model.init, train=False))(key, **inputs)
    leaves, tree = jax.tree.flatten(variables)
    noise = np.random.default_rng(0)
    lively = [leaf + 0.4 * noise.standard_normal(leaf.shape, np.float32) for leaf in leaves]
    variables = jax.tree.unflatten(tree, lively)
    whole = jax.jit(lambda tokens: model.apply(variables, **given, **{name: tokens}, train=False))
    return model, variables, given, whole


@pytest.mark.parametrize("family", slow_except(["gpt"], MODELS))
def test_greedy_with_cache_is_greedy_without(family):
    """Prompts of several lengths in one batch, token for token against the whole sequence anew for every token."""
    model, variables, given, whole = prepared(family)
    prompt, lengths = jax.random.randint(KEY, (3, 5), 4, 13), np.array([4, 5, 3])
    found, _ = generate(Decoder(model, variables, given), Prompts(prompt, lengths), KEY, length=12)
    tokens = np.pad(np.where(np.arange(5) < lengths[:, None], prompt, PAD), ((0, 0), (0, 12)))
    rows = np.arange(3)
    for i in range(12):
        tokens[rows, lengths + i] = np.argmax(whole(tokens), axis=-1)[rows, lengths + i - 1]
        np.testing.assert_array_equal(found[:, i], tokens[rows, lengths + i])
    assert len(np.unique(found)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_one_beam_is_greedy_and_several_score_what_they_say(family):
    model, variables, given, whole = prepared(family)
    prompt, ones = jnp.full((3, 1), BOS), jnp.ones(3, jnp.int32)
    decoder = Decoder(model, variables, given)
    greedy, _ = generate(decoder, Prompts(prompt, ones), KEY, length=9, stop=STOP)
    tokens, _ = beam_search(decoder, 3, Beam(1, length=9), SPECIAL)
    np.testing.assert_array_equal(tokens[:, 0], greedy)
    tokens, scores = beam_search(decoder, 3, Beam(4, length=9), SPECIAL)
    for beam in range(4):  # each score is the log probability of its sequence
        y = np.asarray(tokens[:, beam])
        entered = np.pad(np.concatenate([prompt, y[:, :-1]], axis=1), ((0, 0), (0, 8)))
        logp = jax.nn.log_softmax(whole(entered))[:, :9]
        each = np.take_along_axis(np.asarray(logp), y[:, :, None], axis=-1)[..., 0]
        real = np.cumsum(y == STOP, axis=1) - (y == STOP) == 0
        np.testing.assert_allclose(np.sum(each * real, axis=1), scores[:, beam], rtol=2e-4, atol=1e-4)
