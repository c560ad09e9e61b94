"""Replicas shared out among the cores of a processor: a program for each share, all running at once.

A program hands every operation to all cores, and those of a small network are too short to gain from it. Measured on
two cores (time of two shares over that of one program): 0.5 for ten agents on CartPole, 0.69 and 0.81 for ResNet-20,
0.75 for LeNet-5, 0.81 for a small ViT.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from train.core import machine
from train.core.chunks import PerReplica, run_replicas
from train.core.task import Metrics, Source, State, Task

Program = Callable[[Mapping[str, Any], State, Source | PerReplica, Array, Array | None], tuple[State, Metrics]]
"""(settings, states, data, keys, active) -> (states, metrics). The states that go in are given up."""

LARGEST_CUT = 256 << 20  # bytes of States; to cut up and join more for each chunk costs more than cores gain


def compile_replicas(
    build: Callable[[Any], Task],
    settings: Mapping[str, Any],
    states: State,
    data: Source | PerReplica,
    keys: Array,
    n: int,
    how: Literal["vmap", "map"],
    active: Array | None = None,
) -> Program:
    """`train.core.replicate` for arguments of these shapes, compiled; on a CPU with a share for each core, or fewer
    where so many would need more than half of the free memory at once.
    """

    def lower(piece: Share) -> jax.stages.Lowered:
        return run_replicas.lower(build, piece.settings, piece.states, piece.of(data), piece.keys, n, how, piece.active)

    whole, shares = Share(settings, states, keys, active, _own(data)), _most(states, len(keys))
    while shares > 1:
        cut = jax.jit(partial(_cut, shares))
        pieces = jax.eval_shape(cut, whole)
        lowered = {len(piece.keys): lower(piece) for piece in pieces}
        with ThreadPoolExecutor(len(lowered)) as pool:
            programs = dict(zip(lowered, pool.map(jax.stages.Lowered.compile, lowered.values()), strict=True))
        need = sum(programs[len(piece.keys)].memory_analysis().temp_size_in_bytes for piece in pieces)
        if need <= machine.memory_free() // 2:
            return _side_by_side(cut, programs)
        shares //= 2
    return lower(whole).compile()


class Share(NamedTuple):
    """Some of the replicas, or all: whatever has a leading axis of them."""

    settings: Mapping[str, Any]
    states: State
    keys: Array
    active: Array | None
    own: dict[str, Any] | None

    def of(self, data: Source | PerReplica) -> Source | PerReplica:
        """The data of these replicas; of what all share nothing is copied."""
        return data if self.own is None else data.replace(own=self.own)


def _own(data: Source | PerReplica) -> dict[str, Any] | None:
    return data.own if isinstance(data, PerReplica) else None


def _most(states: State, count: int) -> int:
    if jax.default_backend() != "cpu" or jax.device_count() > 1:
        return 1
    nbytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))
    return min(machine.cores(), count) if nbytes <= LARGEST_CUT else 1


def _cut(shares: int, whole: Share) -> list[Share]:
    """Consecutive replicas, as many in each share as in any other or one more."""
    ends = [len(whole.keys) * i // shares for i in range(shares + 1)]
    return [jax.tree.map(lambda leaf, a=a, b=b: leaf[a:b], whole) for a, b in itertools.pairwise(ends)]


@jax.jit
def _join(results: Sequence[tuple[State, Metrics]]) -> tuple[State, Metrics]:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


def _side_by_side(cut: Callable[[Share], list[Share]], programs: Mapping[int, jax.stages.Compiled]) -> Program:
    """programs: by their number of replicas."""

    def advance(
        settings: Mapping[str, Any], states: State, data: Source | PerReplica, keys: Array, active: Array | None
    ) -> tuple[State, Metrics]:
        def one(piece: Share) -> tuple[State, Metrics]:
            program = programs[len(piece.keys)]
            # To the end in this thread: a thread's programs wait for one another.
            return jax.block_until_ready(
                program(piece.settings, piece.states, piece.of(data), piece.keys, piece.active)
            )

        pieces = cut(Share(settings, states, keys, active, _own(data)))
        for leaf in jax.tree.leaves(states):
            leaf.delete()
        with ThreadPoolExecutor(len(pieces)) as pool:
            return _join(list(pool.map(one, pieces)))

    return advance
