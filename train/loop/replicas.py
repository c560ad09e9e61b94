"""Replicas: several seeds, settings or folds that train as one run. Each is evaluated by itself.

The loop sees a ReplicaSet and nothing of how many there are. `Single` is a run of one seed; `Many` stacks the States of
all replicas along a leading axis and advances them in one program.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from train.config import Experiment, World
from train.config.replicas import Member, members
from train.config.sweep import Setting, with_setting
from train.core import Metrics, ReplicaTasks, Source, State, Task, chunk, startup
from train.core.cores import Active, compile_replicas
from train.data.split import Dataset
from train.loop.groups import Groups
from train.loop.summary import Results
from train.metrics.evaluation import Evaluator, Measure
from train.tasks.setup import Setup

Advance = Callable[[State, Source, Array, Active], tuple[State, Metrics]]
"""Takes (state, data, key, active), returns (state, metrics). The State passed in is donated."""


class ReplicaSet(Protocol):
    """The replicas of a run: how their State is initialized, advanced, and taken apart."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The seed, setting and fold of each replica."""
        ...

    @property
    def key(self) -> Array:
        """The random key of the run; with several replicas one for each, (replicas,)."""
        ...

    def init(self, key: Array) -> State:
        """Return an initial State."""
        ...

    def compile(self, state: State, data: Source, n: int, active: Active, sharding: Any) -> Advance:
        """Compile a chunk of n steps for arguments of these shapes.

        active: (replicas,) bool, the replicas that still learn; None: all do. sharding: of the State that comes out;
        None with several replicas, which train on one device.
        """
        ...

    def each(self, state: State) -> list[State]:
        """Return the State of every replica."""
        ...

    def join(self, states: Sequence[State]) -> State:
        """Return the State whose `each` is `states`."""
        ...

    def each_metrics(self, metrics: Metrics) -> list[Metrics]:
        """Return the metrics of every replica, with leaves (n,)."""
        ...


@dataclasses.dataclass(frozen=True)
class Single:
    """A run of one seed. Nothing is stacked."""

    task: Task
    members: tuple[Member, ...]

    @property
    def key(self) -> Array:
        return jax.random.key(self.members[0].seed)

    def init(self, key: Array) -> State:
        return self.task.init(key)

    def compile(self, state: State, data: Source, n: int, active: Active, sharding: Any) -> Advance:
        def advance(state: State, data: Source, key: Array, active: Active) -> tuple[State, Metrics]:
            del active  # when the only replica stops, the run ends
            return chunk(self.task, state, data, key, n)

        out = None if sharding is None else (sharding, None)
        compiled = jax.jit(advance, donate_argnames="state", out_shardings=out)
        lowered = compiled.lower(state, data, self.key, active)
        startup.passed("trace")
        return lowered.compile()

    def each(self, state: State) -> list[State]:
        return [state]

    def join(self, states: Sequence[State]) -> State:
        return states[0]

    def each_metrics(self, metrics: Metrics) -> list[Metrics]:
        return [metrics]


@dataclasses.dataclass(frozen=True)
class Many:
    """Several replicas. Every leaf of the State has a leading replica axis."""

    tasks: ReplicaTasks
    members: tuple[Member, ...]

    @property
    def key(self) -> Array:
        return jax.vmap(jax.random.key)(np.array([member.seed for member in self.members], np.uint32))

    @property
    def settings(self) -> dict[str, np.ndarray]:
        """Swept field -> its value in each replica."""
        fields = self.members[0].setting
        return {field: np.array([member.setting[field] for member in self.members], np.float32) for field in fields}

    def init(self, key: Array) -> State:
        return init_replicas(self.tasks, self.settings, key)

    def compile(self, state: State, data: Source, n: int, active: Active, sharding: Any) -> Advance:
        del sharding
        settings = self.settings
        program = compile_replicas(self.tasks, settings, state, data, self.key, n, active)
        return partial(program, settings)

    def each(self, state: State) -> list[State]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], state) for i in range(len(self.members))]

    def join(self, states: Sequence[State]) -> State:
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def each_metrics(self, metrics: Metrics) -> list[Metrics]:
        return [jax.tree.map(lambda leaf, i=i: leaf[i], metrics) for i in range(len(self.members))]


def init_replicas(tasks: ReplicaTasks, settings: Mapping[str, Any], keys: Array) -> State:
    """Return the initial States of all replicas, stacked. settings, keys: have a leading replica axis."""

    def init_one(replica: tuple[Any, Array]) -> State:
        setting, key = replica
        return tasks.build(setting).init(key)

    # Under vmap the QR decompositions of orthogonal kernels become batches. Two such batches at once deadlock where
    # there are no more than two threads (jaxlib 0.10).
    if tasks.transform == "vmap":
        return jax.vmap(init_one)((settings, keys))
    return jax.lax.map(init_one, (settings, keys))


