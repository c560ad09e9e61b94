"""The machine: its cores, its memory, its devices, and how XLA is set up on it.

JAX is imported where it is used: the command line reads the number of cores before it needs JAX.
"""

import math
import os
from pathlib import Path

from train.core import startup
from zoo.errors import UserError


def prepare_backend() -> None:
    """Turn on the compilation cache in the user's cache folder, and choose the faster CPU code.

    Call it before JAX computes anything. JAX_COMPILATION_CACHE_DIR and XLA_FLAGS, where the user sets them, win.
    Raise UserError where the devices that the user chose (JAX_PLATFORMS) are not here.
    """
    import jax
    import platformdirs

    startup.ready()
    # JAX enters its options at run time; no stub lists them.
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(platformdirs.user_cache_path("zoo") / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    flag, flags = "--xla_cpu_experimental_ynn_fusion_type", os.environ.get("XLA_FLAGS", "")
    if jax.__version__.startswith("0.10.") and flag not in flags:
        # This jaxlib runs many convolutions on one core only. With Eigen's convolutions ResNet-20 trains 20 % faster.
        os.environ["XLA_FLAGS"] = f"{flags} {flag}=-individual_convolution".strip()
    try:
        jax.local_devices()
    except Exception as error:  # AssertionError where JAX lacks the platform's package, RuntimeError where it fails
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"JAX has no device of JAX_PLATFORMS={platforms}{reason and f' ({reason})'}: unset it, or name one that is "
            "here, such as cpu"
        ) from error


def keep_no_more_programs() -> None:
    """Write no program that this process compiles from now on into the compilation cache.

    For programs that hold an address of this process: no other process could use them.
    """
    import jax

    jax.config.update("jax_persistent_cache_min_compile_time_secs", math.inf)


def release_programs() -> None:
    """Let go of the programs that this process compiled, if they take half of the memory mappings it may have.

    On a CPU each function of a program has mappings of its own, a few thousand for a net with eight seeds. Linux
    grants 65,530 to a process, and where there is none left XLA ends it with a segmentation fault.
    """
    import jax

    try:
        allowed = int(Path("/proc/sys/vm/max_map_count").read_text(encoding="ascii"))
        taken = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:  # not Linux
        return
    if taken > allowed // 2:
        jax.clear_caches()


def core_numbers() -> list[int]:
    """Return the operating system's numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(core_numbers())


def describe() -> str:
    """Describe the hardware in one line, such as "cpu, 2 cores" or "8 x NVIDIA H200"."""
    import jax

    device = jax.devices()[0]
    count = jax.device_count()
    if device.platform == "cpu":
        return f"cpu, {cores()} core{'s' * (cores() > 1)}" + (f", {count} host devices" if count > 1 else "")
    return f"{count} x {device.device_kind}" if count > 1 else device.device_kind


def memory_limit() -> int:
    """Return how many bytes a data set may take on a device: a quarter of a GPU's memory, 2 GiB on a CPU."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit", 8 << 30) // 4


def memory_free() -> int:
    """Return how many bytes are free: of the accelerator's memory, else of the machine's (8 GiB if unknown)."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return host_memory_free()


def host_memory_free() -> int:
    """Return how many bytes of the machine's own memory are free (8 GiB if unknown)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return 8 << 30
