"""Settings of every test: implicit rank promotion is an error, compiled programs are kept between runs."""

import os
from pathlib import Path

# Before jax is imported, and in the environment, so that programs which tests start share the cache.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Tests compile far more than they compute: without LLVM's optimizations a cold run takes half as long.
os.environ["XLA_FLAGS"] = f"--xla_backend_optimization_level=0 {os.environ.get('XLA_FLAGS', '')}".strip()

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
