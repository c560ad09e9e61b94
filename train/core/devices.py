"""The placement of arrays: the mesh of devices, which arrays are replicated on it and which are sharded."""

from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from zoo.errors import UserError

T = TypeVar("T")
AXIS = "batch"


def make_mesh(batch: int | None = None) -> Mesh | None:
    """Return a mesh of all devices along one axis, or None when there is one device.

    batch: that of training, where the mesh is to train on. Evaluation has batches of its own, which are padded.
    Raise UserError where `batch` is not a multiple of the number of devices.
    """
    count = jax.device_count()
    if batch is not None and batch % count:
        raise UserError(f"data.batch {batch} does not divide among {count} devices: take a multiple of {count}")
    return Mesh(np.array(jax.devices()), (AXIS,)) if count > 1 else None


def batch_sharding(mesh: Mesh | None) -> NamedSharding | None:
    """Return a sharding that divides the first axis of a batch among the devices."""
    return None if mesh is None else NamedSharding(mesh, PartitionSpec(AXIS))


def state_sharding(abstract: Any, mesh: Mesh | None, how: str) -> Any:
    """Return the sharding of each leaf of a State, or None without a mesh.

    how: "data" replicates every leaf; "fsdp" divides the longest axis that the number of devices divides.
    """
    if mesh is None:
        return None

    def shard(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        spec: list[str | None] = [None] * leaf.ndim
        divisible = [axis for axis, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if how == "fsdp" and divisible:
            spec[max(divisible, key=lambda axis: leaf.shape[axis])] = AXIS
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(shard, abstract)


def placed(abstract: Any, mesh: Mesh | None, how: str) -> Any:
    """Return `abstract` with the sharding of each leaf, to restore a checkpoint into, whatever devices wrote it."""
    alone = SingleDeviceSharding(jax.local_devices()[0])
    shardings = state_sharding(abstract, mesh, how) or jax.tree.map(lambda _: alone, abstract)
    return jax.tree.map(lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), abstract, shardings)


def place(arrays: Any, mesh: Mesh | None, *axes: str | None) -> Any:
    """Copy host arrays to the devices. Their leading axes are sharded along mesh `axes`; without axes: replicated."""
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, arrays)
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.tree.map(lambda array: put(array, sharding), arrays)


def put(array: np.ndarray, sharding: Sharding) -> jax.Array:
    """Copy a host array to devices, also to those of other processes, which `jax.device_put` cannot."""
    return jax.make_array_from_callback(array.shape, sharding, lambda cut: array[cut])


def settle(arrays: T) -> T:
    """Block until every device has computed its part of `arrays`, then return them.

    Virtual devices of one host share their threads. If a program starts on some of them while the others still wait
    for one another in the program before, both can deadlock.
    """
    return jax.block_until_ready(arrays)


def gathered(arrays: T) -> T:
    """Return `arrays` so that programs of this process alone can use them: whole, on one of its devices.

    With several processes it is a collective, which all of them must call. With one process nothing changes.
    """
    if jax.process_count() == 1:
        return arrays

    def gather(leaf: jax.Array) -> Any:
        if leaf.is_fully_addressable:
            return leaf
        if not leaf.is_fully_replicated:
            assert isinstance(leaf.sharding, NamedSharding)  # see `state_sharding`
            replicated = NamedSharding(leaf.sharding.mesh, PartitionSpec())
            leaf = settle(jax.jit(lambda x: x, out_shardings=replicated)(leaf))
        return leaf.addressable_data(0)

    return jax.tree.map(gather, arrays)
