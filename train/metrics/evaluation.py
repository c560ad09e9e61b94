"""Evaluation: the mean of each metric over a split.

A split is evaluated in batches of one size, so its last batch is padded. Each batch has a mask that is 1 for an example
and 0 for padding; `task.evaluate` multiplies every metric by the mask and returns sums. A classifier returns

    {"loss": sum(loss * mask), "accuracy": sum((logits.argmax(-1) == labels) * mask), "count": sum(mask)}

Here the sums of all batches are added, and divided once at the end, so the way a split is cut into batches does not
change the result.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from train.core import Mean, Metrics, State, Task, devices, machine, run_confuse, run_evaluate, run_grouped
from train.data.sources import LongWindows, Resident, Stacked, Windows, padded
from train.data.split import Split

T = TypeVar("T")

BATCH = 500  # examples in one batch

Evaluator = Callable[[State], dict[str, float]]
"""Takes a State, returns the mean of each metric over a split by name, and "count", the number of examples."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """An Evaluator. That of a classifier can also count its confusion matrix in the same pass over the split.

    Where the examples come in groups, it can also count how many of each group are right.
    """

    means: Evaluator
    confuse: Callable[[State], tuple[dict[str, float], np.ndarray]] | None = None
    """Takes a State, returns what `means` returns and the matrix, integer (classes, classes): row: the true class."""
    by_group: Callable[[State], tuple[dict[str, float], np.ndarray]] | None = None
    """Takes a State, returns what `means` returns and how many examples of each group are right, integer (groups,)."""
    group_sizes: tuple[int, ...] = ()
    """How many examples each group has."""

    def __call__(self, state: State) -> dict[str, float]:
        return self.means(state)


def batch_size(examples: int, mesh: Mesh | None, limit: int = BATCH) -> int:
    """Return how many examples to evaluate at once: at most `limit`, rounded up to a multiple of the devices."""
    batch = min(limit, examples)
    return batch if mesh is None else math.ceil(batch / mesh.size) * mesh.size


def resident(task: Task, source: Resident | Windows | LongWindows, groups: np.ndarray | None = None) -> Measure:
    """Return an Evaluator for a split in device memory. groups: (N,), the group of each example."""

    def evaluate(state: State) -> dict[str, float]:
        plan = source.sweep()  # batches that hold every example once, with their masks
        sums = run_evaluate(task, state, source, plan)  # of all batches, in one compiled program
        return means(devices.settle(sums))

    def confuse(state: State) -> tuple[dict[str, float], np.ndarray]:
        sums, counts = devices.settle(run_confuse(task, state, source, source.sweep()))
        return means(sums), np.asarray(counts)

    confuse_or_none = confuse if task.confuse else None
    if groups is None or not task.correct:
        return Measure(evaluate, confuse_or_none)
    group, sizes = _numbered(groups)

    def by_group(state: State) -> tuple[dict[str, float], np.ndarray]:
        sums, counts = devices.settle(run_grouped(task, state, source, source.sweep(), group, len(sizes)))
        return means(sums), np.asarray(counts)

    return Measure(evaluate, confuse_or_none, by_group, sizes)


def streamed(task: Task, split: Split, mesh: Mesh | None, size: int, groups: np.ndarray | None = None) -> Measure:
    """Return an Evaluator for a split that is read from disk, in batches of `size` examples. groups: see `resident`."""

    def read(first: int) -> Stacked:
        batch = _read(split, np.arange(first, min(first + size, len(split))))
        batch["position"] = np.arange(first, first + len(batch["y"]), dtype=np.int32)
        batch = padded(batch, size)  # adds "mask"
        one_step = jax.tree.map(lambda leaf: leaf[None], batch)
        return Stacked(devices.place(one_step, mesh, None, devices.AXIS), devices.batch_sharding(mesh))

    def each_batch(run: Callable[[Task, State, Stacked, Any], T], state: State) -> Iterator[T]:
        for first in range(0, len(split), size):
            data = read(first)
            yield devices.settle(run(task, state, data, data.batches))

    def evaluate(state: State) -> dict[str, float]:
        return means(_added(list(each_batch(run_evaluate, state))))

    def counted(run: Callable[[Task, State, Stacked, Any], Any], state: State) -> tuple[dict[str, float], np.ndarray]:
        sums, counts = [], np.zeros((), np.int64)
        for own, of_batch in each_batch(run, state):
            sums.append(own)
            counts = counts + np.asarray(of_batch)
        return means(_added(sums)), counts

    confuse = partial(counted, run_confuse) if task.confuse else None
    if groups is None or not task.correct:
        return Measure(evaluate, confuse)
    group, sizes = _numbered(groups)
    return Measure(evaluate, confuse, partial(counted, partial(run_grouped, group=group, groups=len(sizes))), sizes)


def _numbered(groups: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the groups numbered from 0 in ascending order, int32 (N,), and how many examples each one has."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return group.astype(np.int32), tuple(sizes.tolist())


def _added(sums: Sequence[Metrics]) -> Metrics:
    """Add the sums of several batches as Python floats, which have 64 bits: float32 would lose digits."""
    return jax.tree.map(lambda *leaves: sum(map(float, leaves)), *sums)


def means(sums: Metrics) -> dict[str, float]:
    """Divide each sum by "count", the number of examples, and a Mean by its own count."""
    examples = sums["count"]
    assert not isinstance(examples, Mean)  # it is the number of examples, not a metric
    result: dict[str, float] = {}
    for name, value in sums.items():
        if isinstance(value, Mean):
            count = float(value.count)
            result[name] = float(value.total) / count if count else math.nan  # nothing was counted
        elif name != "count":
            result[name] = float(value) / float(examples)
    return result | {"count": int(examples)}


def _read(split: Split, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Read the examples at these positions, in as many threads as there are cores: decoding releases the GIL."""
    pieces = np.array_split(positions, min(machine.cores(), len(positions)))
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(split.batch, pieces))
    return {name: np.concatenate([part[name] for part in parts]) for name in ("x", "y")}
