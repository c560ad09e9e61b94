"""Sources of batches inside a compiled program: a data set in device memory, or batches that a reader stacked.

A Source `plan`s n steps at once (which examples each batch holds), and `feed`s the batch of one planned step.
"""

from collections.abc import Callable
from functools import partial

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
    """A data set in device memory. Each epoch is a new permutation without its last, partial batch.

    shuffled: if not, each epoch has the examples in their own order; not together with buckets.
    rows: use only these examples. given: arrays that join every batch unchanged.
    buckets: (examples, length) of each bucket, where `examples` are sorted by length. A batch is drawn from one bucket,
    and its arrays are cut to that length along their second axis. The examples of a bucket that fill no batch join the
    next longer bucket for that epoch, so an epoch leaves out less than one batch, as without buckets.
    """

    examples: Batch  # leaves (N, ...)
    batch: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)  # of the first axis of a batch
    buckets: tuple[tuple[int, int], ...] = struct.field(pytree_node=False, default=())
    rows: Array | None = None  # (n,) int32; not together with buckets
    given: Batch = struct.field(default_factory=dict)
    shuffled: bool = struct.field(pytree_node=False, default=True)

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """Return {"index": (n, batch)}, the examples of steps `step` to `step + n`, wherever epochs begin and end.

        With buckets also {"bucket": (n,)}.
        """
        per_epoch = sum(self._sizes()) // self.batch
        first_epoch = step // per_epoch
        touched = n // per_epoch + 2  # n steps from anywhere reach into at most this many epochs
        epochs = jax.lax.map(
            lambda epoch: self._epoch(jax.random.fold_in(key, epoch)), first_epoch + jnp.arange(touched)
        )
        batches = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), epochs)
        start = step - first_epoch * per_epoch
        return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, n), batches)

    def _epoch(self, key: Array) -> dict[str, Array]:
        """Return the batches of one epoch: "index" (batches, batch); with buckets also "bucket" (batches,)."""
        sizes = self._sizes()
        if not self.buckets:
            positions = jax.random.permutation(key, sizes[0]) if self.shuffled else jnp.arange(sizes[0])
            return {"index": self._batches(positions)}
        order_key, *keys = jax.random.split(key, 1 + len(sizes))
        batches, rest = [], jnp.zeros(0, jnp.int32)  # rest: what filled no batch of the bucket before
        for bucket_key, start, size in zip(keys, np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
            examples = jnp.concatenate([rest, start + jnp.arange(size)])
            shuffled = examples[jax.random.permutation(bucket_key, len(examples))]
            batches.append(self._batches(shuffled))
            rest = shuffled[batches[-1].size :]
        bucket = np.repeat(np.arange(len(batches)), [len(each) for each in batches])
        order = jax.random.permutation(order_key, len(bucket))
        return {"index": jnp.concatenate(batches)[order], "bucket": jnp.asarray(bucket)[order]}

    def _batches(self, positions: Array) -> Array:
        """Cut positions into whole batches and return the examples there: (batches, batch)."""
        whole = len(positions) // self.batch * self.batch
        return self._at(positions[:whole]).reshape(-1, self.batch)

    def _sizes(self) -> list[int]:
        """Return how many examples there are in each bucket; without buckets, in all."""
        there = next(iter(self.examples.values())) if self.rows is None else self.rows
        return [size for size, _ in self.buckets] or [len(there)]

    def _at(self, position: Array) -> Array:
        return position if self.rows is None else self.rows[position]

    def sweep(self) -> dict[str, Array]:
        """Plan every example once, in order: {"index", "mask", "position"}, each (batches, batch).

        The last batch is filled up by repeating an example; its mask is 1 for an example and 0 for padding. `position`
        counts the examples of the sweep, however it is cut into batches: what an evaluation draws is keyed by it.
        """
        parts, start = [], 0
        for number, size in enumerate(self._sizes()):
            index = start + jnp.arange(-(-size // self.batch) * self.batch).reshape(-1, self.batch)
            start += size
            own = self._at(jnp.minimum(index, start - 1))
            part = {"index": own, "mask": (index < start).astype(jnp.float32), "position": index}
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
    """One long text in device memory. An example is a window of `length` tokens and the token that follows it."""

    tokens: Array  # (N,) integer
    batch: int = struct.field(pytree_node=False)
    length: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """Return {"start": (n, batch)}, where each window begins; drawn with replacement."""

        def starts(step: Array) -> Array:
            return jax.random.randint(jax.random.fold_in(key, step), (self.batch,), 0, len(self.tokens) - self.length)

        return {"start": jax.vmap(starts)(step + jnp.arange(n))}

    def sweep(self) -> dict[str, Array]:
        """Plan windows that cover the text: {"start", "new"}, each (batches, batch).

        Every token but the first is predicted once. The last window begins early enough to be whole, so it overlaps the
        one before it: `new` is the first position of a window that no earlier window has predicted.
        """
        last = len(self.tokens) - 1 - self.length
        windows = -(-(len(self.tokens) - 1) // self.length)
        number = jnp.arange(-(-windows // self.batch) * self.batch).reshape(-1, self.batch)
        start = jnp.minimum(number * self.length, last)
        return {"start": start, "new": number * self.length - start}

    def feed(self, planned: dict[str, Array], use: Callable[[Batch], T]) -> T:
        """Return `use` of {"tokens": (batch, length + 1) int32}.

        In a sweep the batch also has "mask" (batch, length): 1 for each token to be predicted, 0 for the others.
        """
        cut = partial(jax.lax.dynamic_slice_in_dim, self.tokens, slice_size=self.length + 1)
        batch = {"tokens": jax.vmap(cut)(planned["start"]).astype(jnp.int32)}
        if "new" in planned:
            batch["mask"] = (jnp.arange(self.length)[None] >= planned["new"][:, None]).astype(jnp.float32)
        return use(shard(batch, self.sharding))


LONGEST = 2**31 - 1
"""Tokens that can be numbered with int32, as positions on the device are."""


@struct.dataclass
class LongWindows:
    """As `Windows`, of a text of more than LONGEST tokens: in rows of `length` tokens. A window lies in two of them."""

    rows: Array  # (R, length) integer
    size: int = struct.field(pytree_node=False)  # tokens of the text, without padding
    batch: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    @staticmethod
    def in_rows(tokens: np.ndarray, length: int) -> np.ndarray:
        """Return `rows` of a text: (R, length), padded with zeros so that two rows begin at every token."""
        rows = -(-len(tokens) // length) + 1
        return np.pad(tokens, (0, rows * length - len(tokens))).reshape(rows, length)

    @property
    def length(self) -> int:
        return self.rows.shape[1]

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """Return {"row", "offset"}, each (n, batch): where a window begins, drawn with replacement.

        Less than `length` of the last places are never drawn, so that all others are equally likely.
        """
        full = (self.size - self.length) // self.length

        def starts(step: Array) -> tuple[Array, Array]:
            row_key, offset_key = jax.random.split(jax.random.fold_in(key, step))
            rows = jax.random.randint(row_key, (self.batch,), 0, full)
            return rows, jax.random.randint(offset_key, (self.batch,), 0, self.length)

        row, offset = jax.vmap(starts)(step + jnp.arange(n))
        return {"row": row, "offset": offset}

    def sweep(self) -> dict[str, Array]:
        """Plan windows that cover the text: {"row", "offset", "new"}, each (batches, batch); see `Windows.sweep`."""
        last = self.size - 1 - self.length
        windows = -(-(self.size - 1) // self.length)
        number = np.arange(-(-windows // self.batch) * self.batch, dtype=np.int64).reshape(-1, self.batch)
        start = np.minimum(number * self.length, last)
        parts = {
            "row": start // self.length,
            "offset": start % self.length,
            "new": np.minimum(number * self.length - start, self.length),
        }
        return {name: jnp.asarray(part, jnp.int32) for name, part in parts.items()}

    def feed(self, planned: dict[str, Array], use: Callable[[Batch], T]) -> T:
        """Return `use` of the batch that `Windows.feed` has."""

        def window(row: Array, offset: Array) -> Array:
            two = jax.lax.dynamic_slice_in_dim(self.rows, row, 2).ravel()
            return jax.lax.dynamic_slice_in_dim(two, offset, self.length + 1)

        batch = {"tokens": jax.vmap(window)(planned["row"], planned["offset"]).astype(jnp.int32)}
        if "new" in planned:
            batch["mask"] = (jnp.arange(self.length)[None] >= planned["new"][:, None]).astype(jnp.float32)
        return use(shard(batch, self.sharding))


@struct.dataclass
class Stacked:
    """The batches of the next n steps, which the host has read: leaves (n, batch, ...)."""

    batches: Batch
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> Batch:
        del key, step, n  # the reader has shuffled and counted
        return self.batches

    def feed(self, planned: Batch, use: Callable[[Batch], T]) -> T:
        return use(shard(planned, self.sharding))


def shard(batch: Batch, sharding: NamedSharding | None) -> Batch:
    return batch if sharding is None else jax.lax.with_sharding_constraint(batch, sharding)


def padded(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Pad a batch to `size` by repeating its first example, and add "mask": 1 for an example, 0 for padding."""
    examples = len(next(iter(batch.values())))
    is_example = np.arange(size) < examples
    index = np.where(is_example, np.arange(size), 0)
    return {name: leaf[index] for name, leaf in batch.items()} | {"mask": is_example.astype(np.float32)}


Sorted = tuple[dict[str, np.ndarray], tuple[tuple[int, int], ...]]
"""(arrays, buckets) of `Resident`."""


def sorted_by_length(arrays: dict[str, np.ndarray], lengths: np.ndarray, bounds: tuple[int, ...]) -> Sorted:
    """Sort `arrays` (leaves (N, ...)) into buckets, and return (arrays, buckets) as `Resident` takes them.

    lengths: (N,), of each example. bounds: the length of each bucket, ascending; the last is at least the longest
    example's. Buckets without examples are left out.
    """
    which = np.searchsorted(bounds, lengths)
    order = np.argsort(which, kind="stable")
    counts = np.bincount(which, minlength=len(bounds))
    buckets = tuple((int(count), int(bound)) for count, bound in zip(counts, bounds, strict=True) if count)
    return {name: leaf[order] for name, leaf in arrays.items()}, buckets
