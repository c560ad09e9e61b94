"""Accumulation: one update of k steps, as if their batches were one.

Where every batch counts as many things (examples, tokens), the mean of k gradients is the gradient of the mean over all
of them, and optax's MultiSteps takes it. Where counts differ (a batch of short sentences has fewer tokens), it is not:
there the gradients of sums are added, and divided once by what they count together.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from train.core import BySums


class MultiSteps(optax.GradientTransformationExtraArgs):
    """`inner` after every `every` steps, with the mean of their gradients. `by_sums` turns it into one of sums."""

    inner: optax.GradientTransformationExtraArgs
    every: int

    def __new__(cls, inner: optax.GradientTransformation, every: int) -> "MultiSteps":
        steps: Any = optax.MultiSteps(inner, every)
        self = super().__new__(cls, steps.init, steps.update)
        self.inner, self.every = optax.with_extra_args_support(inner), every
        return self


class SumsState(NamedTuple):
    """The state of an accumulation of sums. Checkpoints know its fields by these names."""

    mini_step: Array  # () int32, steps since the last update
    gradients: tuple[Any, ...]  # of each total, summed over those steps
    counts: Array  # (totals,) float32, summed over those steps
    inner_opt_state: Any


def by_sums(tx: optax.GradientTransformation, totals: int) -> optax.GradientTransformation:
    """Return `tx` for a loss that is the sum of `totals` Means: with accumulation it adds sums, then divides once.

    Without accumulation `tx` is returned unchanged. See `BySums`.
    """
    if not isinstance(tx, MultiSteps):
        return tx
    inner, every = tx.inner, tx.every

    def init(params: Any) -> SumsState:
        zeros = tuple(jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params) for _ in range(totals))
        return SumsState(jnp.zeros((), jnp.int32), zeros, jnp.zeros(totals, jnp.float32), inner.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, SumsState]:
        counts = extra.pop("counts")
        gradients = jax.tree.map(jnp.add, state.gradients, updates)
        seen = state.counts + jnp.stack([jnp.float32(count) for count in counts])
        # Of what was never counted the gradient is zero.
        divisors = jnp.where(seen > 0, seen, 1.0)

        def mean(leaf: Array, *parts: Array) -> Array:
            shares = [part / divisor for part, divisor in zip(parts, divisors, strict=True)]
            return functools.reduce(jnp.add, shares).astype(leaf.dtype)

        whole = jax.tree.map(mean, updates[0], *gradients)
        last = state.mini_step == every - 1
        steps, inner_state = lax.cond(
            last,
            lambda: inner.update(whole, state.inner_opt_state, params, **extra),
            lambda: (optax.tree.zeros_like(whole), state.inner_opt_state),
        )
        kept, seen = jax.tree.map(lambda leaf: jnp.where(last, 0, leaf), (gradients, seen))
        return steps, SumsState((state.mini_step + 1) % every, kept, seen, inner_state)

    accumulated = BySums(init, update)
    accumulated.inner = inner
    return accumulated
