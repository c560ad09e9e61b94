"""Settings of every test: implicit rank promotion is an error, compiled programs are kept between runs."""

import gc
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

# Before jax is imported, and in the environment, so that programs which tests start share the cache.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# What the user has run himself is remembered in his own data folder; what tests run is not.
os.environ.setdefault("ZOO_DATA_DIR", str(Path(__file__).parent.parent / ".cache" / "data"))
# Nor do decoded images of tests fill the user's cache.
os.environ.setdefault("ZOO_CACHE_DIR", str(Path(__file__).parent.parent / ".cache" / "zoo"))
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).parent.parent / ".cache" / "hypothesis"))
# Tests compile far more than they compute. Without LLVM's optimizations a cold run takes half as long; with each
# program compiled in one piece, by the plainer of two code generators, two thirds of that. Later versions of XLA have
# only one of these, and stop at a flag that they do not know.
os.environ["XLA_FLAGS"] = " ".join((
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_cpu_use_fusion_emitters=false" if metadata.version("jaxlib").startswith("0.10.") else "",
    os.environ.get("XLA_FLAGS", ""),
))  # fmt: skip

# Programs that tests start import the tests' own modules too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))

import hypothesis
import jax

from train.core import machine

# The same examples in every run, so that a test that passes today passes tomorrow.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.load_profile("tests")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Collecting garbage takes a fifth of the time in which the tests are collected, and 4 % after that, while nothing here
# makes much of it: every 700th new object is too often.
gc.set_threshold(50_000, 20, 20)

FOLDER = Path(__file__).parent


@pytest.fixture
def brief_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test is not about milliseconds, `zoo compress` and `zoo bench` take them from a call or two.

    Otherwise they repeat what they time for seconds, so that the figures are steady.
    """
    monkeypatch.setattr("train.studies.compress.curve.ROUND_SECONDS", 0.0)
    monkeypatch.setattr("train.studies.bench.steps.ROUND_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def programs_are_kept() -> Iterator[None]:
    """Emulators end it for their process, and other tests in that process go on."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = jax.config.values[name]
    yield
    jax.config.update(name, before)


@pytest.fixture(autouse=True, scope="module")
def programs_are_released() -> None:
    """A process compiles for hundreds of tests, and can hold only so many programs."""
    machine.release_programs()


def is_whole_suite(config: pytest.Config) -> bool:
    """Return whether all tests were asked for, and not some files or tests by their names."""
    # A process of pytest-xdist is given names even then, so the first process tells it.
    own = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    return getattr(config, "workerinput", {}).get("whole_suite", own)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["whole_suite"] = is_whole_suite(node.config)


@pytest.hookimpl(tryfirst=True)  # before pytest chooses tests by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that tests/slow.txt names as slow. Whoever names a file or a test wants to run it."""
    if not is_whole_suite(config):
        return
    lines = (FOLDER / "slow.txt").read_text(encoding="utf-8").splitlines()
    slow = tuple(line for line in lines if line and not line.startswith("#"))
    for item in items:
        if item.path.is_relative_to(FOLDER):
            _, _, name = item.nodeid.partition("::")
            if f"{item.path.relative_to(FOLDER).as_posix()}::{name}".startswith(slow):
                item.add_marker(pytest.mark.slow)
