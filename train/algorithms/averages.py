"""Exponential moving averages of a network's parameters and of its other variables, such as batch statistics."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array

from train.core import State, devices


class WeightAverage(NamedTuple):
    """The optimizer state of the average. Checkpoints know its fields by these names."""

    count: Array  # updates so far, () int32  # pyright: ignore[reportIncompatibleMethodOverride]
    params: Any  # the average, shaped like the parameters
    variables: Any = ()  # the average of the network's other variables; () where it has none, and in older runs


def _average_weights(decay: float) -> optax.GradientTransformationExtraArgs:
    """Return a transformation that keeps debiased averages, and leaves the updates unchanged.

    average_t = Σ_i decay^(t-i) · value_i / Σ_i decay^(t-i), i = 1…t. It is debiased as in Kingma and Ba 2014
    (section 3), so that the random initial parameters do not dominate it in a short run. The variables are averaged
    with the same weights: batch statistics of the last step do not fit parameters of the last thousand. Averages are
    kept in float32 at least: in bfloat16 a step of a thousandth of the way would be rounded away.
    """

    def init(params: Any) -> WeightAverage:
        # A copy, because the State is donated, and one buffer cannot be donated twice.
        return WeightAverage(jnp.zeros((), jnp.int32), jax.tree.map(_copy_in_float32, params))

    def update(
        updates: Any, state: Any, params: Any = None, *, variables: Any = (), **extra: Any
    ) -> tuple[Any, WeightAverage]:
        del extra
        count = state.count + 1
        share = (1 - decay) / -jnp.expm1(count * math.log(decay))

        def follow(old: Array, new: Array) -> Array:
            if not jnp.issubdtype(old.dtype, jnp.floating):
                return new  # a counter has no average
            return old + (share * (new - old)).astype(old.dtype)

        new_params = jax.tree.map(follow, state.params, optax.apply_updates(params, updates))
        # The average of an older run has no variables, and keeps none when the run is resumed.
        new_variables = jax.tree.map(follow, state.variables, variables) if state.variables else state.variables
        return updates, WeightAverage(count, new_params, new_variables)

    return optax.GradientTransformationExtraArgs(init, update)


def init_optimizer(tx: optax.GradientTransformation, params: Any, variables: Any) -> Any:
    """Return the initial state of `tx` for a network with these parameters and other variables."""
    copies = jax.tree.map(_copy_in_float32, dict(variables))
    return _map_averages(lambda average: average._replace(variables=copies or ()), tx.init(params))


def _copy_in_float32(leaf: Array) -> Array:
    """Return a copy in float32, or in the leaf's own dtype if that has more bits or is no float."""
    dtype = jnp.promote_types(leaf.dtype, jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
    return jnp.array(leaf, dtype=dtype, copy=True)


def ema_params(opt_state: Any) -> Any | None:
    """Return the averaged parameters in the state of an optimizer; None if it keeps no average (ema=0).

    Before the first update they are the initial parameters.
    """
    average = _find_average(opt_state)
    return None if average is None else average.params


def evaluation_variables(state: State, name: str = "net") -> dict[str, Any]:
    """Return the variables to evaluate network `name` with: {"params": …, "batch_stats": …}.

    They are averages if the optimizer keeps them. Parameters and batch statistics must belong together, so they are
    those of the last step in a run that kept an average of its parameters alone (see `has_unfit_average`).
    """
    average = _find_average(state.opt[name])
    if average is None or has_unfit_average(state, name):
        return {"params": state.params[name], **state.vars[name]}
    return {"params": average.params, **(average.variables or {})}


def evaluation_params(state: State, name: str = "net") -> Any:
    """Return the parameters among `evaluation_variables`."""
    return evaluation_variables(state, name)["params"]


def whole(state: State) -> State:
    """Return what evaluation needs of `state`, so that a process can use it alone; see `devices.gathered`.

    With one process it is `state`. Else the States of the optimizers are left out: their averages, where evaluation
    uses these, stand in the place of parameters and variables.
    """
    if jax.process_count() == 1:
        return state
    variables = {name: evaluation_variables(state, name) for name in state.opt}
    params = {name: own.pop("params") for name, own in variables.items()}
    changed = state.replace(params=state.params | params, vars=state.vars | variables, opt=dict.fromkeys(state.opt, ()))
    return devices.gathered(changed)


def has_unfit_average(state: State, name: str = "net") -> bool:
    """Whether only the parameters of `name` were averaged, though it has other variables, as in older runs."""
    average = _find_average(state.opt[name])
    return average is not None and bool(state.vars[name]) and not average.variables


def without_variables(state: State) -> State:
    """Return `state`, or its shapes, as older versions saved it: with averages of the parameters alone."""
    return state.replace(opt=_map_averages(lambda average: average._replace(variables=()), state.opt))


def _find_average(opt_state: Any) -> WeightAverage | None:
    nodes = jax.tree.leaves(opt_state, is_leaf=_is_average)
    return next((node for node in nodes if _is_average(node)), None)


def _map_averages(change: Callable[[WeightAverage], WeightAverage], opt_state: Any) -> Any:
    return jax.tree.map(lambda node: change(node) if _is_average(node) else node, opt_state, is_leaf=_is_average)


def _is_average(node: Any) -> bool:
    return isinstance(node, WeightAverage)
