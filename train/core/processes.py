"""Several processes that train one model together."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from zoo.errors import UserError, note

LEAVE_SECONDS = 10  # how long a process that ends waits for the others, one of which may have crashed
JOIN_SECONDS = 60  # how long a process that begins waits for the others


class Launcher(NamedTuple):
    """A program that starts the tasks of a job, and the environment variables by which each task knows its place."""

    name: str
    marker: str  # is there in every task that it has started
    processes: str
    process: str
    detection: str | None  # JAX's name for it, by which it finds the address of the first task; None: it cannot


LAUNCHERS = (
    Launcher("SLURM", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "slurm"),
    Launcher("Open MPI", "OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "ompi"),
    Launcher("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", None),
    Launcher("MPI", "PMI_RANK", "PMI_SIZE", "PMI_RANK", None),
    Launcher("Kubernetes", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "JOB_COMPLETION_INDEX", None),
)


def join_job() -> None:
    """Join the other tasks of the job that this process is a task of; do nothing where there are no others.

    Raises UserError where only the user knows the address of the first task.
    """
    launcher = next((each for each in LAUNCHERS if each.marker in os.environ), None)
    if launcher is None:
        return
    count, number = os.environ.get(launcher.processes, "1"), os.environ.get(launcher.process, "0")
    if not count.isdecimal() or int(count) < 2:
        return
    alone = "--coordinator none trains alone"
    if launcher.detection is None:
        raise UserError(
            f"this is task {number} of the {count} of a {launcher.name} job, and each would train alone: give "
            f"--coordinator HOST:PORT --processes {count} --process {number} to train one model together; {alone}"
        )
    _use_gloo_on_cpus()
    try:
        jax.distributed.initialize(
            initialization_timeout=JOIN_SECONDS,
            shutdown_timeout_seconds=LEAVE_SECONDS,
            cluster_detection_method=launcher.detection,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot join the {count} tasks of this {launcher.name} job ({reason}); {alone}") from None


def join_processes(coordinator: str, processes: int, process: int) -> None:
    """Join the processes, on one machine or several, that train one model together."""
    if processes < 1:
        raise UserError(f"--processes must be at least 1, not {processes}")
    if not 0 <= process < processes:
        raise UserError(f"--process must be 0 to {processes - 1} with --processes {processes}, not {process}")
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator must be HOST:PORT, not {coordinator!r}")
    _use_gloo_on_cpus()
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process,
            initialization_timeout=JOIN_SECONDS,
            shutdown_timeout_seconds=LEAVE_SECONDS,
        )
    except RuntimeError as error:
        raise UserError(f"cannot join {coordinator}: {str(error).splitlines()[0]}") from None


def _use_gloo_on_cpus() -> None:
    # JAX enters its options at run time; no stub lists them.
    if jax.config.jax_platforms in (None, "", "cpu"):  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")


def agree(make: Callable[[], Path]) -> Path:
    """Call `make` in the first process only, and return its path in all of them. If it fails, all of them fail."""
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
    """Return the largest `number` of all processes. It is a collective: every process must call it."""
    return number if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(number)).max())


def wait_for_all(what: str) -> None:
    """Return when every process has come here. A process that leaves before aborts the others: see LEAVE_SECONDS."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """When another process of the run is lost, print one line and exit at once.

    The usual way out of Python would wait for the lost process and then abort with a stack trace.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0][:160]
        note(f"another process of this run was lost ({reason}); --resume continues the run")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
