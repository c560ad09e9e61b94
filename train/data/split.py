"""A Dataset of three Splits, whose examples are in memory or are read from files on demand."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from train.data.cut import by_position

if TYPE_CHECKING:
    from jax.sharding import Mesh

BLOCK = 512
"""Images that are read and decoded at once."""


GROUPS = "groups"
"""What the groups of examples are called where nothing more is known of them, in the plural."""
NewExamples = Callable[[int, "Mesh | None"], Any]
"""(batch, mesh) -> a Source (`train.core`) of training examples that are composed in the compiled step, in place of
those of the training split."""


LABEL_BYTES = 4
"""Of one example's class. A store of masks has its own `label_bytes`."""
IGNORED = 255
"""In a mask: a pixel whose class is not known. It is in no loss and in no figure."""


class Store(Protocol):
    """Random access to labelled images of one shape. Reader processes get a pickled copy, without the images.

    A label is a class, or for the task `segment` a mask: the class of each pixel, uint8 (H, W), or IGNORED.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images uint8 (N, H, W, C) and labels int32 (N,) or masks uint8 (N, H, W).

        Raise UserError naming a damaged file.
        """
        ...

    def labels(self) -> np.ndarray:
        """Return all labels, int32 (N,), without decoding an image; zeros where there are masks."""
        ...

    def fingerprint(self) -> list:
        """Return JSON that changes when the files change, or the shape to which images are resized."""
        ...

    def keys(self) -> np.ndarray | None:
        """Return a key, uint64 (N,), by which the set is cut (`train.data.cut`); None where it never changes."""
        ...

    def groups(self) -> np.ndarray | None:
        """Return the group of each example, int64 (N,), such as the patient it is of; None where none are known."""
        ...

    def digest(self, indices: np.ndarray) -> str:
        """Return a digest of the examples at `indices`, in their order, after a word for what it was made of."""
        ...


@dataclasses.dataclass(frozen=True)
class Found:
    """A data set with its original splits, before any image is decoded."""

    name: str
    version: str
    class_names: tuple[str, ...]
    stores: Mapping[str, Store]
    remarks: tuple[str, ...] = ()  # what the user should know of how it was read
    place: str = ""  # the absolute folder of its files, where it has any
    group_name: str = GROUPS
    new_examples: NewExamples | None = None


@dataclasses.dataclass(frozen=True)
class Arrays:
    """A Store in memory: x uint8 (N, H, W, C), y int32 (N,) or masks uint8 (N, H, W).

    A user's own may hold x float32 (N, ...), y float32.

    own: uint64 (N,), the keys of examples that the user may change; see `Store.keys`.
    group: int64 (N,), the group of each example; see `Store.groups`.
    """

    x: np.ndarray
    y: np.ndarray
    own: np.ndarray | None = None
    group: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.x.shape[1:]

    @property
    def label_bytes(self) -> int:
        return self.y[:1].nbytes

    def __len__(self) -> int:
        return len(self.x)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.x[indices], self.y[indices]

    def labels(self) -> np.ndarray:
        return self.y if self.y.ndim == 1 else np.zeros(len(self), np.int32)

    def fingerprint(self) -> list:
        return []

    def keys(self) -> np.ndarray | None:
        return self.own

    def groups(self) -> np.ndarray | None:
        return self.group

    def digest(self, indices: np.ndarray) -> str:
        found = hashlib.blake2b(repr((self.x.dtype.str, self.x.shape[1:], len(indices))).encode(), digest_size=16)
        for start in range(0, len(indices), BLOCK):
            for part in self.read(indices[start : start + BLOCK]):
                found.update(np.ascontiguousarray(part).data)
        return f"pixels {found.hexdigest()}"


def read_all(store: Store, indices: np.ndarray) -> Arrays:
    """Read the examples at `indices` into memory, several blocks in parallel: decoding releases the GIL."""
    first = store.read(indices[:1])[1]
    x = np.empty((len(indices), *store.shape), np.uint8)
    y = np.empty((len(indices), *first.shape[1:]), first.dtype)

    def fill(start: int) -> None:
        block = slice(start, start + BLOCK)
        x[block], y[block] = store.read(indices[block])

    with ThreadPoolExecutor() as pool:
        try:
            for done in [pool.submit(fill, start) for start in range(0, len(indices), BLOCK)]:
                done.result()
        except BaseException:  # a damaged block, or Ctrl-C: report it at once, without reading the rest
            pool.shutdown(cancel_futures=True)
            raise
    return Arrays(x, y)


