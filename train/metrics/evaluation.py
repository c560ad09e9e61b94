"""Measures a State on a split: sums under a mask, divided once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.sharding import Mesh

from train.core import Metrics, State, Task, devices, machine, run_evaluate
from train.data.sources import Resident, Stacked, Windows, padded
from train.data.split import Split

BATCH = 500  # examples at a time; how a split is cut does not change the result

Evaluator = Callable[[State], dict[str, float]]
"""From a State to the means over a split by name, and its "count"."""


def batch_size(examples: int, mesh: Mesh | None, most: int = BATCH) -> int:
    """Examples to evaluate at once: a multiple of the devices."""
    batch = min(most, examples)
    return batch if mesh is None else -(-batch // mesh.size) * mesh.size


def resident(task: Task, source: Resident | Windows) -> Evaluator:
    """Of a split that lives on the device."""
    return lambda state: means(devices.settle(run_evaluate(task, state, source, source.sweep())))


def streamed(task: Task, split: Split, mesh: Mesh | None, size: int) -> Evaluator:
    """Of a split that is read from disk, batches of `size` one by one."""

    def sums(state: State, first: int) -> Metrics:
        positions = np.arange(first, min(first + size, len(split)))
        pieces = np.array_split(positions, min(machine.cores(), len(positions)))
        with ThreadPoolExecutor() as pool:  # decoding frees the GIL
            read = list(pool.map(split.batch, pieces))
        batch = {name: np.concatenate([piece[name] for piece in read]) for name in ("x", "y")}
        stacked = jax.tree.map(lambda leaf: leaf[None], padded(batch, size))
        data = Stacked(devices.place(stacked, mesh, None, devices.AXIS), devices.batch_sharding(mesh))
        return devices.settle(run_evaluate(task, state, data, data.batches))

    def evaluate(state: State) -> dict[str, float]:
        parts = [sums(state, first) for first in range(0, len(split), size)]
        return means(jax.tree.map(lambda *leaves: sum(map(float, leaves)), *parts))

    return evaluate


def means(sums: Metrics) -> dict[str, float]:
    """Each sum over "count", or over its own count where it comes as (sum, count)."""
    count = float(sums["count"])
    parts = {name: value if isinstance(value, tuple) else (value, count) for name, value in sums.items()}
    return {name: float(value) / float(own) for name, (value, own) in parts.items() if name != "count"} | {
        "count": int(count)
    }
