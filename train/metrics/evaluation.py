"""Evaluation: the mean of each metric over a split.

A split is evaluated in batches of one size, so its last batch is padded. Each batch has a mask that is 1 for an example
and 0 for padding; `task.evaluate` multiplies every metric by the mask and returns sums. A classifier returns

    {"loss": sum(loss * mask), "accuracy": sum((logits.argmax(-1) == labels) * mask), "count": sum(mask)}

Here the sums of all batches are added, and divided once at the end, so the way a split is cut into batches does not
change the result.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.sharding import Mesh

from train.core import Mean, Metrics, State, Task, devices, machine, run_evaluate
from train.data.sources import Resident, Stacked, Windows, padded
from train.data.split import Split

BATCH = 500  # examples in one batch

Evaluator = Callable[[State], dict[str, float]]
"""Takes a State, returns the mean of each metric over a split by name, and "count", the number of examples."""


def batch_size(examples: int, mesh: Mesh | None, limit: int = BATCH) -> int:
    """Return how many examples to evaluate at once: at most `limit`, rounded up to a multiple of the devices."""
    batch = min(limit, examples)
    return batch if mesh is None else math.ceil(batch / mesh.size) * mesh.size


def resident(task: Task, source: Resident | Windows) -> Evaluator:
    """Return an Evaluator for a split in device memory."""

    def evaluate(state: State) -> dict[str, float]:
        plan = source.sweep()  # batches that hold every example once, with their masks
        sums = run_evaluate(task, state, source, plan)  # of all batches, in one compiled program
        return means(devices.settle(sums))

    return evaluate


def streamed(task: Task, split: Split, mesh: Mesh | None, size: int) -> Evaluator:
    """Return an Evaluator for a split that is read from disk, in batches of `size` examples."""

    def evaluate_batch(state: State, first: int) -> Metrics:
        batch = _read(split, np.arange(first, min(first + size, len(split))))
        batch["position"] = np.arange(first, first + len(batch["y"]), dtype=np.int32)
        batch = padded(batch, size)  # adds "mask"
        one_step = jax.tree.map(lambda leaf: leaf[None], batch)
        data = Stacked(devices.place(one_step, mesh, None, devices.AXIS), devices.batch_sharding(mesh))
        return devices.settle(run_evaluate(task, state, data, data.batches))

    def evaluate(state: State) -> dict[str, float]:
        sums = [evaluate_batch(state, first) for first in range(0, len(split), size)]
        # Add as Python floats, which have 64 bits: float32 would lose digits over many batches.
        return means(jax.tree.map(lambda *leaves: sum(map(float, leaves)), *sums))

    return evaluate


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
