"""Decoding against a model whose every probability is known."""

import itertools
import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from flax import linen as nn
from jax import Array

from train.inference import decode
from train.inference.decode import (
    GREEDY,
    PAD,
    Beam,
    Decoder,
    Prompts,
    Sampling,
    SpecialTokens,
    beam_search,
    generate,
)
from zoo.errors import UserError

BOS, STOP = 2, 3
SPECIAL = SpecialTokens(BOS, STOP)
KEY = jax.random.key(0)
sample = jax.jit(decode.sample, static_argnums=2)


class Table(nn.Module):
    """The next token's logits are a row of a table, chosen by all tokens so far and by where the source starts."""

    vocab: int
    rows: int

    def setup(self) -> None:
        self.logits = self.param("logits", nn.initializers.normal(1.5), (self.rows, self.vocab))

    def __call__(self, tokens: Array, *, train: bool) -> Array:
        return self.decode(tokens, self.begin(len(tokens), tokens.shape[1]))[0]

    def begin(self, batch: int, length: int, start: Array | None = None) -> dict[str, Array]:
        state = jnp.zeros(batch, jnp.int32) if start is None else start
        return {"state": state, "position": jnp.int32(0), "room": jnp.zeros((batch, length))}

    def decode(self, tokens: Array, cache: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        def step(state: Array, token: Array) -> tuple[Array, Array]:
            state = (state * self.vocab + token + 1) % self.rows
            return state, self.logits[state]

        state, logits = jax.lax.scan(step, cache["state"], tokens.T)
        return logits.swapaxes(0, 1), cache | {"state": state, "position": cache["position"] + tokens.shape[1]}


BEAMS_AND_ALPHAS = sorted(set(itertools.product((1, 2, 3, 5), (0.0, 0.6, 2.0))) - {(3, 0.6)})
TABLE = Table(vocab=4, rows=1009)


@cache
def table_variables(seed: int = 0) -> dict:
    return jax.jit(partial(TABLE.init, train=False))(jax.random.key(seed), jnp.zeros((1, 1), jnp.int32))


def log_probabilities(tokens: list[int], start: int = 0, seed: int = 0) -> np.ndarray:
    """(T, V): of the token after each, by NumPy."""
    logits, state, out = np.asarray(table_variables(seed)["params"]["logits"], np.float64), start, []
    for token in tokens:
        state = (state * 4 + token + 1) % 1009
        out.append(logits[state] - np.log(np.exp(logits[state]).sum()))
    return np.array(out)


def reference_beam_search(beams: int, length: int, alpha: float, start: int, seed: int) -> list[tuple[float, tuple]]:
    """`beam_search` in lists, without an early end."""
    live, ended = [(0.0, ())], []
    for n in range(1, length + 1):
        grown = [
            (score + p, (*tokens, token))
            for score, tokens in live
            for token, p in enumerate(log_probabilities([BOS, *tokens], start, seed)[-1])
        ]
        grown.sort(reverse=True)
        ended += [(s / ((5 + n) / 6) ** alpha, y) for s, y in grown[:beams] if y[-1] == STOP]
        live = [(s, y) for s, y in grown if y[-1] != STOP][:beams]
    unfinished = [(s / ((5 + length) / 6) ** alpha, y) for s, y in live]
    return (sorted(ended, reverse=True) + unfinished)[:beams]


@pytest.mark.parametrize(
    ("beams", "alpha"), [(3, 0.6), *(pytest.param(*case, marks=pytest.mark.slow) for case in BEAMS_AND_ALPHAS)]
)
def test_beam_search_is_that_of_the_lists(beams, alpha):
    starts = jnp.array([0, 5, 77, 400, 801], jnp.int32)
    decoder = Decoder(TABLE, table_variables(), {"start": starts})
    tokens, scores = beam_search(decoder, 5, Beam(beams, length=6, length_penalty=alpha), SPECIAL)
    for row, start in enumerate(starts.tolist()):
        expected = reference_beam_search(beams, 6, alpha, start, 0)
        np.testing.assert_allclose(scores[row, : len(expected)], [s for s, _ in expected], rtol=1e-5)
        for found, (_, y) in zip(tokens[row].tolist(), expected, strict=False):
            assert found == [*y, *[PAD] * (6 - len(y))]


@pytest.mark.parametrize("alpha", slow_except([0.6], [0.0, 0.6]))
def test_enough_beams_find_the_best_of_all_sequences(alpha):
    length, best = 4, []
    for n in range(1, length + 1):
        for y in itertools.product(range(4), repeat=n):
            if STOP not in y[:-1] and y[-1] == STOP:
                p = log_probabilities([BOS, *y])
                score = sum(p[i, token] for i, token in enumerate(y)) / ((5 + n) / 6) ** alpha
                best.append((score, [*y, *[PAD] * (length - n)]))
    best.sort(reverse=True)
    assert len(best) == 1 + 3 + 9 + 27
    decoder = Decoder(TABLE, table_variables())
    tokens, scores = beam_search(decoder, 1, Beam(108, length, length_penalty=alpha), SPECIAL)
    np.testing.assert_allclose(scores[0, :40], [score for score, _ in best], rtol=1e-5)
    assert tokens[0, :40].tolist() == [y for _, y in best]
    assert not np.any(tokens[0, 40:] == STOP)  # those that never ended come last


def test_beams_that_find_nothing_are_empty():
    tokens, scores = beam_search(Decoder(TABLE, table_variables()), 1, Beam(6, 1, length_penalty=0.6), SPECIAL)
    assert np.isfinite(scores[0, :4]).all()
    assert np.isneginf(scores[0, 4:]).all()
    assert not np.any(tokens[0, 4:])


def test_generate_takes_the_likeliest_and_stops():
    starts = jnp.arange(40, dtype=jnp.int32) * 25
    prompts = Prompts(jnp.full((40, 1), BOS), jnp.ones(40, jnp.int32))
    decoder = Decoder(TABLE, table_variables(), {"start": starts})
    tokens, lengths = generate(decoder, prompts, KEY, length=7, stop=STOP)
    assert len(set(lengths.tolist())) > 4
    for row, start in enumerate(starts.tolist()):
        expected = []
        while len(expected) < 7 and STOP not in expected:
            expected.append(int(log_probabilities([BOS, *expected], start)[-1].argmax()))
        assert lengths[row] == len(expected)
        assert tokens[row].tolist() == expected + [PAD] * (7 - len(expected))


@pytest.mark.parametrize("sampling", [GREEDY, Sampling()])
def test_what_stands_behind_a_prompt_is_not_read(sampling):
    prompt = jnp.array([[1, 2, 0, 1, 0], [2, 1, 1, 1, 1]])
    lengths = jnp.array([3, 5])
    generated = partial(generate, Decoder(TABLE, table_variables()), key=KEY, length=6, sampling=sampling)
    tokens, _ = generated(Prompts(prompt, lengths))
    other, _ = generated(Prompts(prompt.at[0, 3:].set(3), lengths))
    np.testing.assert_array_equal(tokens, other)
    np.testing.assert_array_equal(tokens[:1], generated(Prompts(prompt[:1, :3], lengths[:1]))[0])


def test_draws_follow_the_distribution():
    logits, n = jnp.log(jnp.array([0.05, 0.4, 0.1, 0.25, 0.2])), 20_000
    cases = {
        Sampling(): [0.05, 0.4, 0.1, 0.25, 0.2],
        Sampling(temperature=0.5): [0.0025, 0.16, 0.01, 0.0625, 0.04],
        Sampling(top_k=2): [0, 0.4, 0, 0.25, 0],
        Sampling(top_k=9): [0.05, 0.4, 0.1, 0.25, 0.2],
        Sampling(top_p=0.7): [0, 0.4, 0, 0.25, 0.2],
        Sampling(top_k=3, top_p=0.7): [0, 0.4, 0, 0.25, 0],  # of what top_k left: 0.47, 0.76
    }
    for sampling, weights in cases.items():
        drawn = sample(jnp.tile(logits, (n, 1)), jax.random.split(KEY, n), sampling)
        seen, expected = np.bincount(drawn, minlength=5), n * np.array(weights) / sum(weights)
        assert not np.any(seen[expected == 0]), sampling
        chi_square = sum((seen[i] - e) ** 2 / e for i, e in enumerate(expected) if e)
        assert chi_square < 18.5, sampling  # 0.1 % of the chi-square distribution with 4 degrees of freedom


def test_draws_with_equal_logits_and_extreme_settings():
    logits, keys = jnp.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, 2.0, 2.0]]), jax.random.split(KEY, 2)
    for sampling in (GREEDY, Sampling(top_k=1), Sampling(top_p=1e-6)):
        assert sample(logits, keys, sampling).tolist() == [1, 0]
    many = sample(jnp.tile(logits[:1], (300, 1)), jax.random.split(KEY, 300), Sampling(top_k=2))
    assert set(many.tolist()) == {1, 2}  # two, though the third is just as likely
    half = sample(jnp.tile(jnp.zeros((1, 4)), (300, 1)), jax.random.split(KEY, 300), Sampling(top_p=0.5))
    assert set(half.tolist()) == {0, 1}  # two make one half
    cold = sample(1e4 * logits, keys, Sampling(temperature=1e-3))
    assert cold[0] in (1, 2, 3)


