"""The pure heart of training: a State of arrays, a Task of three pure functions, one compiled program of n steps."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import jax
import optax
from flax import struct
from jax import Array

Metrics = dict[str, Array]
T = TypeVar("T")


@struct.dataclass
class State:
    """All that changes while training. Arrays only, so a checkpoint of it is the whole run."""

    step: Array  # () int32; only `chunk` moves it
    params: dict[str, Any]  # one entry per network: {"net"}, or {"gen", "disc"}
    opt: dict[str, Any]  # one optax state per network that learns
    vars: dict[str, Any]  # batch statistics and the like, one entry per network
    aux: Any = ()  # private to one task: target network, replay, environments


class Task(NamedTuple):
    """One way of learning. Build it once: it is a static argument, and a new one compiles anew."""

    init: Callable[[Array], State]  # key -> State
    step: Callable[[State, Any, Array], tuple[State, Metrics]]  # State, batch, key -> State, {name: scalar}
    evaluate: Callable[[State, Any], Metrics]  # State, batch with mask -> {name: sum, "count": n}
    predict: Callable[[State, Any], Array] | None = None  # of a classifier: State, batch -> logits (B, classes)


class Source(Protocol):
    """Where batches come from inside the compiled program; a pytree of arrays. See train.data.sources."""

    def plan(self, key: Array, step: Array, n: int) -> Any:
        """What `feed` needs for each of n steps from `step` on: leaves (n, ...)."""

    def feed(self, planned: Any, use: Callable[[Any], T]) -> T:
        """`use` of the batch of one step. Batches may differ in shape; what `use` returns may not."""


def descend(
    state: State,
    name: str,
    tx: optax.GradientTransformation,
    loss_fn: Callable[[Any], tuple[Array, tuple[Any, Metrics]]],
    *,
    gradient_norm: bool = False,
) -> tuple[State, Metrics]:
    """One update of params[name]. `loss_fn(params) -> (loss, (vars, metrics))`; "loss" joins the metrics.

    `gradient_norm`: so does "gradient_norm", that of all gradients together before any clipping.
    """
    (loss, (variables, metrics)), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params[name])
    updates, opt = tx.update(grads, state.opt[name], state.params[name])
    new = state.replace(
        params=state.params | {name: optax.apply_updates(state.params[name], updates)},
        opt=state.opt | {name: opt},
        vars=state.vars | {name: variables},
    )
    norm = {"gradient_norm": optax.tree.norm(grads)} if gradient_norm else {}
    return new, {"loss": loss, **norm, **metrics}
