"""Replicas divided among the cores of a CPU: one program for each core, all running at the same time.

A single program gives every operation to all cores, and the operations of a small network are too short to gain from
that. Measured on two cores, the time of two programs over the time of one: 0.5 for ten agents on CartPole, 0.69 and
0.81 for ResNet-20, 0.75 for LeNet-5, 0.81 for a small ViT.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from train.core import machine, startup
from train.core.chunks import PerReplica, ReplicaTasks, run_replicas
from train.core.task import Metrics, Source, State

Active = Array | np.ndarray | None
"""Which replicas learn, (replicas,) bool; None: all do."""
Program = Callable[[Mapping[str, Any], State, Source | PerReplica, Array, Active], tuple[State, Metrics]]
"""Takes (settings, states, data, keys, active), returns (states, metrics). The states passed in are deleted."""

LARGEST_CUT = 256 << 20  # bytes of States; cutting and joining larger ones at each chunk costs more than it gains


def compile_replicas(
    tasks: ReplicaTasks,
    settings: Mapping[str, Any],
    states: State,
    data: Source | PerReplica,
    keys: Array,
    n: int,
    active: Active = None,
) -> Program:
    """Compile `train.core.replicate` for arguments of these shapes.

    On a CPU the replicas are divided into one share for each core. Where the programs would together need more than
    half of the free memory, the number of shares is halved until they do not.
    """

    def lower(share: Share) -> jax.stages.Lowered:
        source = share.with_own(data)
        return run_replicas.lower(tasks, share.settings, share.states, source, share.keys, n, share.active)

    whole = Share(settings, states, keys, active, _own(data))
    shares = _max_shares(states, len(keys))
    while shares > 1:
        cut = jax.jit(partial(_cut, shares))
        pieces = jax.eval_shape(cut, whole)
        # Shares of the same size run the same program, so it is compiled once.
        lowered = {len(piece.keys): lower(piece) for piece in pieces}
        startup.passed("trace")
        with ThreadPoolExecutor(len(lowered)) as pool:
            programs = dict(zip(lowered, pool.map(jax.stages.Lowered.compile, lowered.values()), strict=True))
        needed = sum(_temporary_bytes(programs[len(piece.keys)]) for piece in pieces)
        if needed <= machine.memory_free() // 2:
            return _side_by_side(cut, programs)
        shares //= 2
    lowered = lower(whole)
    startup.passed("trace")
    return lowered.compile()


class Share(NamedTuple):
    """Some of the replicas, or all of them: every array that has a leading replica axis."""

    settings: Mapping[str, Any]
    states: State
    keys: Array
    active: Active
    own: dict[str, Any] | None  # of PerReplica data

    def with_own(self, data: Source | PerReplica) -> Source | PerReplica:
        """Return the data of these replicas. Arrays that all replicas share are not copied."""
        return data.replace(own=self.own) if isinstance(data, PerReplica) else data


def _own(data: Source | PerReplica) -> dict[str, Any] | None:
    return data.own if isinstance(data, PerReplica) else None


def _max_shares(states: State, replicas: int) -> int:
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1
    nbytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))
    return min(machine.cores(), replicas) if nbytes <= LARGEST_CUT else 1


def _temporary_bytes(program: jax.stages.Compiled) -> int:
    """Return how much memory a program takes besides its arguments and results."""
    analysis = program.memory_analysis()
    return analysis.temp_size_in_bytes if analysis else 0


def _cut(shares: int, whole: Share) -> list[Share]:
    """Cut the replicas into consecutive shares whose sizes differ by at most one."""
    ends = [len(whole.keys) * i // shares for i in range(shares + 1)]
    return [jax.tree.map(lambda leaf, a=a, b=b: leaf[a:b], whole) for a, b in itertools.pairwise(ends)]


@jax.jit
def _join(results: Sequence[tuple[State, Metrics]]) -> tuple[State, Metrics]:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


def _side_by_side(cut: Callable[[Share], list[Share]], programs: Mapping[int, jax.stages.Compiled]) -> Program:
    """Return one Program that runs a share in each thread. programs: keyed by the number of replicas."""

    def advance(
        settings: Mapping[str, Any], states: State, data: Source | PerReplica, keys: Array, active: Active
    ) -> tuple[State, Metrics]:
        def advance_share(share: Share) -> tuple[State, Metrics]:
            program = programs[len(share.keys)]
            results = program(share.settings, share.states, share.with_own(data), share.keys, share.active)
            # Block in this thread: programs that one thread starts run one after the other.
            return jax.block_until_ready(results)

        shares = cut(Share(settings, states, keys, active, _own(data)))
        for leaf in jax.tree.leaves(states):
            leaf.delete()
        with ThreadPoolExecutor(len(shares)) as pool:
            return _join(list(pool.map(advance_share, shares)))

    return advance
