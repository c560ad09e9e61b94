"""Exponential moving averages of the weights."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array

from train.core import State


class WeightAverage(NamedTuple):
    """State of the average of the weights: updates so far, () int32, and the average, shaped like the weights."""

    count: Array
    params: Any


def _average_weights(decay: float) -> optax.GradientTransformation:
    """Leaves updates alone; keeps the debiased exponential moving average of the weights they lead to.

    average_t = Σ_i decay^(t-i) · weights_i / Σ_i decay^(t-i), i = 1…t: the debiasing of Kingma and Ba 2014
    (section 3), so that the random initial weights do not linger in a short run.
    """

    def init(params: Any) -> WeightAverage:
        # A copy: the state is donated, and one buffer cannot be given away twice.
        return WeightAverage(jnp.zeros((), jnp.int32), jax.tree.map(jnp.copy, params))

    def update(updates: Any, state: WeightAverage, params: Any = None) -> tuple[Any, WeightAverage]:
        count = state.count + 1
        share = (1 - decay) / -jnp.expm1(count * math.log(decay))
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda old, new: old + (share * (new - old)).astype(old.dtype), state.params, params)
        return updates, WeightAverage(count, average)

    return optax.GradientTransformation(init, update)


def ema_params(opt_state: Any) -> Any | None:
    """The averaged weights held in an optimizer's state; None if it keeps no average (ema=0).

    Before the first update they are the initial weights.
    """
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, WeightAverage))
    return next((node.params for node in nodes if isinstance(node, WeightAverage)), None)


def evaluation_params(state: State, name: str = "net") -> Any:
    """The parameters of network `name` to evaluate with: their average, if the optimizer keeps one."""
    return ema_params(state.opt[name]) or state.params[name]
