"""The machine: its cores, its memory, its devices, and how XLA is set up on it.

JAX is imported where it is used: the command line reads the number of cores before it needs JAX.
"""

import os
from pathlib import Path

from train.core import startup


def prepare_backend() -> None:
    """Before JAX computes anything: keep compiled programs in the user's cache folder, choose the faster CPU code.

    Neither overrides what the user told JAX by JAX_COMPILATION_CACHE_DIR or XLA_FLAGS.
    """
    import jax
    import platformdirs

    startup.ready()
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(platformdirs.user_cache_path("zoo") / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    flag, flags = "--xla_cpu_experimental_ynn_fusion_type", os.environ.get("XLA_FLAGS", "")
    if jax.__version__.startswith("0.10.") and flag not in flags:
        # This jaxlib runs many convolutions on one core; with them on Eigen ResNet-20 trains a fifth faster.
        os.environ["XLA_FLAGS"] = f"{flags} {flag}=-individual_convolution".strip()


def core_numbers() -> list[int]:
    """The processor cores that this process may use, by the system's numbers."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cores() -> int:
    """How many these are."""
    return len(core_numbers())


def describe() -> str:
    """One line on what this runs on, such as "cpu, 2 cores" or "8 x NVIDIA H200"."""
    import jax

    device = jax.devices()[0]
    count = jax.device_count()
    if device.platform == "cpu":
        return f"cpu, {cores()} core{'s' * (cores() > 1)}" + (f", {count} host devices" if count > 1 else "")
    return f"{count} x {device.device_kind}" if count > 1 else device.device_kind


def memory_limit() -> int:
    """Bytes a data set may take on a device: a quarter of an accelerator's memory, 2 GiB on a CPU."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit", 8 << 30) // 4


def memory_free() -> int:
    """Bytes that are free on a device: an accelerator's own memory, or the machine's, as far as the system tells."""
    import jax

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
