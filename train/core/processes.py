"""Several processes that train one model together."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from zoo.errors import UserError, note

LEAVE_SECONDS = 10  # how long a process that ends waits for the others, one of which may have crashed


def join_processes(coordinator: str, processes: int, process: int) -> None:
    """Join the processes, on one machine or several, that train one model together."""
    if processes < 1:
        raise UserError(f"--processes must be at least 1, not {processes}")
    if not 0 <= process < processes:
        raise UserError(f"--process must be 0 to {processes - 1} with --processes {processes}, not {process}")
    if not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator must be HOST:PORT, not {coordinator!r}")
    # JAX enters its options at run time; no stub lists them.
    if jax.config.jax_platforms in (None, "", "cpu"):  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=60, shutdown_timeout_seconds=LEAVE_SECONDS
        )
    except RuntimeError as error:
        raise UserError(f"cannot join {coordinator}: {str(error).splitlines()[0]}") from None


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
