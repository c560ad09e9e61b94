"""Hands the loop its batches: one set that stays on the device, or chunks read ahead from disk."""

from typing import Any

import numpy as np
from jax.sharding import Mesh

from train import devices
from train.config import Data
from train.data.catalog import Split
from train.data.device import Resident, Stacked

READ_AHEAD_BYTES = 256 << 20  # at most this much of a streamed set is stacked for one chunk


class DeviceFeed:
    """The whole split on the device; batches are drawn inside the compiled chunk."""

    state = None  # drawn from the step number alone: nothing to remember

    def __init__(self, split: Split, batch: int, mesh: Mesh | None) -> None:
        examples = devices.place(split.arrays(), mesh)
        self._resident = Resident(examples, batch, devices.batch_sharding(mesh))

    def take(self, n: int) -> Resident:
        del n
        return self._resident

    def read_ahead(self, n: int) -> None:
        del n

    def close(self) -> None: ...


class StreamFeed:
    """Batches from disk through Grain. `state` (JSON) is where reading goes on after the chunks taken so far."""

    def __init__(self, split: Split, data: Data, seed: int, mesh: Mesh | None, state: Any = None) -> None:
        from train.data import stream

        self._mesh = mesh
        self._reader = stream.batches(split, data.batch, seed, data.workers)
        if state is not None:
            self._reader.set_state(state)
        self.state = state
        self._ahead: tuple[int, Stacked, Any] | None = None

    def take(self, n: int) -> Stacked:
        if self._ahead is None or self._ahead[0] != n:
            self.read_ahead(n)
        _, stacked, self.state = self._ahead
        self._ahead = None
        return stacked

    def read_ahead(self, n: int) -> None:
        """Read and send the next chunk while the device still computes the last one."""
        batches = [next(self._reader) for _ in range(n)]
        stacked = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
        arrays = devices.place(stacked, self._mesh, None, devices.AXIS)
        self._ahead = (n, Stacked(arrays, devices.batch_sharding(self._mesh)), self._reader.get_state())

    def close(self) -> None:
        """End the reader processes."""
        self._reader.close()


def streams(split: Split, data: Data) -> bool:
    """Whether `split` is read while training: as the user says, else when it takes too much of the device."""
    if data.placement == "auto":
        return split.nbytes > devices.memory_limit()
    return data.placement == "stream"


def most_steps_ahead(split: Split, data: Data) -> int:
    """The longest chunk that a streamed set may be stacked into."""
    per_step = split.nbytes / len(split) * data.batch
    return max(1, int(READ_AHEAD_BYTES / per_step))
