"""Feeds give the loop its batches: from a data set in device memory, or read ahead from disk."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from jax.sharding import Mesh

from train.config import Data
from train.core import Source, devices, machine
from train.data.sources import Stacked
from train.data.split import Split

READ_AHEAD_BYTES = 64 << 20  # of a streamed data set, at most, that one chunk holds; the next one is read meanwhile


class Feed(Protocol):
    """Where the loop takes its batches from."""

    state: Any
    """JSON: where reading continues after the chunks taken so far; None where the step number alone determines it."""
    most: int | None
    """The largest number of steps in one chunk; None: any."""

    def take(self, n: int) -> Source:
        """Return the batches of the next n steps."""
        ...

    def read_ahead(self, n: int) -> None:
        """Prepare the next `take(n)`. The loop calls it while the device computes."""
        ...

    def close(self) -> None: ...


class DeviceFeed:
    """A data set in device memory. The compiled chunk draws its batches, from the step number alone."""

    state: Any = None
    most: int | None = None

    def __init__(self, source: Source) -> None:
        self._source = source

    def take(self, n: int) -> Source:
        del n
        return self._source

    def read_ahead(self, n: int) -> None:
        del n

    def close(self) -> None: ...


class StreamFeed:
    """Images from disk, read by Grain. state: where to continue; None: at the beginning."""

    def __init__(self, split: Split, data: Data, seed: int, mesh: Mesh | None, state: Any = None) -> None:
        from train.data import stream

        self._mesh = mesh
        order = seed if data.order == "shuffled" else None
        self._reader = stream.batches(split, data.batch, order, data.workers)
        if state is not None:
            self._reader.set_state(state)
        self.state, self._begin = state, self._reader.get_state()
        self.most: int | None = max(1, int(READ_AHEAD_BYTES / (split.nbytes / len(split) * data.batch)))
        self._ahead: _Ahead | None = None

    def take(self, n: int) -> Stacked:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.steps != n:  # another number of steps than was expected: read again
            self._reader.set_state(self.state or self._begin)
            ahead = None
        ahead = ahead or self._read(n)
        self.state = ahead.state
        return ahead.batches

    def read_ahead(self, n: int) -> None:
        """Read the next chunk and copy it to the device while the device still computes the last one."""
        self._ahead = self._read(n)

    def _read(self, n: int) -> "_Ahead":
        stacked: dict[str, np.ndarray] = {}
        for row in range(n):  # in place: two copies of a chunk would be most of the memory that streaming needs
            batch = next(self._reader)
            if not stacked:
                stacked = {name: np.empty((n, *leaf.shape), leaf.dtype) for name, leaf in batch.items()}
            for name, leaf in batch.items():
                stacked[name][row] = leaf
        arrays = devices.place(stacked, self._mesh, None, devices.AXIS)
        return _Ahead(n, Stacked(arrays, devices.batch_sharding(self._mesh)), self._reader.get_state())

    def close(self) -> None:
        """Stop the reader processes."""
        self._reader.close()


class _Ahead(NamedTuple):
    """A chunk that was read ahead."""

    steps: int
    batches: Stacked
    state: Any  # of the reader, after these batches


def streams(split: Split, data: Data) -> bool:
    """Return whether `split` is streamed: as `data.placement` says, else when it is too large for device memory."""
    if data.placement == "auto":
        return split.nbytes > machine.memory_limit()
    return data.placement == "stream"
