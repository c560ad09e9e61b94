"""Decoding: sequences out of any model that can go on with one, each way as one compiled program.

A model takes part through two methods, used in evaluation mode:
- `begin(batch, length, **source) -> cache`: room for `length` tokens; an encoder-decoder reads its source here.
- `decode(tokens (B, n), cache) -> (logits (B, n, V), cache)`: of `cache`, a pytree, every leaf that is no scalar has
  the batch as its first axis.
So keys and values of a Transformer and the state of an LSTM are served by the same code.
"""

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from zoo.errors import UserError
from zoo.fields import demand

PAD = 0
"""Stands after the end of every sequence."""
Variables = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the logits; the filters apply in the order of the fields."""

    temperature: float = 1.0
    """Divides the logits; 0 takes the likeliest token (greedy), as every other setting then does not matter."""
    top_k: int | None = None
    """Only the k likeliest tokens (Fan et al. 2018, section 5.2), of equal ones the first; None: all."""
    top_p: float = 1.0
    """Only the nucleus: the fewest tokens whose probability is p in sum (Holtzman et al. 2020, section 3.1)."""

    def __post_init__(self) -> None:
        # Below that the quotient leaves the range of float32.
        demand(
            self.temperature == 0 or 1e-3 <= self.temperature < math.inf,
            "sampling",
            "temperature",
            "0 (greedy) or at least 0.001",
            self.temperature,
        )
        demand(self.top_k is None or self.top_k >= 1, "sampling", "top_k", "at least 1", self.top_k)
        demand(0 < self.top_p <= 1, "sampling", "top_p", "above 0 and at most 1", self.top_p)


GREEDY = Sampling(temperature=0.0)


def draw(logits: Array, keys: Array, settings: Sampling) -> Array:
    """One token for each row of logits (B, V), with a key of its own (B,) -> (B,) int32."""
    if settings.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = logits.astype(jnp.float32)
    logits = (logits - logits.max(axis=-1, keepdims=True)) / settings.temperature
    best, tokens = jax.lax.top_k(logits, min(settings.top_k or logits.shape[-1], logits.shape[-1]))
    if settings.top_p < 1:
        mass = jnp.cumsum(jax.nn.softmax(best), axis=-1)
        before = jnp.pad(mass[:, :-1], ((0, 0), (1, 0)))  # of all likelier tokens: 0 for the first, which stays
        best = jnp.where(before < settings.top_p, best, -jnp.inf)
    chosen = jax.vmap(jax.random.categorical)(keys, best)
    return jnp.take_along_axis(tokens, chosen[:, None], axis=1)[:, 0].astype(jnp.int32)


def generate(
    model: nn.Module,
    variables: Variables,
    prompt: Array,
    prompt_length: Array,
    key: Array,
    *,
    length: int,
    settings: Sampling = GREEDY,
    stop: int | None = None,
    source: Mapping[str, Array] | None = None,
) -> tuple[Array, Array]:
    """Continue each prompt by up to `length` tokens: (tokens (B, length) int32, lengths (B,) int32).

    prompt (B, P) int32 of which row b has its first prompt_length[b] (1 to P) tokens; an encoder-decoder's is [BOS],
    with `source` for its `begin`. A row ends after the token `stop`, which counts in its length; padding follows.
    The draws of a row depend on `key`, the row's place in the batch and nothing else. Under `jax.jit` only prompts
    of one token can be had, since the common part of longer ones, read in one piece, must be known beforehand.
    """
    if length < 1:
        raise UserError(f"length must be at least 1 token, not {length}")
    common = 1
    if prompt.shape[1] > 1:
        known = np.asarray(prompt_length)
        if known.min() < 1 or known.max() > prompt.shape[1]:
            raise UserError(f"a prompt must have 1 to {prompt.shape[1]} tokens, not {known.min()} to {known.max()}")
        common = int(known.min())
    return _generate(
        model,
        variables,
        prompt,
        prompt_length,
        key,
        dict(source or {}),
        common=common,
        length=length,
        settings=settings,
        stop=stop,
    )


@partial(jax.jit, static_argnames=("model", "common", "length", "settings", "stop"))
def _generate(
    model: nn.Module,
    variables: Variables,
    prompt: Array,
    prompt_length: Array,
    key: Array,
    source: Mapping[str, Array],
    *,
    common: int,
    length: int,
    settings: Sampling,
    stop: int | None,
) -> tuple[Array, Array]:
    """`generate`, told the length that all prompts have in common."""
    rows, width = prompt.shape
    prompt = jnp.where(jnp.arange(width)[None] < prompt_length[:, None], prompt, PAD)
    tokens = jnp.pad(prompt, ((0, 0), (0, length)))
    cache = model.apply(variables, rows, width + length - 1, **source, method="begin")
    if common > 1:
        _, cache = model.apply(variables, prompt[:, : common - 1], cache, method="decode")
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))

    def body(carry: tuple[Array, Array, Array, Any]) -> tuple[Array, Array, Array, Any]:
        t, tokens, ended, cache = carry  # tokens[:, : t + 1] are settled, tokens[:, :t] are in the cache
        logits, cache = model.apply(variables, jax.lax.dynamic_slice_in_dim(tokens, t, 1, 1), cache, method="decode")
        given = jax.lax.dynamic_index_in_dim(tokens, t + 1, 1, keepdims=False)  # the prompt, or padding
        place = t + 1 - prompt_length  # of the token to come among the new ones; negative inside the prompt
        token = draw(logits[:, 0], jax.vmap(jax.random.fold_in)(keys, jnp.maximum(place, 0)), settings)
        token = jnp.where(place < 0, given, jnp.where(ended, PAD, token))
        ended |= place + 1 >= length
        if stop is not None:
            ended |= (place >= 0) & (token == stop)
        return t + 1, jax.lax.dynamic_update_index_in_dim(tokens, token, t + 1, 1), ended, cache

    start = (jnp.int32(common - 1), tokens, jnp.zeros(rows, bool), cache)
    _, tokens, _, _ = jax.lax.while_loop(lambda carry: ~carry[2].all(), body, start)
    new = jnp.take_along_axis(tokens, prompt_length[:, None] + jnp.arange(length)[None], axis=1)
    return new, _lengths(new, stop)


def _lengths(tokens: Array, stop: int | None) -> Array:
    """Tokens (B, T) up to the first `stop` and with it; T where there is none."""
    if stop is None:
        return jnp.full(tokens.shape[0], tokens.shape[1], jnp.int32)
    stops = tokens == stop
    return jnp.where(stops.any(1), stops.argmax(1) + 1, tokens.shape[1]).astype(jnp.int32)


class _Search(NamedTuple):
    """Of each row the `beams` best hypotheses that go on and, apart from them, the best that have ended."""

    t: Array  # () int32: tokens that every live hypothesis has
    live: Array  # (B, beams, 1 + length) int32, [BOS] first
    live_scores: Array  # (B, beams) log probability, best first
    ended: Array  # (B, beams, 1 + length)
    ended_scores: Array  # (B, beams) with the length penalty, best first; -inf: none yet
    cache: Any  # of the live ones: leaves (B * beams, ...)


def beam_search(
    model: nn.Module,
    variables: Variables,
    batch: int,
    *,
    beams: int,
    length: int,
    length_penalty: float,
    bos: int,
    stop: int,
    source: Mapping[str, Array] | None = None,
) -> tuple[Array, Array]:
    """The best sequences that beam search finds: (tokens (B, beams, length) int32, scores (B, beams)), best first.

    A hypothesis Y of n tokens, `stop` included, scores log P(Y) / ((5 + n) / 6)^length_penalty (Wu et al. 2016,
    equation 14; 0: none, 0.6: Vaswani et al. 2017). It ends where `stop` is among the row's `beams` best
    continuations; the search ends when nothing live can still get among the ended ones. Hypotheses that have not
    ended after `length` tokens stand behind all that have. Padding follows `stop`; a score of -inf, with padding
    only, says that there are no more hypotheses. One beam without penalty is greedy decoding.
    """
    for name, value in (("beams", beams), ("length", length)):
        if value < 1:
            raise UserError(f"{name} must be at least 1, not {value}")
    if not 0 <= length_penalty < math.inf:
        raise UserError(f"the length penalty must be at least 0, not {length_penalty:g}")
    return _beam_search(
        model,
        variables,
        length_penalty,
        dict(source or {}),
        batch=batch,
        beams=beams,
        length=length,
        bos=bos,
        stop=stop,
    )


@partial(jax.jit, static_argnames=("model", "batch", "beams", "length", "bos", "stop"))
def _beam_search(
    model: nn.Module,
    variables: Variables,
    alpha: Array,
    source: Mapping[str, Array],
    *,
    batch: int,
    beams: int,
    length: int,
    bos: int,
    stop: int,
) -> tuple[Array, Array]:
    def penalty(n: Array | int) -> Array:
        return ((5 + jnp.float32(n)) / 6) ** alpha

    def goes_on(search: _Search) -> Array:
        best = search.live_scores[:, 0] / penalty(length)  # log probabilities only fall, the divisor only grows
        return (search.t < length) & jnp.any(best > search.ended_scores[:, -1])

    def step(search: _Search) -> _Search:
        last = jax.lax.dynamic_index_in_dim(search.live, search.t, 2, keepdims=False)
        logits, cache = model.apply(variables, last.reshape(batch * beams, 1), search.cache, method="decode")
        logp = jax.nn.log_softmax(logits[:, 0].astype(jnp.float32)).reshape(batch, beams, -1)
        vocab = logp.shape[-1]
        scores = (search.live_scores[:, :, None] + logp).reshape(batch, beams * vocab)
        # Of twice as many as there are beams at least `beams` do not end. No slice of these is taken below: merged
        # into top_k it would keep XLA on CPU from finding the fast way, and all continuations would be sorted.
        scores, index = jax.lax.top_k(scores, 2 * beams)
        parent, token = index // vocab, index % vocab
        longer = jax.lax.dynamic_update_index_in_dim(_take(search.live, parent), token, search.t + 1, 2)

        ends = token == stop
        among_best = jnp.arange(2 * beams)[None] < beams
        new = jnp.where(ends & among_best, scores / penalty(search.t + 1), -jnp.inf)
        ended_scores, kept = jax.lax.top_k(jnp.concatenate([search.ended_scores, new], 1), beams)
        ended = _take(jnp.concatenate([search.ended, longer], 1), kept)
        live_scores, kept = jax.lax.top_k(jnp.where(ends, -jnp.inf, scores), beams)
        flat = (beams * jnp.arange(batch)[:, None] + _take(parent, kept)).reshape(-1)
        cache = jax.tree.map(lambda leaf: leaf[flat] if leaf.ndim else leaf, cache)
        return _Search(search.t + 1, _take(longer, kept), live_scores, ended, ended_scores, cache)

    cache = model.apply(variables, batch, length, **source, method="begin")
    cache = jax.tree.map(lambda leaf: jnp.repeat(leaf, beams, 0) if leaf.ndim else leaf, cache)
    empty = jnp.full((batch, beams, 1 + length), PAD, jnp.int32)
    nothing = jnp.full((batch, beams), -jnp.inf)
    # All beams begin alike: one is live, the others would only repeat it.
    start = _Search(jnp.int32(0), empty.at[:, :, 0].set(bos), nothing.at[:, 0].set(0), empty, nothing, cache)
    search = jax.lax.while_loop(goes_on, step, start)

    count = jnp.sum(search.ended_scores > -jnp.inf, axis=1, keepdims=True)
    place = jnp.arange(beams)[None]
    order = jnp.where(place < count, place, beams + place - count)
    scores = _take(jnp.concatenate([search.ended_scores, search.live_scores / penalty(search.t)], 1), order)
    tokens = _take(jnp.concatenate([search.ended, search.live], 1), order)[:, :, 1:]
    return jnp.where(scores[:, :, None] > -jnp.inf, tokens, PAD), scores


def _take(x: Array, index: Array) -> Array:
    """x (B, N, ...), index (B, M) -> (B, M, ...)."""
    return jax.vmap(lambda row, index: row[index])(x, index)