def make_replica_set(experiment: Experiment, task: Task, build: Callable[[Experiment], Task]) -> ReplicaSet:
    """Return the replicas of a run, to be advanced in whichever way is faster on this machine.

    build: makes the Task of an Experiment that differs from this one in numbers only.
    """
    found = members(experiment)
    if len(found) == 1:
        return Single(build(with_setting(experiment, found[0].setting)) if experiment.sweep else task, found)

    def build_replica(setting: Setting) -> Task:
        return build(with_setting(experiment, setting)) if setting else task

    return Many(ReplicaTasks(build_replica, faster_transform(experiment, task)), found)


def faster_transform(experiment: Experiment, task: Task) -> Literal["vmap", "map"]:
    """Return how to advance the replicas of a run: together ("vmap") or one after the other ("map").

    The speed of one program relative to 8 programs one after the other, measured on two cores with 8 replicas: with
    vmap 0.49 for LeNet-5, 0.47 for ResNet-20, 0.93 for a small ViT, 0.99 for an MLP; with map 0.97, 1.04, 1.05, 1.04.
    Under vmap a convolution becomes a grouped convolution, which a CPU runs slowly. An agent in its environment takes
    many steps with few numbers each, so many agents together cost little more than one.
    """
    if jax.default_backend() != "cpu":
        return "vmap"
    params = jax.eval_shape(task.init, jax.random.key(0)).params
    convolves = any(leaf.ndim == 4 for leaf in jax.tree.leaves(params))
    return "vmap" if isinstance(experiment.data, World) and not convolves else "map"


def finite_replicas(replicas: ReplicaSet, state: State) -> list[bool]:
    """Return whether each replica has finite parameters and variables.

    A metric does not always say so: an agent whose Q-values are NaN still plays.
    """
    return [bool(_all_finite((own.params, own.vars))) for own in replicas.each(state)]


@jax.jit
def _all_finite(tree: Any) -> Array:
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def evaluate_replicas(
    replicas: ReplicaSet, setup: Setup, split: str, mesh: Mesh | None
) -> Callable[[State], list[Results]] | None:
    """Return a function that evaluates every replica on a split ("validation" or "test"); None where it is empty."""
    evaluators = setup.measures(split, mesh, replicas.members)
    if evaluators is None:
        return None
    return lambda state: [evaluate(own) for evaluate, own in zip(evaluators, replicas.each(state), strict=True)]


def evaluate_grouped(
    replicas: ReplicaSet, setup: Setup, split: str, mesh: Mesh | None
) -> Callable[[State], tuple[list[Results], Groups | None]] | None:
    """Return a function like that of `evaluate_replicas`; None where the split is empty.

    Where its examples come in groups, it also says how many of each group every replica has right.
    """
    evaluators = setup.measures(split, mesh, replicas.members)
    if evaluators is None:
        return None

    def evaluate(state: State) -> tuple[list[Results], Groups | None]:
        results, right, sizes = [], [], ()
        for own, one in zip(evaluators, replicas.each(state), strict=True):
            if isinstance(own, Measure) and own.by_group is not None:
                means, counts = own.by_group(one)
                results.append(means)
                right.append(tuple(counts.tolist()))
                sizes = own.group_sizes
            else:
                results.append(own(one))
        return results, Groups(setup.dataset.group_name, sizes, tuple(right)) if right else None

    return evaluate


def counts_groups(setup: Setup, split: str) -> bool:
    """Return whether `evaluate_grouped` counts something on a split: right examples, which come in groups."""
    if setup.task.correct is None or setup.of_fold is not None or not isinstance(setup.dataset, Dataset):
        return False
    return getattr(setup.dataset, split).groups is not None


Confused = tuple[Results, np.ndarray | None]
"""The results of a split, and the confusion matrix of a classifier, integer (classes, classes); None without one."""


def confuse_replicas(
    replicas: ReplicaSet, setup: Setup, split: str, mesh: Mesh | None
) -> Callable[[State], list[Confused]] | None:
    """Return a function like that of `evaluate_replicas`, with the confusion matrices of the same pass."""
    evaluators = setup.measures(split, mesh, replicas.members)
    if evaluators is None:
        return None

    def one(evaluate: Evaluator, state: State) -> Confused:
        if isinstance(evaluate, Measure) and evaluate.confuse is not None:
            return evaluate.confuse(state)
        return evaluate(state), None

    return lambda state: [one(evaluate, own) for evaluate, own in zip(evaluators, replicas.each(state), strict=True)]
