"""Replicas: many seeds or settings as one run, their States stacked and advanced together, each judged alone."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.config import Experiment, World
from train.config.replicas import Member, members
from train.config.sweep import Setting, with_setting
from train.core import Metrics, Source, State, Task, chunk
from train.core.cores import compile_replicas

Advance = Callable[[State, Source, Array, Array | None], tuple[State, Metrics]]
"""(state, data, key, active) -> (state, metrics). The State that goes in is given up."""


class ReplicaSet(Protocol):
    """The replicas of a run, and how a State of theirs is made, advanced and taken apart."""

    members: tuple[Member, ...]
    key: Array  # of the run; one for each member where there are several

    def init(self, key: Array) -> State:
        """A fresh State."""

    def compile(self, state: State, data: Source, key: Array, n: int, active: Array | None, sharding: Any) -> Advance:
        """`train.core.chunks` for all of them, or those of several that are `active` (members,), compiled for arguments
        of these shapes. sharding: of the State that comes out; of several members there is none.
        """

    def each(self, state: State) -> list[State]:
        """The State of every member alone."""

    def join(self, states: Sequence[State]) -> State:
        """The State whose `each` are these."""

    def split(self, metrics: Metrics) -> list[Metrics]:
        """The metrics of every member alone, with leaves (n,)."""


@dataclasses.dataclass(frozen=True)
class Single:
    """A run of one seed: nothing is stacked."""

    task: Task
    members: tuple[Member, ...]

    @property
    def key(self) -> Array:
        return jax.random.key(self.members[0].seed)

    def init(self, key: Array) -> State:
        return self.task.init(key)

    def compile(self, state: State, data: Source, key: Array, n: int, active: Array | None, sharding: Any) -> Advance:
        def advance(state: State, data: Source, key: Array, active: Array | None) -> tuple[State, Metrics]:
            del active  # where the only member stops, the run ends
            return chunk(self.task, state, data, key, n)

        out = None if sharding is None else (sharding, None)
        return jax.jit(advance, donate_argnames="state", out_shardings=out).lower(state, data, key, active).compile()

    def each(self, state: State) -> list[State]:
        return [state]

    def join(self, states: Sequence[State]) -> State:
        return states[0]

    def split(self, metrics: Metrics) -> list[Metrics]:
        return [metrics]


@dataclasses.dataclass(frozen=True)
class Many:
    """Several members: every leaf of the State has a leading axis of them.

    build: a setting, its values traced, -> the Task under it. how: "vmap" advances all together, "map" one after the
    other within the same program.
    """

    build: Callable[[Setting], Task]
    members: tuple[Member, ...]
    how: Literal["vmap", "map"]

    @property
    def key(self) -> Array:
        return jax.vmap(jax.random.key)(np.array([member.seed for member in self.members], np.uint32))

    @property
    def settings(self) -> dict[str, np.ndarray]:
        """Field -> its value in each replica."""
        fields = self.members[0].setting
        return {field: np.array([member.setting[field] for member in self.members], np.float32) for field in fields}

    def init(self, key: Array) -> State:
        return initial(self.build, self.settings, key, self.how)

    def compile(self, state: State, data: Source, key: Array, n: int, active: Array | None, sharding: Any) -> Advance:
        del sharding
        settings = self.settings
        return partial(compile_replicas(self.build, settings, state, data, key, n, self.how, active), settings)

    def each(self, state: State) -> list[State]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(len(self.members))]

    def join(self, states: Sequence[State]) -> State:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def split(self, metrics: Metrics) -> list[Metrics]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], metrics) for i in range(len(self.members))]


def initial(
    build: Callable[[Setting], Task], settings: Mapping[str, Any], keys: Array, how: Literal["vmap", "map"]
) -> State:
    """Fresh States of all replicas, stacked; settings and keys have a leading axis of them."""

    def one(replica: tuple[Setting, Array]) -> State:
        setting, key = replica
        return build(setting).init(key)

    # By vmap the decompositions of orthogonal kernels would be batches, of which two at once wait for each other for
    # ever where there are no more than two threads (jaxlib 0.10).
    return jax.vmap(one)((settings, keys)) if how == "vmap" else jax.lax.map(one, (settings, keys))


def make_replica_set(experiment: Experiment, task: Task, build: Callable[[Experiment], Task]) -> ReplicaSet:
    """The replicas of a run, advanced in whichever way is faster here. `build` makes the Task of an Experiment.

    Measured on two cores (8 replicas; time of one after the other in programs of their own, over the time of one
    program): vmap 0.49 for LeNet-5, 0.47 for ResNet-20, 0.93 for a small ViT, 0.99 for an MLP; map 0.97, 1.04, 1.05,
    1.04. A batch of convolutions with kernels of their own is a grouped convolution, which a CPU runs slowly. An agent
    in its world takes many steps of few numbers, and those of many agents together cost little more than one's.
    """
    found = members(experiment)
    if len(found) == 1:
        return Single(build(with_setting(experiment, found[0].setting)) if experiment.sweep else task, found)
    return Many(
        lambda setting: build(with_setting(experiment, setting)) if setting else task,
        found,
        faster_way(experiment, task),
    )


def faster_way(experiment: Experiment, task: Task) -> Literal["vmap", "map"]:
    """How the replicas of a run are advanced here; see `make_team`."""
    if jax.default_backend() != "cpu":
        return "vmap"
    params = jax.eval_shape(task.init, jax.random.key(0)).params
    convolves = any(leaf.ndim == 4 for leaf in jax.tree.leaves(params))
    return "vmap" if isinstance(experiment.data, World) and not convolves else "map"
