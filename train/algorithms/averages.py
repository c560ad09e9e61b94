"""Exponential moving average of the parameters."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array

from train.core import State


class WeightAverage(NamedTuple):
    """The optimizer state of the average. Checkpoints know its fields by these names."""

    count: Array  # updates so far, () int32  # pyright: ignore[reportIncompatibleMethodOverride]
    params: Any  # the average, shaped like the parameters


def _average_weights(decay: float) -> optax.GradientTransformation:
    """Return a transformation that keeps a debiased average of the parameters, and leaves the updates unchanged.

    average_t = Σ_i decay^(t-i) · params_i / Σ_i decay^(t-i), i = 1…t. It is debiased as in Kingma and Ba 2014
    (section 3), so that the random initial parameters do not dominate it in a short run.
    """

    def init(params: Any) -> WeightAverage:
        # A copy, because the State is donated, and one buffer cannot be donated twice.
        return WeightAverage(jnp.zeros((), jnp.int32), jax.tree.map(jnp.copy, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, WeightAverage]:
        count = state.count + 1
        share = (1 - decay) / -jnp.expm1(count * math.log(decay))
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: old + (share * (new - old)).astype(old.dtype), state.params, params)
        return updates, WeightAverage(count, average)

    return optax.GradientTransformation(init, update)


def ema_params(opt_state: Any) -> Any | None:
    """Return the averaged parameters in the state of an optimizer; None if it keeps no average (ema=0).

    Before the first update they are the initial parameters.
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, WeightAverage))
    return next((node.params for node in nodes if isinstance(node, WeightAverage)), None)


def evaluation_params(state: State, name: str = "net") -> Any:
    """Return the parameters to evaluate network `name` with: their average, if the optimizer keeps one."""
    return ema_params(state.opt[name]) or state.params[name]