def test_samples_of_a_row_depend_on_its_place_alone():
    prompt = jnp.full((3, 1), BOS)
    samples = partial(generate, Decoder(TABLE, table_variables()), length=12, sampling=Sampling())
    ones = jnp.ones(3, jnp.int32)
    three, _ = samples(Prompts(prompt, ones), KEY)
    two, _ = samples(Prompts(prompt[:2], ones[:2]), KEY)
    np.testing.assert_array_equal(three[:2], two)
    assert len({tuple(row) for row in three.tolist()}) == 3
    assert np.any(three != samples(Prompts(prompt, ones), jax.random.key(1))[0])


def generate_after(prompt_length: int, length: int) -> None:
    generate(Decoder(TABLE, {}), Prompts(jnp.ones((1, 2)), jnp.array([prompt_length])), KEY, length=length)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: Sampling(temperature=-1.0), "temperature must be 0"),
        (lambda: Sampling(temperature=math.nan), "temperature must be 0"),
        (lambda: Sampling(top_k=0), "top_k must be at least 1"),
        (lambda: Sampling(top_p=0.0), "top_p must be above 0"),
        (lambda: generate_after(prompt_length=3, length=1), "1 to 2 tokens, not 3 to 3"),
        (lambda: generate_after(prompt_length=2, length=0), "length must be at least 1"),
        (lambda: Beam(0, 1), "beams must be at"),
        (lambda: Beam(1, 0), "length must be at least 1"),
        (lambda: Beam(1, 1, length_penalty=-1), "penalty must be at"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, says):
    with pytest.raises(UserError, match=says) as error:
        call()
    assert "\n" not in str(error.value)
