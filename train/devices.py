"""Where arrays live: the compilation cache, the mesh of devices, what is copied to each and what is cut."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import platformdirs
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from zoo.errors import UserError

T = TypeVar("T")
AXIS = "batch"
LEAVE_SECONDS = 10  # a process that ends waits this long for the others; one that has crashed never comes


def prepare_backend() -> None:
    """Before JAX computes anything: keep compiled programs in the user's cache folder, choose the faster CPU code.

    Neither overrides what the user told JAX by JAX_COMPILATION_CACHE_DIR or XLA_FLAGS.
    """
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(platformdirs.user_cache_path("zoo") / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    flag, flags = "--xla_cpu_experimental_ynn_fusion_type", os.environ.get("XLA_FLAGS", "")
    if jax.__version__.startswith("0.10.") and flag not in flags:
        # This jaxlib runs many convolutions on one core; with them on Eigen ResNet-20 trains a fifth faster.
        os.environ["XLA_FLAGS"] = f"{flags} {flag}=-individual_convolution".strip()


def join_processes(coordinator: str, processes: int, process: int) -> None:
    """Make this process one of several, on one machine or many, that train one model together."""
    if processes < 1:
        raise UserError(f"--processes must be at least 1, not {processes}")
    if not 0 <= process < processes:
        raise UserError(f"--process must be 0 to {processes - 1} with --processes {processes}, not {process}")
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator must be HOST:PORT, not {coordinator!r}")
    if jax.config.jax_platforms in (None, "", "cpu"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=60, shutdown_timeout_seconds=LEAVE_SECONDS
        )
    except RuntimeError as error:
        raise UserError(f"cannot join {coordinator}: {str(error).splitlines()[0]}") from None


def agree(make: Callable[[], Path]) -> Path:
    """A path that the first process makes and all others learn; where it fails, all of them end."""
    if jax.process_count() == 1:
        return make()
    path, failure = Path(), None
    if jax.process_index() == 0:
        try:
            path = make()
        except UserError as error:
            failure = error
    text = np.frombuffer(("" if failure else str(path)).encode().ljust(4096), np.uint8)
    agreed = bytes(multihost_utils.broadcast_one_to_all(text)).decode().rstrip()
    if not agreed:
        raise failure or UserError("process 0 could not make the run folder")
    return Path(agreed)


def largest(number: int) -> int:
    """The largest of the numbers that the processes hand in; all must call this, as often as one another."""
    return number if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(number)).max())


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Where several processes train and one is lost, the others say so and leave at once.

    The usual way out would wait for the lost one and then abort with a stack trace.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0][:160]
        print(f"zoo: another process of this run was lost ({reason}); --resume goes on with it", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


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


def core_numbers() -> list[int]:
    """The processor cores that this process may use, by the system's numbers."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cores() -> int:
    """How many these are."""
    return len(core_numbers())


def describe() -> str:
    """One line on what this runs on, such as "cpu, 2 cores" or "8 x NVIDIA H200"."""
    device = jax.devices()[0]
    count = jax.device_count()
    if device.platform == "cpu":
        return f"cpu, {cores()} core{'s' * (cores() > 1)}" + (f", {count} host devices" if count > 1 else "")
    return f"{count} x {device.device_kind}" if count > 1 else device.device_kind


def memory_limit() -> int:
    """Bytes a data set may take on a device: a quarter of an accelerator's memory, 2 GiB on a CPU."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit", 8 << 30) // 4


def memory_free() -> int:
    """Bytes that are free on a device: an accelerator's own memory, or the machine's, as far as the system tells."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return 8 << 30
