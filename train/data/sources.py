"""Batches inside the compiled program: drawn from a set that lives on the device, or stacked by a reader."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.sharding import NamedSharding

from train.core.task import T

Batch = dict[str, Array]


@struct.dataclass
class Resident:
    """A whole set on the device. Each epoch is a new permutation; its last partial batch is left out.

    With `rows` only those of the examples are there; `given` joins every batch as it is.
    With `buckets` the examples stand sorted by length: `buckets` are (examples, length), and a batch is drawn from one
    of them, its arrays cut to that length on their second axis, where they are longer.
    """

    examples: Batch  # leaves (N, ...)
    batch: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)  # of a batch's first axis
    buckets: tuple[tuple[int, int], ...] = struct.field(pytree_node=False, default=())
    rows: Array | None = None  # (n,) int32, not together with buckets
    given: Batch = struct.field(default_factory=dict)

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """{"index": (n, batch)}: the examples of steps `step`..`step + n`, wherever those fall in their epochs."""
        per_epoch = sum(size // self.batch for size in self._sizes())
        first_epoch = step // per_epoch
        touched = n // per_epoch + 2  # n steps from any point reach into at most this many epochs
        epochs = jax.lax.map(
            lambda epoch: self._epoch(jax.random.fold_in(key, epoch)), first_epoch + jnp.arange(touched)
        )
        rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), epochs)
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, step - first_epoch * per_epoch, n), rows)

    def _epoch(self, key: Array) -> dict[str, Array]:
        """The batches of one epoch: "index" (batches, batch), and the "bucket" (batches,) of each if there are any."""
        if not self.buckets:
            return {"index": self._rows(key, 0, self._sizes()[0])}
        order_key, *keys = jax.random.split(key, 1 + len(self.buckets))
        sizes = self._sizes()
        starts = np.cumsum([0, *sizes[:-1]])
        rows = [self._rows(*each) for each in zip(keys, starts, sizes, strict=True)]
        bucket = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
        order = jax.random.permutation(order_key, len(bucket))
        return {"index": jnp.concatenate(rows)[order], "bucket": jnp.asarray(bucket)[order]}

    def _rows(self, key: Array, start: int, size: int) -> Array:
        order = self._at(start + jax.random.permutation(key, size))
        return order[: size // self.batch * self.batch].reshape(-1, self.batch)

    def _sizes(self) -> list[int]:
        there = next(iter(self.examples.values())) if self.rows is None else self.rows
        return [size for size, _ in self.buckets] or [len(there)]

    def _at(self, position: Array) -> Array:
        return position if self.rows is None else self.rows[position]

    def sweep(self) -> dict[str, Array]:
        """{"index", "mask"}: (batches, batch), every example once in order; the mask is 0 on padding."""
        parts, start = [], 0
        for number, size in enumerate(self._sizes()):
            index = start + jnp.arange(-(-size // self.batch) * self.batch).reshape(-1, self.batch)
            start += size
            own = self._at(jnp.minimum(index, start - 1))
            part = {"index": own, "mask": (index < start).astype(jnp.float32)}
            parts.append(part | ({"bucket": jnp.full(len(index), number)} if self.buckets else {}))
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    def feed(self, planned: dict[str, Array], use: Callable[[Batch], T]) -> T:
        if not self.buckets:
            return use(self._batch(planned, None))
        branches = [lambda planned, length=length: use(self._batch(planned, length)) for _, length in self.buckets]
        return jax.lax.switch(planned["bucket"], branches, planned)

    def _batch(self, planned: dict[str, Array], length: int | None) -> Batch:
        index = planned["index"]
        batch = {name: leaf.at[index].get(mode="promise_in_bounds") for name, leaf in self.examples.items()}
        if length is not None:
            batch = {name: leaf[:, :length] if leaf.ndim > 1 else leaf for name, leaf in batch.items()}
        rest = {name: leaf for name, leaf in planned.items() if name not in ("index", "bucket")}
        return shard(batch | rest, self.sharding) | self.given


@struct.dataclass
class Windows:
    """One long text on the device; an example is `length` tokens from anywhere in it, and the one after them."""

    tokens: Array  # (N,) integer
    batch: int = struct.field(pytree_node=False)
    length: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """{"start": (n, batch)}, drawn with replacement."""

        def starts(step: Array) -> Array:
            return jax.random.randint(jax.random.fold_in(key, step), (self.batch,), 0, len(self.tokens) - self.length)

        return {"start": jax.vmap(starts)(step + jnp.arange(n))}

    def sweep(self) -> dict[str, Array]:
        """{"start", "new"}: windows one after the other; `new` is the first token of each that none before it holds.

        The last window begins early enough to be whole, so that every token but the text's first is predicted once.
        """
        last = len(self.tokens) - 1 - self.length
        windows = -(-(len(self.tokens) - 1) // self.length)
        number = jnp.arange(-(-windows // self.batch) * self.batch).reshape(-1, self.batch)
        start = jnp.minimum(number * self.length, last)
        return {"start": start, "new": number * self.length - start}

    def feed(self, planned: dict[str, Array], use: Callable[[Batch], T]) -> T:
        """`use` of {"tokens": (batch, length + 1) int32}, in a sweep also "mask" (batch, length): what to predict."""
        cut = partial(jax.lax.dynamic_slice_in_dim, self.tokens, slice_size=self.length + 1)
        batch = {"tokens": jax.vmap(cut)(planned["start"]).astype(jnp.int32)}
        if "new" in planned:
            batch["mask"] = (jnp.arange(self.length)[None] >= planned["new"][:, None]).astype(jnp.float32)
        return use(shard(batch, self.sharding))


@struct.dataclass
class Stacked:
    """The batches of the next n steps, read on the host: leaves (n, batch, ...)."""

    batches: Batch
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> Batch:
        del key, step, n  # the reader has shuffled and counted already
        return self.batches

    def feed(self, planned: Batch, use: Callable[[Batch], T]) -> T:
        return use(shard(planned, self.sharding))


def shard(batch: Batch, sharding: NamedSharding | None) -> Batch:
    return batch if sharding is None else jax.lax.with_sharding_constraint(batch, sharding)


def padded(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """A last, smaller batch brought to `size` by repeating its first example, with the mask that says so."""
    have = len(next(iter(batch.values())))
    index = np.where(np.arange(size) < have, np.arange(size), 0)
    out: dict[str, Any] = {name: leaf[index] for name, leaf in batch.items()}
    return out | {"mask": (np.arange(size) < have).astype(np.float32)}


def sorted_by_length(arrays: dict[str, np.ndarray], lengths: np.ndarray, bounds: tuple[int, ...]) -> tuple:
    """`arrays` (leaves (N, ...)) sorted into buckets, and the buckets as `Resident` wants them.

    lengths: (N,), of each example; bounds: the buckets' lengths, rising, the last one no less than any of `lengths`.
    Buckets without examples are left out.
    """
    which = np.searchsorted(bounds, lengths)
    order = np.argsort(which, kind="stable")
    counts = np.bincount(which, minlength=len(bounds))
    buckets = tuple((int(count), int(bound)) for count, bound in zip(counts, bounds, strict=True) if count)
    return {name: leaf[order] for name, leaf in arrays.items()}, buckets
