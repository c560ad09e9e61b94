"""A chunk: n training steps in one compiled program, for one replica or for many."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.core.task import Metrics, Source, State, Task


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
