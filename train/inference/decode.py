"""Decode sequences with any autoregressive model: by sampling or by beam search, each as one compiled program.

A model takes part through two methods, which run in evaluation mode:
- `begin(batch, length, **source) -> cache` makes an empty cache for `length` tokens. An encoder-decoder encodes its
  source here.
- `decode(tokens (B, n), cache) -> (logits (B, n, V), cache)` reads n new tokens. The cache is a pytree; the first axis
  of each of its leaves is the batch, except for scalars.
So the same code serves the keys and values of a Transformer and the state of an LSTM.
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
from flax import struct
from jax import Array

from zoo.errors import UserError
from zoo.fields import demand

PAD = 0
"""The token after the end of every sequence."""
Variables = Mapping[str, Any]


@struct.dataclass
class Decoder:
    """A model with its variables and, for an encoder-decoder, the arguments of `begin` that hold its source."""

    model: nn.Module = struct.field(pytree_node=False)
    variables: Variables
    source: Mapping[str, Any] = struct.field(default_factory=dict)

    def begin(self, batch: int, length: int) -> Any:
        """Return an empty cache for `batch` sequences of up to `length` tokens."""
        return self.model.apply(self.variables, batch, length, **self.source, method="begin")

    def decode(self, tokens: Array, cache: Any) -> tuple[Array, Any]:
        """Read tokens (B, n); return the logits (B, n, V) of the token after each, and the new cache."""
        return self.model.apply(self.variables, tokens, cache, method="decode")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is sampled from the logits. The filters are applied in the order of the fields."""

    temperature: float = 1.0
    """Divides the logits. At 0 the most likely token is taken (greedy) and the other fields have no effect."""
    top_k: int | None = None
    """Sample from the k most likely tokens (Fan et al. 2018, section 5.2), the first ones of equals; None: from all."""
    top_p: float = 1.0
    """Sample from the nucleus: the fewest tokens whose probabilities sum to p (Holtzman et al. 2020, section 3.1)."""

    def __post_init__(self) -> None:
        # A smaller temperature would make the quotient overflow in float32.
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


def sample(logits: Array, keys: Array, sampling: Sampling) -> Array:
    """Sample one token for each row of logits (B, V), with one key for each row (B,). Returns (B,) int32."""
    if sampling.temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    logits = logits.astype(jnp.float32)
    logits = (logits - logits.max(axis=-1, keepdims=True)) / sampling.temperature
    top_logits, tokens = jax.lax.top_k(logits, min(sampling.top_k or logits.shape[-1], logits.shape[-1]))
    if sampling.top_p < 1:
        mass = jnp.cumsum(jax.nn.softmax(top_logits), axis=-1)
        mass_before = jnp.pad(mass[:, :-1], ((0, 0), (1, 0)))  # 0 for the most likely token, so that one always stays
        top_logits = jnp.where(mass_before < sampling.top_p, top_logits, -jnp.inf)
    index = jax.vmap(jax.random.categorical)(keys, top_logits)
    return jnp.take_along_axis(tokens, index[:, None], axis=1)[:, 0].astype(jnp.int32)


class Prompts(NamedTuple):
    """The sequences to continue. Row b has its first lengths[b] tokens (1 to P); the rest is ignored."""

    tokens: Array  # (B, P) int32
    lengths: Array  # (B,) int32


class Generated(NamedTuple):
    """The new tokens of each row, without its prompt."""

    tokens: Array  # (B, length) int32, PAD after the end
    lengths: Array  # (B,) int32, `stop` counted


def generate(
    decoder: Decoder,
    prompts: Prompts,
    key: Array,
    *,
    length: int,
    sampling: Sampling = GREEDY,
    stop: int | None = None,
) -> Generated:
    """Continue each prompt by up to `length` tokens. The prompt of an encoder-decoder is [BOS].

    A row ends after the token `stop`. The samples of a row depend only on `key` and on the row's index in the batch.
    Under `jax.jit` every prompt must be one token: of longer ones the shortest length must be known beforehand.
    """
    if length < 1:
        raise UserError(f"length must be at least 1 token, not {length}")
    shortest, width = 1, prompts.tokens.shape[1]
    if width > 1:
        known = np.asarray(prompts.lengths)
        if known.min() < 1 or known.max() > width:
            raise UserError(f"a prompt must have 1 to {width} tokens, not {known.min()} to {known.max()}")
        shortest = int(known.min())
    return _generate(decoder, prompts, key, shortest=shortest, length=length, sampling=sampling, stop=stop)