@dataclasses.dataclass(frozen=True)
class Source:
    """Single examples {"x": uint8 (H, W, C), "y": int32 ()}, in Grain's random-access protocol."""

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
        """The size of the decoded images and labels, in bytes."""
        label = getattr(self.store, "label_bytes", LABEL_BYTES)
        return len(self) * (int(np.prod(self.store.shape)) + label)

    @property
    def groups(self) -> np.ndarray | None:
        """The group of each example, int64 (N,); None where none are known. Those of one group are not independent."""
        of_store = self.store.groups()
        return None if of_store is None else of_store[self.indices]

    @property
    def in_memory(self) -> bool:
        """Whether reading opens no file and decodes nothing."""
        return isinstance(self.store, Arrays)

    def batch(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        """Return the examples at these positions of the split: {"x": uint8 (N, H, W, C), "y": labels or masks}."""
        x, y = self.store.read(self.indices[positions])
        return {"x": x, "y": y}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all examples: {"x": uint8 (N, H, W, C), "y": labels int32 (N,) or masks uint8 (N, H, W)}."""
        if not isinstance(self.store, Arrays):
            held = read_all(self.store, self.indices)
        elif len(self) < len(self.store):
            held = Arrays(*self.store.read(self.indices))
        else:  # the whole store, in its order: no copy
            held = self.store
        return {"x": held.x, "y": held.y}

    def source(self) -> Source:
        """Return the split as Grain reads it."""
        return Source(self)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Labelled images in three splits that never change. Images are uint8 (H, W, C), labels int32 from 0.

    mean, std: float32 (C,), of the training split without the validation split, pixels scaled to 0..1. The std of a
    constant channel is 1. For a data set too large for memory they come from a fixed random sample of 10,000 images.
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
    remarks: tuple[str, ...] = ()  # what the user should know of how it was read
    group_name: str = GROUPS  # what the groups of its examples are, in the plural
    new_examples: NewExamples | None = None

    @property
    def classes(self) -> int:
        return len(self.class_names)


def moments(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, each float32 (C,), pixels scaled to 0..1.

    The sums are integers, so the order of the examples does not matter. A constant channel has deviation 1.
    Float32 x (N, ..., C) of a registered data set are taken as they are, and summed in double precision.
    """
    if isinstance(split.store, Arrays) and split.store.x.dtype != np.uint8:
        x = split.arrays()["x"].reshape(-1, split.store.x.shape[-1]).astype(np.float64)
        return _of_channels(x.mean(0), x.var(0))
    first = second = np.zeros(split.store.shape[-1], np.uint64)
    for start in range(0, len(split), BLOCK):
        x = split.batch(np.arange(start, min(start + BLOCK, len(split))))["x"].astype(np.uint16)
        first = first + x.sum(axis=0, dtype=np.uint64).sum(axis=(0, 1))
        x *= x  # at most 255 squared, which fits in 16 bits
        second = second + x.sum(axis=0, dtype=np.uint64).sum(axis=(0, 1))
    count = len(split) * int(np.prod(split.store.shape[:2]))
    mean = np.asarray(first / count / 255)
    return _of_channels(mean, np.maximum(second / count / 255**2 - mean**2, 0))


def _of_channels(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean.astype(np.float32), np.where(variance > 1e-12, np.sqrt(variance), 1).astype(np.float32)


def some(split: Split, count: int) -> dict[str, np.ndarray]:
    """Return a random sample of `count` examples (all if there are fewer), always the same, in the order of the split.

    The result is {"x": uint8 (N, H, W, C), "y": int32 (N,)}.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(len(split)), kind="stable")
    return split.batch(np.sort(order[:count]))


def cut(
    store: Store, indices: np.ndarray, share: float, seed: int, *, stratified: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` (ascending) in two, the second with `share` of them.

    stratified: of each class to within one example; None: if the store is in memory. See `train.data.cut.by_position`.
    """
    stratified = isinstance(store, Arrays) if stratified is None else stratified
    return by_position(indices, share, seed, store.labels()[indices] if stratified else None)
