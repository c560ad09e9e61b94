"""Hands the loop its batches: a set that stays on the device, or chunks read ahead from disk."""

from typing import Any, Protocol

import numpy as np
from jax.sharding import Mesh

from train.config import Data
from train.core import Source, devices, machine
from train.data.sources import Stacked
from train.data.split import Split

READ_AHEAD_BYTES = 256 << 20  # at most this much of a streamed set is stacked for one chunk


class Feed(Protocol):
    """What the loop draws from."""

    state: Any
    """JSON: where reading goes on after the chunks taken so far; None where the step number says it all."""
    most: int | None
    """Steps that one chunk may hold at most."""

    def take(self, n: int) -> Source:
        """The batches of the next n steps."""

    def read_ahead(self, n: int) -> None:
        """Prepare the next `take(n)` while the device is still busy."""

    def close(self) -> None: ...


class DeviceFeed:
    """A set on the device; batches are drawn inside the compiled chunk, from the step number alone."""

    state = None
    most = None

    def __init__(self, source: Source) -> None:
        self._source = source

    def take(self, n: int) -> Source:
        del n
        return self._source

    def read_ahead(self, n: int) -> None:
        del n

    def close(self) -> None: ...


class StreamFeed:
    """Images from disk through Grain."""

    def __init__(self, split: Split, data: Data, seed: int, mesh: Mesh | None, state: Any = None) -> None:
        from train.data import stream

        self._mesh = mesh
        self._reader = stream.batches(split, data.batch, seed, data.workers)
        if state is not None:
            self._reader.set_state(state)
        self.state = state
        self.most = max(1, int(READ_AHEAD_BYTES / (split.nbytes / len(split) * data.batch)))
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
        return split.nbytes > machine.memory_limit()
    return data.placement == "stream"
