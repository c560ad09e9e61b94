"""Where arrays live: the compilation cache, the mesh of devices, what is copied to each and what is cut."""

from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from zoo.errors import UserError

T = TypeVar("T")
AXIS = "batch"


def make_mesh(batch: int) -> Mesh | None:
    """All devices in a row, or None when there is just one. `batch` must divide among them."""
    count = jax.device_count()
    if batch % count:
        raise UserError(f"data.batch {batch} does not divide among {count} devices: take a multiple of {count}")
    return Mesh(np.array(jax.devices()), (AXIS,)) if count > 1 else None


def batch_sharding(mesh: Mesh | None) -> NamedSharding | None:
    """The first axis of a batch cut across the mesh."""
    return None if mesh is None else NamedSharding(mesh, PartitionSpec(AXIS))


def state_sharding(abstract: Any, mesh: Mesh | None, how: str) -> Any:
    """Sharding for each leaf: a copy everywhere ("data"), or its longest divisible axis cut ("fsdp")."""

    def one(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        spec: list[str | None] = [None] * leaf.ndim
        divisible = [axis for axis, size in enumerate(leaf.shape) if size % mesh.size == 0]
        if how == "fsdp" and divisible:
            spec[max(divisible, key=lambda axis: leaf.shape[axis])] = AXIS
        return NamedSharding(mesh, PartitionSpec(*spec))

    return None if mesh is None else jax.tree.map(one, abstract)


def placed(abstract: Any, mesh: Mesh | None, how: str) -> Any:
    """`abstract` with the place of each leaf, so that a checkpoint of any number of devices can be read into it."""
    alone = SingleDeviceSharding(jax.local_devices()[0])
    shardings = state_sharding(abstract, mesh, how) or jax.tree.map(lambda _: alone, abstract)
    return jax.tree.map(lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), abstract, shardings)


def place(arrays: Any, mesh: Mesh | None, *axes: str | None) -> Any:
    """Host arrays onto the devices, their leading `axes` cut as named (none: a copy everywhere)."""
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, arrays)
    sharding = NamedSharding(mesh, PartitionSpec(*axes))
    return jax.tree.map(lambda a: jax.make_array_from_callback(a.shape, sharding, lambda cut: a[cut]), arrays)


def settle(arrays: T) -> T:
    """`arrays`, once every device has computed its part.

    Host devices share their threads: a program that starts on some of them while others still wait for one another in
    the last one can lock both up.
    """
    return jax.block_until_ready(arrays)