class _Generation(NamedTuple):
    """The carry of the loop over tokens."""

    t: Array  # () int32: tokens[:, : t + 1] are final, tokens[:, :t] are in the cache
    tokens: Array  # (B, P + length) int32: the prompt, the new tokens, padding
    ended: Array  # (B,) bool
    cache: Any


@partial(jax.jit, static_argnames=("shortest", "length", "sampling", "stop"))
def _generate(
    decoder: Decoder,
    prompts: Prompts,
    key: Array,
    *,
    shortest: int,
    length: int,
    sampling: Sampling,
    stop: int | None,
) -> Generated:
    """`generate`. The first `shortest` tokens, which every prompt has, are read in one call except for the last."""
    rows, width = prompts.tokens.shape
    prompt = jnp.where(jnp.arange(width)[None] < prompts.lengths[:, None], prompts.tokens, PAD)
    cache = decoder.begin(rows, width + length - 1)
    if shortest > 1:
        _, cache = decoder.decode(prompt[:, : shortest - 1], cache)
    row_keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(rows))

    def step(carry: _Generation) -> _Generation:
        t, tokens, ended, cache = carry
        last = jax.lax.dynamic_slice_in_dim(tokens, t, 1, 1)
        logits, cache = decoder.decode(last, cache)
        # The index of the next token among the new ones; it is negative where the next token is one of the prompt.
        index = t + 1 - prompts.lengths
        keys = jax.vmap(jax.random.fold_in)(row_keys, jnp.maximum(index, 0))
        sampled = jnp.where(ended, PAD, sample(logits[:, 0], keys, sampling))
        of_prompt = jax.lax.dynamic_index_in_dim(tokens, t + 1, 1, keepdims=False)
        token = jnp.where(index < 0, of_prompt, sampled)
        ended |= index + 1 >= length
        if stop is not None:
            ended |= (index >= 0) & (token == stop)
        tokens = jax.lax.dynamic_update_index_in_dim(tokens, token, t + 1, 1)
        return _Generation(t + 1, tokens, ended, cache)

    tokens = jnp.pad(prompt, ((0, 0), (0, length)))
    start = _Generation(jnp.int32(shortest - 1), tokens, jnp.zeros(rows, bool), cache)
    tokens = jax.lax.while_loop(lambda carry: ~carry.ended.all(), step, start).tokens
    new = jnp.take_along_axis(tokens, prompts.lengths[:, None] + jnp.arange(length)[None], axis=1)
    return Generated(new, _lengths(new, stop))


def _lengths(tokens: Array, stop: int | None) -> Array:
    """Return the number of tokens (B, T) up to and including the first `stop`; T for a row without one."""
    if stop is None:
        return jnp.full(tokens.shape[0], tokens.shape[1], jnp.int32)
    stops = tokens == stop
    return jnp.where(stops.any(1), stops.argmax(1) + 1, tokens.shape[1]).astype(jnp.int32)


class SpecialTokens(NamedTuple):
    """The ids of the tokens that begin and end a sequence."""

    bos: int
    eos: int


@dataclasses.dataclass(frozen=True)
class Beam:
    """The settings of a beam search."""

    width: int  # hypotheses kept
    length: int  # tokens at most, [EOS] included
    length_penalty: float = 0.0  # alpha of Wu et al. 2016, equation 14; 0: none, 0.6: Vaswani et al. 2017

    def __post_init__(self) -> None:
        for name, value in (("beams", self.width), ("length", self.length)):
            if value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        if not 0 <= self.length_penalty < math.inf:
            raise UserError(f"the length penalty must be at least 0, not {self.length_penalty:g}")


class Hypotheses(NamedTuple):
    """The sequences found for each row, best first. An empty slot has the score -inf and only padding."""

    tokens: Array  # (B, width, length) int32, PAD after [EOS]
    scores: Array  # (B, width)


def beam_search(decoder: Decoder, batch: int, beam: Beam, special: SpecialTokens) -> Hypotheses:
    """Return the best sequences that beam search finds for each of `batch` rows.

    A hypothesis Y of n tokens, [EOS] included, scores log P(Y) / ((5 + n) / 6)^length_penalty. It ends where [EOS] is
    among the row's `width` best continuations. The search ends when no unfinished hypothesis can still be among the
    best. Hypotheses that have not ended after `length` tokens come last. With width 1 and no penalty the search is
    greedy decoding.
    """
    # The penalty is an argument of the program, so that another value compiles nothing.
    penalty = beam.length_penalty
    return _beam_search(decoder, penalty, batch=batch, width=beam.width, length=beam.length, special=special)


