"""Multi-head attention (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), shared by all models.

Shapes: B texts or images, T queries, S keys, D = width. Queries are (B, T, heads, D / heads), keys and values
(B, S, heads, D / heads). A mask is True where a query may attend to a key.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax
from jax.core import Tracer

from zoo.errors import UserError
from zoo.fields import require
from zoo.layers import Dense

XAVIER = nn.initializers.xavier_uniform()
# `qkv` and `kv` hold several D x D matrices side by side. Each should start in the range that Xavier gives a D x D
# matrix: 6 / (D + D) = 3 / D. Xavier would count all columns as fan-out; fan-in alone gives 3 / D.
FUSED_XAVIER = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


class KeysValues(NamedTuple):
    """The keys and values that queries attend to."""

    keys: Array  # (B, S, heads, D / heads)
    values: Array  # (B, S, heads, D / heads)


def attention(q: Array, k: Array, v: Array, *, mask: Array | None = None, causal: bool = False) -> Array:
    """Compute scaled dot-product attention (section 3.2.1) -> (B, T, heads, D / heads).

    `mask` broadcasts to (B, heads, T, S). A query that may attend to nothing gets the mean of the values, never NaN.
    """
    if jax.default_backend() != "cpu":
        return jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=causal)
    return weighted_sum(attention_weights(q, k, mask=mask, causal=causal).astype(v.dtype), v)


def weighted_sum(weights: Array, v: Array) -> Array:
    """Return the sum of the values (B, S, heads, D / heads) by weights (B, heads, T, S) -> (B, T, heads, D / heads)."""
    return _heads_first(jnp.einsum("bhts,bhsd->bhtd", weights, _heads_first(v)))


def _heads_first(x: Array) -> Array:
    """Swap the second and third axis. XLA:CPU multiplies arrays in this order in less time."""
    return x.swapaxes(1, 2)


def attention_weights(q: Array, k: Array, *, mask: Array | None = None, causal: bool = False) -> Array:
    """Return the weights that `attention` gives to the values, (B, heads, T, S); each row sums to 1.

    They are float32, or float64 if q and k are.
    """
    dtype = jnp.promote_types(jnp.result_type(q, k), jnp.float32)
    q, k = _heads_first(q), _heads_first(k)
    scores = jnp.einsum("bhtd,bhsd->bhts", q, k, preferred_element_type=dtype) / math.sqrt(q.shape[-1])
    lowest = jnp.finfo(scores.dtype).min
    if mask is not None:
        scores = jnp.where(mask, scores, lowest)
    if causal:
        queries, keys = scores.shape[2:]
        lower_triangle = np.tri(queries, keys).astype(bool)
        scores = jnp.where(lower_triangle[None, None], scores, lowest)
    return jax.nn.softmax(scores)


def split_heads(x: Array, parts: int, heads: int) -> tuple[Array, ...]:
    """Reshape x (B, T, parts * D) into `parts` arrays (B, T, heads, D / heads), for example q, k and v."""
    batch, length, features = x.shape
    x = x.reshape(batch, length, parts, heads, features // (parts * heads))
    return tuple(x[:, :, i] for i in range(parts))


def attend(
    module: nn.Module,
    q: Array,
    k: Array,
    v: Array,
    *,
    mask: Array | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Array:
    """Apply attention and concatenate the heads -> (B, T, D).

    `module` lends two things: its rng "dropout" for the weights to drop, and its collection "intermediates", into which
    the weights (B, heads, T, S) go as `weights` if the caller of the model asked for that collection. Weights that are
    recorded are computed in another way, so the output may differ in its last bits.
    """
    require(0 <= dropout < 1, "attention", "dropout", "at least 0 and below 1", dropout)
    weights_wanted = module.is_mutable_collection("intermediates")
    if dropout > 0 or weights_wanted:
        weights = attention_weights(q, k, mask=mask, causal=causal)
        module.sow("intermediates", "weights", weights)
        if dropout > 0:
            kept = jax.random.bernoulli(module.make_rng("dropout"), 1 - dropout, weights.shape)
            weights = jnp.where(kept, weights / (1 - dropout), 0)
        y = weighted_sum(weights.astype(v.dtype), v)
    else:  # nobody needs the weights, so JAX's fused attention may avoid storing them
        y = attention(q, k, v, mask=mask, causal=causal)
    batch, queries, heads, head_width = y.shape
    return y.reshape(batch, queries, heads * head_width)


def require_room(position: Array, new_tokens: int, room: int) -> None:
    """Raise UserError unless `new_tokens` at index `position` () fit a cache with `room`.

    Inside jit the position cannot be looked at, only the number of new tokens. There tokens beyond the room would
    overwrite the last entries of the cache: the caller must stop before.
    """
    if new_tokens > room:
        raise UserError(f"attention: {new_tokens} tokens do not fit a cache with room for {room}")
    if not isinstance(position, Tracer) and not 0 <= int(position) <= room - new_tokens:
        at = f"{new_tokens} more tokens at position {int(position)}"
        raise UserError(f"attention: {at} do not fit a cache with room for {room}")


class SelfAttention(nn.Module):
    """Multi-head self-attention: x (B, T, D) -> (B, T, D).

    Parameters: `qkv` (D, 3 D), the projections to queries, keys and values side by side, and `out` (D, D).
    """

    width: int  # D
    heads: int  # a divisor of width
    causal: bool = False  # a token attends to itself and to earlier tokens only
    bias: bool = True
    dropout: float = 0.0  # rate at which attention weights are dropped in training
    in_init: Callable = FUSED_XAVIER
    out_init: Callable = XAVIER

    def setup(self) -> None:
        self.qkv = Dense(3 * self.width, use_bias=self.bias, kernel_init=self.in_init)
        self.out = Dense(self.width, use_bias=self.bias, kernel_init=self.out_init)

    def __call__(self, x: Array, *, mask: Array | None = None, train: bool) -> Array:
        """Attend within x (B, T, D). mask (B, T) is True on real tokens and False on padding."""
        if mask is not None:
            mask = mask[:, None, None]  # (B, 1, 1, T): the same keys for all heads and queries
        q, k, v = split_heads(self.qkv(x), 3, self.heads)
        dropout = self.dropout if train else 0.0
        y = attend(self, q, k, v, mask=mask, causal=self.causal, dropout=dropout)
        return self.out(y)

    def empty_cache(self, batch: int, length: int) -> KeysValues:
        """Return a cache with room for the keys and values of `length` tokens in each of `batch` texts."""
        # A cache in the dtype of the parameters halves its memory when they are bfloat16.
        dtype = jax.tree.leaves(self.variables["params"]["qkv"])[0].dtype  # a kernel, or its factors
        empty = jnp.zeros((batch, length, self.heads, self.width // self.heads), dtype)
        return KeysValues(keys=empty, values=empty)

    def decode(self, x: Array, cache: KeysValues, position: Array) -> tuple[Array, KeysValues]:
        """Run n new tokens x (B, n, D), the first at index `position` () of its text, in evaluation mode.

        Each new token attends to all tokens in the cache and to the new tokens up to and including itself. Return the
        output (B, n, D), equal to that of the causal `__call__` on the whole text, and the cache with the new tokens.
        See `require_room` for a text that is longer than the cache.
        """
        new_tokens, room = x.shape[1], cache.keys.shape[1]
        require_room(position, new_tokens, room)
        q, k, v = split_heads(self.qkv(x), 3, self.heads)
        # Only the new tokens are projected; older keys and values never change, because older tokens never attend to
        # newer ones. `position` may be traced, so the new entries are written with a dynamic slice, not an index range.
        keys = lax.dynamic_update_slice_in_dim(cache.keys, k, position, axis=1)
        values = lax.dynamic_update_slice_in_dim(cache.values, v, position, axis=1)
        # New token i has index position + i. The mask also hides the part of the cache that is still empty.
        key_index = jnp.arange(room)[None]  # (1, room)
        query_index = position + jnp.arange(new_tokens)[:, None]  # (n, 1)
        mask = key_index <= query_index  # (n, room)
        y = attend(self, q, keys, values, mask=mask[None, None])
        return self.out(y), KeysValues(keys, values)


class CrossAttention(nn.Module):
    """Multi-head attention of one sequence, x (B, T, D), to another, the memory (B, S, D) -> (B, T, D).

    Parameters: `q` (D, D) projects x to queries, `kv` (D, 2 D) the memory to keys and values, then `out` (D, D).
    """

    width: int  # D
    heads: int  # a divisor of width
    bias: bool = True
    dropout: float = 0.0  # rate at which attention weights are dropped in training
    in_init: Callable = FUSED_XAVIER
    out_init: Callable = XAVIER

    def setup(self) -> None:
        project = partial(Dense, use_bias=self.bias, kernel_init=self.in_init)
        self.q = project(self.width)
        self.kv = project(2 * self.width)
        self.out = Dense(self.width, use_bias=self.bias, kernel_init=self.out_init)

    def __call__(self, x: Array, memory: KeysValues, *, mask: Array | None = None, train: bool) -> Array:
        """Attend from x (B, T, D) to `memory`, made by `keys_values`. mask (B, S) is True on its real tokens."""
        if memory.keys.shape[1] == 0:
            raise UserError("cross-attention: the memory is empty, so there is nothing to attend to")
        if mask is not None:
            mask = mask[:, None, None]  # (B, 1, 1, S): the same keys for all heads and queries
        (q,) = split_heads(self.q(x), 1, self.heads)
        dropout = self.dropout if train else 0.0
        y = attend(self, q, memory.keys, memory.values, mask=mask, dropout=dropout)
        return self.out(y)

    def keys_values(self, memory: Array) -> KeysValues:
        """Project the memory (B, S, D) to keys and values. Decoding calls this once and attends to it at each step."""
        keys, values = split_heads(self.kv(memory), 2, self.heads)
        return KeysValues(keys, values)
