"""A chunk: n training steps in one compiled program, for one replica or for many."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.core.task import Metrics, Source, State, Task


def chunk(task: Task, state: State, data: Source, key: Array, n: int) -> tuple[State, Metrics]:
    """Do n training steps in one `lax.scan` and return (state, metrics); metrics have leaves (n,).

    The randomness of a step depends only on `key` and the number of the step. So a run draws the same batches and the
    same noise whether it is cut into long chunks or short ones, and whether or not it was interrupted.
    """
    order_key, noise_key = jax.random.split(key)
    plan = data.plan(order_key, state.step, n)

    def body(state: State, planned: Any) -> tuple[State, Metrics]:
        step_key = jax.random.fold_in(noise_key, state.step)
        new, metrics = data.feed(planned, lambda batch: task.step(state, batch, step_key))
        return new.replace(step=state.step + 1), metrics

    return jax.lax.scan(body, state, plan, n)


# The State passed in is donated: its memory is reused for the new State.
run_chunk = jax.jit(chunk, static_argnames=("task", "n"), donate_argnames="state")


class PerReplica(struct.PyTreeNode):
    """A Source that differs between replicas: `shared` with the fields `own` replaced by those of each replica.

    The leaves of `own` have a leading replica axis.
    """

    shared: Any
    own: dict[str, Any]


class ReplicaTasks(NamedTuple):
    """The Tasks of all replicas, which differ only in numbers such as the learning rate.

    build: makes the Task of one replica from its settings, whose values are traced.
    transform: "vmap" advances all replicas together; "map" advances one after the other in the same program. "map"
        gives the bits of a replica alone, and avoids grouped convolutions, which are slow on a CPU.
    """

    build: Callable[[Any], Task]
    transform: Literal["vmap", "map"]


def replicate(
    tasks: ReplicaTasks,
    settings: Any,
    states: State,
    data: Source | PerReplica,
    keys: Array,
    n: int,
    active: Array | None = None,
) -> tuple[State, Metrics]:
    """Run `chunk` for many replicas and return (states, metrics); metrics have leaves (replicas, n).

    settings, states, keys: have a leading replica axis. data: shared by all replicas, unless it is PerReplica.
    active: (replicas,) bool. A replica that is not active keeps its State, and its metrics are 0. None: all are active.
    """

    def advance_one(replica: tuple[Any, State, Array, Array | None, Any]) -> tuple[State, Metrics]:
        setting, state, key, is_active, own = replica
        source = data.shared.replace(**own) if isinstance(data, PerReplica) else data

        def advance(state: State) -> tuple[State, Metrics]:
            return chunk(tasks.build(setting), state, source, key, n)

        def keep(state: State) -> tuple[State, Metrics]:
            _, metrics = jax.eval_shape(advance, state)
            return state, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), metrics)

        if is_active is None:
            return advance(state)
        return jax.lax.cond(is_active, advance, keep, state)

    replicas = (settings, states, keys, active, data.own if isinstance(data, PerReplica) else None)
    return jax.vmap(advance_one)(replicas) if tasks.transform == "vmap" else jax.lax.map(advance_one, replicas)


run_replicas = jax.jit(replicate, static_argnames=("tasks", "n"), donate_argnames="states")


@partial(jax.jit, static_argnames="task")
def run_evaluate(task: Task, state: State, data: Source, planned: Any) -> Metrics:
    """Return the sums of `task.evaluate` over all planned batches (leaves (n, ...)), in one program."""

    def body(_: None, planned: Any) -> tuple[None, Metrics]:
        return None, data.feed(planned, lambda batch: task.evaluate(state, batch))

    _, sums = jax.lax.scan(body, None, planned)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums)


@partial(jax.jit, static_argnames="task")
def run_confuse(task: Task, state: State, data: Source, planned: Any) -> tuple[Metrics, Array]:
    """Return (the sums of `run_evaluate`, the confusion matrix over all planned batches), in one program."""
    confuse = task.confuse
    assert confuse is not None, "only a classifier has a confusion matrix"

    def one_batch(planned: Any) -> tuple[Metrics, Array]:
        return data.feed(planned, lambda batch: confuse(state, batch))

    def body(counts: Array, planned: Any) -> tuple[Array, Metrics]:
        sums, own = one_batch(planned)
        return counts + own, sums

    # The matrix is carried along: stacked for every batch it would take more memory than the data.
    _, matrix = jax.eval_shape(one_batch, jax.tree.map(lambda leaf: leaf[0], planned))
    counts, sums = jax.lax.scan(body, jnp.zeros(matrix.shape, matrix.dtype), planned)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums), counts


@partial(jax.jit, static_argnames=("task", "groups"))
def run_grouped(
    task: Task, state: State, data: Source, planned: Any, group: Array, groups: int
) -> tuple[Metrics, Array]:
    """Return (the sums of `run_evaluate`, how many examples of each group are right: int32 (groups,)), in one program.

    group: int32 (N,), the group of each example of the split, from 0 to groups - 1.
    """
    correct = task.correct
    assert correct is not None, "only a classifier has examples that are right"

    def one_batch(batch: Any) -> tuple[Metrics, Array]:
        sums, right = correct(state, batch)
        own = group[jnp.minimum(batch["position"], len(group) - 1)]  # padding lies behind the end, and is never right
        return sums, jnp.zeros(groups, jnp.int32).at[own].add(right.astype(jnp.int32))

    def body(counts: Array, planned: Any) -> tuple[Array, Metrics]:
        sums, own = data.feed(planned, one_batch)
        return counts + own, sums

    counts, sums = jax.lax.scan(body, jnp.zeros(groups, jnp.int32), planned)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums), counts
