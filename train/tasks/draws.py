"""Keys of what an evaluation draws at random: they follow from the examples alone, so that a figure repeats."""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

WORDS = 2
"""Words of 32 bits in a hash."""


def row_keys(*columns: Array) -> Array:
    """Return a key for each row, (B,): rows of equal content have equal keys, wherever and in whatever batch they are.

    columns: arrays (B, ...) of whole or of real numbers of at most 32 bits; all of a row's numbers, in their order,
    make its key. It is a multilinear hash of 64 bits (Lemire and Kaser 2014), folded into one fixed key.
    """
    hashes = sum((_hashes(column, number) for number, column in enumerate(columns)), jnp.uint32(0))
    key = jax.random.key(0)
    return jax.vmap(lambda words: jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1]))(hashes)


def _hashes(column: Array, number: int) -> Array:
    """Return the sum of each row's numbers times fixed random odd factors, modulo 2^32: uint32 (B, WORDS).

    A factor that is odd loses no bit of the number that it multiplies.
    """
    values = column.reshape(len(column), math.prod(column.shape[1:]))
    if jnp.issubdtype(values.dtype, jnp.floating):
        values = lax.bitcast_convert_type(values.astype(jnp.float32), jnp.uint32)
    key = jax.random.fold_in(jax.random.key(1), number)
    factors = jax.random.bits(key, (values.shape[1], WORDS), jnp.uint32) | jnp.uint32(1)
    return values.astype(jnp.uint32) @ factors
