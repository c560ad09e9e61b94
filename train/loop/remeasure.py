"""Batch statistics measured anew: those that evaluation needs, for parameters that were averaged over training.

A layer of batch normalization keeps running averages of its statistics, which lag behind the parameters. Here the
parameters stand still for one pass over the training set, and the statistics of all its batches are averaged.
"""

from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from train.algorithms.averages import evaluation_params
from train.core import PerReplica, Source, State, Task
from train.data.feed import Feed
from train.loop.replicas import ReplicaSet
from train.tasks.setup import Setup
from zoo.errors import UserError

MOST = 20  # batches in one program


def remeasure(setup: Setup, replicas: ReplicaSet, state: State, batch: int, mesh: Mesh | None) -> State:
    """Return `state` with the parameters to evaluate, and with statistics measured on one pass over the training set.

    The batches are those of training, with its augmentation. Raise UserError where no network has such statistics.
    """
    if not jax.tree.leaves(state.vars):
        raise UserError(f"{setup.dataset.name}: the network has no batch statistics to measure")
    feed = setup.feed(mesh, None)
    try:
        batches = max(1, len(setup.dataset.train) // batch)
        return replicas.join(_each(setup.task, replicas, state, feed, batches))
    finally:
        feed.close()


def _each(task: Task, replicas: ReplicaSet, state: State, feed: Feed, batches: int) -> list[State]:
    """Return the State of each replica, with statistics that are means over so many batches."""
    states = [_with_evaluation_params(own) for own in replicas.each(state)]
    totals: list[Any] = [None] * len(states)
    longest = min(MOST, feed.most or MOST)
    for first in range(0, batches, longest):
        steps = min(longest, batches - first)
        data = feed.take(steps)
        for number, own in enumerate(states):
            total = _sum_of_statistics(task, own, _source(data, number), jnp.int32(first), steps)
            totals[number] = total if first == 0 else jax.tree.map(jnp.add, totals[number], total)
    means = [jax.tree.map(lambda leaf: leaf / batches, total) for total in totals]
    # Without the states of the optimizers nothing stands beside these parameters and statistics any more.
    return [own.replace(vars=mean, opt=dict.fromkeys(own.opt, ())) for own, mean in zip(states, means, strict=True)]


def _with_evaluation_params(state: State) -> State:
    return state.replace(params={name: evaluation_params(state, name) for name in state.params})


def _source(data: Any, number: int) -> Source:
    """Return the batches of one replica."""
    if not isinstance(data, PerReplica):
        return data
    own = jax.tree.map(lambda leaf: leaf[number], data.own)
    return cast(Any, data.shared).replace(**own)


@partial(jax.jit, static_argnames=("task", "steps"))
def _sum_of_statistics(task: Task, state: State, data: Source, first: Array, steps: int) -> Any:
    """Return the sum of the statistics of `steps` batches, shaped like `state.vars`.

    A step of training turns a running average r into m * r + (1 - m) * s, with the statistics s of its batch. The
    momentum m of each layer is the difference between what becomes of r = 1 and of r = 0, and s follows from it. A
    variable that a step does not change (m = 1) stays. Of the step only this is used, so nothing else is computed.
    """
    key = jax.random.key(0)

    def statistics(batch: Any, step_key: Any) -> Any:
        def after(value: float) -> Any:
            filled = jax.tree.map(lambda leaf: jnp.full_like(leaf, value), state.vars)
            return task.step(state.replace(vars=filled), batch, step_key)[0].vars

        def solve(old: Any, from_zero: Any, from_one: Any) -> Any:
            fresh = 1 - (from_one - from_zero)
            return jnp.where(fresh > 1e-6, from_zero / jnp.maximum(fresh, 1e-6), old)

        return jax.tree.map(solve, state.vars, after(0.0), after(1.0))

    def add(total: Any, planned: Any) -> tuple[Any, None]:
        number, plan = planned
        own = data.feed(plan, lambda batch: statistics(batch, jax.random.fold_in(key, number)))
        return jax.tree.map(jnp.add, total, own), None

    plan = data.plan(key, first, steps)
    zeros = jax.tree.map(jnp.zeros_like, state.vars)
    total, _ = jax.lax.scan(add, zeros, (first + jnp.arange(steps), plan))
    return total
