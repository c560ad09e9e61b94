"""The pure heart of training: a State of arrays, a Task of three pure functions, one compiled program of n steps."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
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
    """Where batches come from inside the compiled program; a pytree of arrays. See train.data.device."""

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


def chunk(task: Task, state: State, data: Source, key: Array, n: int) -> tuple[State, Metrics]:
    """`n` steps as one scan; metrics have leaves (n,).

    The randomness of a step depends on `key` and the step's number alone, so a run cut into other
    chunks, or resumed, draws the same batches and noise.
    """
    order_key, noise_key = jax.random.split(key)

    def body(state: State, planned: Any) -> tuple[State, Metrics]:
        step_key = jax.random.fold_in(noise_key, state.step)
        new, metrics = data.feed(planned, lambda batch: task.step(state, batch, step_key))
        return new.replace(step=state.step + 1), metrics

    return jax.lax.scan(body, state, data.plan(order_key, state.step, n), n)


run_chunk = jax.jit(chunk, static_argnames=("task", "n"), donate_argnames="state")


@struct.dataclass
class PerReplica:
    """A Source of which every replica has its own version: `shared` with the fields `own`, whose leaves have a leading
    replica axis, in place of its."""

    shared: Any
    own: dict[str, Any]


def replicate(
    build: Callable[[Any], Task],
    settings: Any,
    states: State,
    data: Source | PerReplica,
    keys: Array,
    n: int,
    how: Literal["vmap", "map"],
    active: Array | None = None,
) -> tuple[State, Metrics]:
    """`chunk` for many replicas in one program: settings, states and keys with a leading replica axis, data shared
    unless it is PerReplica.

    `build` makes the Task of one replica from its setting: numbers such as the learning rate may differ between them.
    "vmap" advances all replicas together, "map" one after the other (same bits as alone, and no
    grouped convolutions, which are slow on CPU). Metrics have leaves (replicas, n).
    active: (replicas,) bool; the others stay as they are, their metrics 0. None: all are.
    """

    def one(replica: tuple[Any, State, Array, Array | None, Any]) -> tuple[State, Metrics]:
        setting, state, key, learns, own = replica
        source = data if own is None else data.shared.replace(**own)

        def advance(state: State) -> tuple[State, Metrics]:
            return chunk(build(setting), state, source, key, n)

        if learns is None:
            return advance(state)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(advance, state)[1])
        return jax.lax.cond(learns, advance, lambda state: (state, nothing), state)

    replicas = (settings, states, keys, active, data.own if isinstance(data, PerReplica) else None)
    return jax.vmap(one)(replicas) if how == "vmap" else jax.lax.map(one, replicas)


run_replicas = jax.jit(replicate, static_argnames=("build", "n", "how"), donate_argnames="states")


@partial(jax.jit, static_argnames="task")
def run_evaluate(task: Task, state: State, data: Source, planned: Any) -> Metrics:
    """Sums of `task.evaluate` over all planned batches (leaves (n, ...)), in one program."""

    def body(_: None, planned: Any) -> tuple[None, Metrics]:
        return None, data.feed(planned, lambda batch: task.evaluate(state, batch))

    _, sums = jax.lax.scan(body, None, planned)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums)