class _Search(NamedTuple):
    """The carry of a beam search: for each row its best unfinished hypotheses and its best finished ones."""

    t: Array  # () int32: the tokens that every unfinished hypothesis has
    live: Array  # (B, width, 1 + length) int32: the unfinished ones, [BOS] first
    live_scores: Array  # (B, width): log probabilities, best first
    ended: Array  # (B, width, 1 + length)
    ended_scores: Array  # (B, width): with the length penalty, best first; -inf in an empty slot
    cache: Any  # of the unfinished ones: leaves (B * width, ...)


@partial(jax.jit, static_argnames=("batch", "width", "length", "special"))
def _beam_search(
    decoder: Decoder, alpha: Array, *, batch: int, width: int, length: int, special: SpecialTokens
) -> Hypotheses:
    def continues(search: _Search) -> Array:
        # An upper bound of what a live hypothesis can reach: log probabilities only fall, the divisor only grows.
        best = search.live_scores[:, 0] / _penalty(length, alpha)
        return (search.t < length) & jnp.any(best > search.ended_scores[:, -1])

    cache = decoder.begin(batch, length)
    cache = jax.tree.map(lambda leaf: jnp.repeat(leaf, width, 0) if leaf.ndim else leaf, cache)
    empty = jnp.full((batch, width, 1 + length), PAD, jnp.int32)
    no_scores = jnp.full((batch, width), -jnp.inf)
    # One beam is live at the start, since all others would repeat it.
    start = _Search(
        jnp.int32(0), empty.at[:, :, 0].set(special.bos), no_scores.at[:, 0].set(0), empty, no_scores, cache
    )
    search = jax.lax.while_loop(continues, lambda search: _search_step(decoder, alpha, search, special.eos), start)

    # The finished hypotheses come first, then the unfinished ones in the remaining slots.
    count = jnp.sum(search.ended_scores > -jnp.inf, axis=1, keepdims=True)
    slot = jnp.arange(width)[None]
    order = jnp.where(slot < count, slot, width + slot - count)
    live_scores = search.live_scores / _penalty(search.t, alpha)
    scores = _take(jnp.concatenate([search.ended_scores, live_scores], 1), order)
    tokens = _take(jnp.concatenate([search.ended, search.live], 1), order)[:, :, 1:]
    return Hypotheses(jnp.where(scores[:, :, None] > -jnp.inf, tokens, PAD), scores)


def _search_step(decoder: Decoder, alpha: Array, search: _Search, eos: int) -> _Search:
    """Extend every unfinished hypothesis by one token and keep the best of each kind."""
    batch, width, _ = search.live.shape
    last = jax.lax.dynamic_index_in_dim(search.live, search.t, 2, keepdims=False)
    logits, cache = decoder.decode(last.reshape(batch * width, 1), search.cache)
    logp = jax.nn.log_softmax(logits[:, 0].astype(jnp.float32)).reshape(batch, width, -1)
    vocab = logp.shape[-1]
    scores = (search.live_scores[:, :, None] + logp).reshape(batch, width * vocab)
    # Among the best 2 * width continuations at least `width` do not end. They are not sliced below: XLA on CPU would
    # merge a slice into top_k and then sort all continuations.
    scores, index = jax.lax.top_k(scores, 2 * width)
    parent, token = index // vocab, index % vocab
    longer = jax.lax.dynamic_update_index_in_dim(_take(search.live, parent), token, search.t + 1, 2)

    ends = token == eos
    among_best = jnp.arange(2 * width)[None] < width
    new = jnp.where(ends & among_best, scores / _penalty(search.t + 1, alpha), -jnp.inf)
    ended_scores, kept = jax.lax.top_k(jnp.concatenate([search.ended_scores, new], 1), width)
    ended = _take(jnp.concatenate([search.ended, longer], 1), kept)

    live_scores, kept = jax.lax.top_k(jnp.where(ends, -jnp.inf, scores), width)
    live = _take(longer, kept)
    beams = (width * jnp.arange(batch)[:, None] + _take(parent, kept)).reshape(-1)
    cache = jax.tree.map(lambda leaf: leaf[beams] if leaf.ndim else leaf, cache)
    return _Search(search.t + 1, live, live_scores, ended, ended_scores, cache)


def _penalty(n: Array | int, alpha: Array) -> Array:
    """Return the divisor of the log probability of n tokens."""
    return ((5 + jnp.float32(n)) / 6) ** alpha


def _take(x: Array, index: Array) -> Array:
    """Select index (B, M) along the second axis of x (B, N, ...). Returns (B, M, ...)."""
    return jax.vmap(lambda row, index: row[index])(x, index)
