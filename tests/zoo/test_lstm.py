"""The LSTM language model: sizes of Zaremba et al. 2014, no look ahead, the state as its cache."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo

TOKENS = jax.random.randint(jax.random.key(1), (3, 7), 0, 11)


@functools.cache
def made() -> tuple[Any, dict]:
    model = zoo.create("lstm_small", vocab=11, width=6, depth=2, dropout=0.4, spread=0.8)
    return model, jax.jit(lambda: model.init(jax.random.key(0), TOKENS, train=False))()


@pytest.mark.parametrize("card", [zoo.card(name) for name in zoo.list_models("lstm_*")], ids=lambda card: card.name)
def test_size_and_work_by_formula(card: zoo.Card) -> None:
    v, n, depth, length = card.config.vocab, card.config.width, card.config.depth, *card.inputs["tokens"][0]
    layer = 4 * (n * n + n * n + n)  # four gates: input, recurrent, bias
    assert card.params == v * n + depth * layer + n * v + v
    assert card.flops == 2 * length * (depth * 4 * (n * n + n * n) + n * v)


def test_sizes_of_the_paper() -> None:
    sizes = {name: (zoo.card(name).config.width, zoo.param_count(name)) for name in zoo.list_models("lstm_*")}
    assert sizes["lstm_small"] == (200, 4_651_600)
    assert sizes["lstm_medium"] == (650, 19_775_200)
    assert sizes["lstm_large"] == (1500, 66_022_000)
    assert abs(sizes["lstm_char"][1] / zoo.param_count("gpt_char_mini") - 1) < 0.01


def test_cannot_look_ahead() -> None:
    model, variables = made()
    apply = jax.jit(lambda tokens: model.apply(variables, tokens, train=False))
    before, after = apply(TOKENS), apply(TOKENS.at[:, 4].add(1) % 11)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(axis=(0, 2)).all()


@pytest.mark.parametrize("pieces", [(7,), (3, 4), (1,) * 7])
def test_decode_in_pieces_equals_the_whole(pieces: tuple[int, ...]) -> None:
    model, variables = made()
    whole = jax.jit(lambda: model.apply(variables, TOKENS, train=False))()
    decode = jax.jit(lambda tokens, cache: model.apply(variables, tokens, cache, method="decode"))
    cache = model.apply(variables, 3, 7, method="begin")
    assert [leaf.shape for leaf in jax.tree.leaves(cache)] == [(3, 6)] * 4
    logits = []
    for piece in jnp.split(TOKENS, np.cumsum(pieces)[:-1], axis=1):
        part, cache = decode(piece, cache)
        logits.append(part)
    np.testing.assert_allclose(jnp.concatenate(logits, axis=1), whole, rtol=1e-5, atol=1e-6)


def test_dropout_comes_before_the_output_too() -> None:
    model, variables = made()
    params = {**variables["params"], "head": {"kernel": jnp.eye(6, 11), "bias": jnp.zeros(11)}}
    key = jax.random.key(3)
    logits = jax.jit(lambda: model.apply({"params": params}, TOKENS, train=True, rngs={"dropout": key}))()
    assert 0.2 < (logits[..., :6] == 0).mean() < 0.6


def test_half_precision_stays_half() -> None:
    model, variables = made()
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables)
    cache = model.apply(half, 3, 7, method="begin")
    logits, after = jax.eval_shape(lambda: model.apply(half, TOKENS, cache, method="decode"))
    assert {a.dtype for a in jax.tree.leaves((logits, cache, after))} == {jnp.dtype(jnp.bfloat16)}


def test_every_parameter_starts_uniform_in_the_spread() -> None:
    model = zoo.create("lstm_small", vocab=50, width=20, spread=0.04)
    for leaf in jax.tree.leaves(jax.jit(lambda: model.init(jax.random.key(0), TOKENS, train=False))()):
        assert 0.03 < abs(leaf).max() <= 0.04
