"""Batches inside the compiled program: drawn from a set that lives on the device, or stacked by a reader."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.sharding import NamedSharding

Batch = dict[str, Array]


@struct.dataclass
class Resident:
    """A whole set on the device. Each epoch is a new permutation; its last partial batch is left out."""

    examples: Batch  # leaves (N, ...)
    batch: int = struct.field(pytree_node=False)
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)  # of a batch's first axis

    def plan(self, key: Array, step: Array, n: int) -> dict[str, Array]:
        """{"index": (n, batch)}: the examples of steps `step`..`step + n`, wherever those fall in their epochs."""
        size = len(next(iter(self.examples.values())))
        per_epoch = size // self.batch
        first_epoch = step // per_epoch
        touched = n // per_epoch + 2  # n steps from any point reach into at most this many epochs

        def shuffled(epoch: Array) -> Array:
            order = jax.random.permutation(jax.random.fold_in(key, epoch), size)
            return order[: per_epoch * self.batch].reshape(per_epoch, self.batch)

        order = jax.lax.map(shuffled, first_epoch + jnp.arange(touched)).reshape(-1, self.batch)
        return {"index": jax.lax.dynamic_slice_in_dim(order, step - first_epoch * per_epoch, n)}

    def sweep(self) -> dict[str, Array]:
        """{"index", "mask"}: (batches, batch), every example once in order; the mask is 0 on padding."""
        size = len(next(iter(self.examples.values())))
        index = jnp.arange(-(-size // self.batch) * self.batch).reshape(-1, self.batch)
        return {"index": jnp.minimum(index, size - 1), "mask": (index < size).astype(jnp.float32)}

    def fetch(self, planned: dict[str, Array]) -> Batch:
        index = planned["index"]
        batch = {name: leaf.at[index].get(mode="promise_in_bounds") for name, leaf in self.examples.items()}
        rest = {name: leaf for name, leaf in planned.items() if name != "index"}
        return shard(batch | rest, self.sharding)


@struct.dataclass
class Stacked:
    """The batches of the next n steps, read on the host: leaves (n, batch, ...)."""

    batches: Batch
    sharding: NamedSharding | None = struct.field(pytree_node=False, default=None)

    def plan(self, key: Array, step: Array, n: int) -> Batch:
        del key, step, n  # the reader has shuffled and counted already
        return self.batches

    def fetch(self, planned: Batch) -> Batch:
        return shard(planned, self.sharding)


def shard(batch: Batch, sharding: NamedSharding | None) -> Batch:
    return batch if sharding is None else jax.lax.with_sharding_constraint(batch, sharding)


def padded(batch: dict[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """A last, smaller batch brought to `size` by repeating its first example, with the mask that says so."""
    have = len(next(iter(batch.values())))
    index = np.where(np.arange(size) < have, np.arange(size), 0)
    out: dict[str, Any] = {name: leaf[index] for name, leaf in batch.items()}
    return out | {"mask": (np.arange(size) < have).astype(np.float32)}
