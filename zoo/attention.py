"""Attention with many heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), one for all models.

q (B, T, heads, D / heads) asks; k, v (B, S, heads, D / heads) answer. A mask is True where a query may read a key.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from zoo.errors import UserError
from zoo.layers import Dense

KeysValues = tuple[Array, Array]  # each (B, S, heads, D / heads)


def attention(q: Array, k: Array, v: Array, *, mask: Array | None = None, causal: bool = False) -> Array:
    """Scaled dot-product attention (section 3.2.1) -> (B, T, heads, D / heads).

    mask broadcasts to (B, heads, T, S). A query that may read nothing gets the mean of the values, never NaN.
    """
    return jax.nn.dot_product_attention(q, k, v, mask=mask, is_causal=causal)


def attention_weights(q: Array, k: Array, *, mask: Array | None = None, causal: bool = False) -> Array:
    """What `attention` multiplies the values by, (B, heads, T, S) float32; each row sums to 1."""
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=jnp.float32) / np.sqrt(q.shape[-1])
    lowest = jnp.finfo(scores.dtype).min
    if mask is not None:
        scores = jnp.where(mask, scores, lowest)
    if causal:
        scores = jnp.where(np.tri(*scores.shape[2:], dtype=bool)[None, None], scores, lowest)
    return jax.nn.softmax(scores)


class MultiHeadAttention(nn.Module):
    """Self-attention x (B, T, D) -> (B, T, D), or `cross`: x reads the keys and values of another sequence.

    One product makes queries, keys and values (`qkv`); cross-attention has one for queries (`q`) and one for keys and
    values (`kv`). Where "intermediates" is mutable the weights (B, heads, T, S) are sown as `weights`.
    """

    width: int  # D
    heads: int  # a divisor of width
    cross: bool = False
    causal: bool = False  # a token reads itself and what came before
    bias: bool = True
    dropout: float = 0.0  # on the weights
    # Fan-in uniform on fused products equals Xavier on each of their parts.
    in_init: Callable = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
    out_init: Callable = nn.initializers.xavier_uniform()

    def setup(self) -> None:
        project = partial(Dense, use_bias=self.bias, kernel_init=self.in_init)
        if self.cross:
            self.q, self.kv = project(self.width), project(2 * self.width)
        else:
            self.qkv = project(3 * self.width)
        self.out = Dense(self.width, use_bias=self.bias, kernel_init=self.out_init)

    def __call__(self, x: Array, kv: KeysValues | None = None, *, mask: Array | None = None, train: bool) -> Array:
        """x (B, T, D) -> (B, T, D). mask (B, S) is True on real tokens; `kv` comes from `keys_values` (cross only)."""
        mask = None if mask is None else mask[:, None, None]
        if self.cross:
            (q,) = self.split(self.q(x))
            return self.join(q, *kv, mask=mask, train=train)
        return self.join(*self.split(self.qkv(x)), mask=mask, causal=self.causal, train=train)

    def keys_values(self, memory: Array) -> KeysValues:
        """What cross-attention reads of `memory` (B, S, D), made once for all queries."""
        return self.split(self.kv(memory))

    def begin(self, batch: int, length: int) -> KeysValues:
        """An empty cache of self-attention, with room for `length` tokens."""
        dtype = self.variables["params"]["qkv"]["kernel"].dtype
        return (jnp.zeros((batch, length, self.heads, self.width // self.heads), dtype),) * 2

    def decode(self, x: Array, cache: KeysValues, position: Array) -> tuple[Array, KeysValues]:
        """Causal self-attention of x (B, n, D), the tokens from `position` () on, to all up to themselves.

        Returns what they read (B, n, D), and the cache with their keys and values in it.
        """
        n, room = x.shape[1], cache[0].shape[1]
        if n > room:
            raise UserError(f"attention: {n} tokens do not fit a cache with room for {room}")
        q, k, v = self.split(self.qkv(x))
        k, v = (lax.dynamic_update_slice_in_dim(old, new, position, 1) for old, new in zip(cache, (k, v), strict=True))
        reads = jnp.arange(room)[None] <= position + jnp.arange(n)[:, None]  # (n, room)
        return self.join(q, k, v, mask=reads[None, None], train=False), (k, v)

    def split(self, x: Array) -> tuple[Array, ...]:
        """(B, T, parts * D) -> parts, each (B, T, heads, D / heads)."""
        x = x.reshape(*x.shape[:2], -1, self.heads, self.width // self.heads)
        return tuple(x[:, :, i] for i in range(x.shape[2]))

    def join(self, q: Array, k: Array, v: Array, *, mask: Array | None, causal: bool = False, train: bool) -> Array:
        """Attention of all heads, put together: (B, T, D)."""
        drop, sow = train and self.dropout > 0, self.is_mutable_collection("intermediates")
        if drop or sow:  # only then do the weights exist by themselves
            weights = attention_weights(q, k, mask=mask, causal=causal)
            self.sow("intermediates", "weights", weights)
            if drop:
                keep = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.dropout, weights.shape)
                weights = jnp.where(keep, weights / (1 - self.dropout), 0)
            y = jnp.einsum("bhqk,bkhd->bqhd", weights.astype(v.dtype), v)
        else:
            y = attention(q, k, v, mask=mask, causal=causal)
        return self.out(y.reshape(*y.shape[:2], self.width))
