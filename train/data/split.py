"""What `load` returns: a Dataset of three Splits, whether they lie in memory or are read when asked for."""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

BLOCK = 512
"""Images read and decoded at once."""


class Store(Protocol):
    """Random access to labelled images of one shape; one that reads from files pickles without the images."""

    shape: tuple[int, int, int]

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The examples at `indices`: uint8 (N, H, W, C) and int32 (N,). Raises UserError naming a damaged file."""

    def fingerprint(self) -> list:
        """JSON-able; changes when the files behind the store or the shape they are brought to change."""


@dataclasses.dataclass(frozen=True)
class Arrays:
    """A Store in memory: x uint8 (N, H, W, C), y int32 (N,)."""

    x: np.ndarray
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.x.shape[1:]

    def __len__(self) -> int:
        return len(self.x)

    def read(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        return self.x[indices], self.y[indices]

    def fingerprint(self) -> list:
        return []


def read_all(store: Store, indices: np.ndarray) -> Arrays:
    """Reads `indices` of a store into memory, block by block, several blocks at a time (decoding frees the GIL)."""
    x, y = np.empty((len(indices), *store.shape), np.uint8), np.empty(len(indices), np.int32)

    def fill(start: int) -> None:
        block = slice(start, start + BLOCK)
        x[block], y[block] = store.read(indices[block])

    with ThreadPoolExecutor() as pool:
        try:
            for done in [pool.submit(fill, start) for start in range(0, len(indices), BLOCK)]:
                done.result()
        except BaseException:  # the first damaged block, or Ctrl-C: do not read the rest before saying so
            pool.shutdown(cancel_futures=True)
            raise
    return Arrays(x, y)


@dataclasses.dataclass(frozen=True)
class Source:
    """One example at a time, in Grain's random-access protocol: {"x": uint8 (H, W, C), "y": int32 ()}."""

    split: "Split"

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        batch = self.split.batch(np.array([index]))
        return {"x": batch["x"][0], "y": batch["y"][0]}


@dataclasses.dataclass(frozen=True)
class Split:
    """The examples of `store` at `indices` (int64, ascending), in that order."""

    store: Store
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def nbytes(self) -> int:
        """Size of the decoded images and labels in bytes."""
        return len(self) * (int(np.prod(self.store.shape)) + 4)

    @property
    def in_memory(self) -> bool:
        """Whether reading it costs no files and no decoding."""
        return isinstance(self.store, Arrays)

    def batch(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """The examples at these positions of the split: {"x": uint8 (N, H, W, C), "y": int32 (N,)}."""
        x, y = self.store.read(self.indices[positions])
        return {"x": x, "y": y}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it: {"x": uint8 (N, H, W, C), "y": int32 (N,)}."""
        held = self.store if self.in_memory else read_all(self.store, self.indices)
        if held is self.store and len(self) < len(held):
            held = Arrays(*held.read(self.indices))
        return {"x": held.x, "y": held.y}

    def source(self) -> Source:
        """The split for Grain."""
        return Source(self)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images, split for good. Images are uint8 (H, W, C), labels int32 from 0.

    mean, std: float32 (C,), of the training split after the validation cut, pixels scaled to 0..1; where a channel
    is constant its std is 1. Of a set too large for memory they are taken from a fixed random sample of 10,000.
    """

    name: str
    version: str
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: np.ndarray
    std: np.ndarray

    @property
    def classes(self) -> int:
        return len(self.class_names)


def moments(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, pixels scaled to 0..1, as two float32 (C,).

    Sums are integers, so the result is the same for any order of the examples. A constant channel has deviation 1.
    """
    first, second = 0, 0
    for start in range(0, len(split), BLOCK):
        x = split.batch(np.arange(start, min(start + BLOCK, len(split))))["x"].astype(np.uint16)
        first += x.sum(axis=0, dtype=np.uint64).sum(axis=(0, 1))
        x *= x  # at most 255 squared, which 16 bits hold
        second += x.sum(axis=0, dtype=np.uint64).sum(axis=(0, 1))
    count = len(split) * int(np.prod(split.store.shape[:2]))
    mean = first / count / 255
    variance = np.maximum(second / count / 255**2 - mean**2, 0)
    return mean.astype(np.float32), np.where(variance > 1e-12, np.sqrt(variance), 1).astype(np.float32)


def some(split: Split, count: int) -> dict[str, np.ndarray]:
    """`count` of its examples, or all if it has fewer: a random choice that is the same for ever, in the split's order.

    {"x": uint8 (N, H, W, C), "y": int32 (N,)}.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(len(split)), kind="stable")
    return split.batch(np.sort(order[:count]))


def cut(store: Store, indices: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Parts `indices` (ascending) in two, the second with `share` of them, each class within one of its share.

    The order is that of PCG64's raw output, which NumPy promises never to change, so a cut is the same for ever.
    """
    labels = store.y[indices] if isinstance(store, Arrays) else np.zeros(len(indices))
    order = np.lexsort((np.random.PCG64(seed).random_raw(len(indices)), labels))
    taken = np.diff(np.floor(np.arange(len(indices) + 1) * share)) > 0
    return np.sort(indices[order[~taken]]), np.sort(indices[order[taken]])
