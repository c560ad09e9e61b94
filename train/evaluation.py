"""Measures a State on a split: sums under a mask, divided once."""

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.sharding import Mesh

from train import devices
from train.config import Data
from train.core import State, Task, run_evaluate
from train.data.catalog import Split
from train.data.device import Resident, Stacked, padded
from train.data.feed import streams

BATCH = 500  # examples at a time; how a split is cut does not change the result


class Evaluator:
    """One split, held where it is evaluated from; call it with a State."""

    def __init__(self, task: Task, split: Split, data: Data, mesh: Mesh | None) -> None:
        batch = min(BATCH, len(split))
        self._batch = batch if mesh is None else -(-batch // mesh.size) * mesh.size
        self._task, self._split, self._mesh = task, split, mesh
        self._resident = None
        if not streams(split, data):
            examples = devices.place(split.arrays(), mesh)
            self._resident = Resident(examples, self._batch, devices.batch_sharding(mesh))

    def __call__(self, state: State) -> dict[str, float]:
        """Means over the split by name, and its "count" of examples."""
        if self._resident is not None:
            sums = run_evaluate(self._task, state, self._resident, self._resident.sweep())
        else:
            parts = [self._sums(state, first) for first in range(0, len(self._split), self._batch)]
            sums = jax.tree.map(lambda *leaves: sum(map(float, leaves)), *parts)
        sums = {name: float(value) for name, value in sums.items()}
        count = sums.pop("count")
        return {name: value / count for name, value in sums.items()} | {"count": int(count)}

    def _sums(self, state: State, first: int) -> dict[str, jax.Array]:
        """The sums over the examples from `first` on, read from disk."""
        positions = np.arange(first, min(first + self._batch, len(self._split)))
        pieces = np.array_split(positions, min(devices.cores(), len(positions)))
        with ThreadPoolExecutor() as pool:  # decoding frees the GIL
            read = list(pool.map(self._split.batch, pieces))
        batch = {name: np.concatenate([piece[name] for piece in read]) for name in ("x", "y")}
        stacked = jax.tree.map(lambda leaf: leaf[None], padded(batch, self._batch))
        data = Stacked(devices.place(stacked, self._mesh, None, devices.AXIS), devices.batch_sharding(self._mesh))
        return run_evaluate(self._task, state, data, data.batches)
