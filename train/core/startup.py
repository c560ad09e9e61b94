"""The start of a command: the first line of a slow one, and where the seconds before the first steps go.

Importing JAX takes seconds, in which nothing else would be printed.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

SECONDS = 1.5  # a command that is ready sooner prints no such line

_waiting: list[threading.Timer] = []
_clock: list[float] = []  # when the last phase ended; empty where no start is measured
_phases: dict[str, float] = {}


@contextlib.contextmanager
def announced(command: str) -> Iterator[None]:
    """While open, print one line to standard error if `ready` is not called within that time."""
    timer = threading.Timer(SECONDS, print, (f"zoo {command}: starting JAX",), {"file": sys.stderr, "flush": True})
    timer.daemon = True
    timer.start()
    _waiting.append(timer)
    try:
        yield
    finally:
        ready()


def ready() -> None:
    """JAX has been imported: from here on the command prints its own lines."""
    while _waiting:
        _waiting.pop().cancel()


def begin(now: float) -> None:
    """Measure from `now` (of `time.perf_counter`) how long each phase takes until the first steps are done."""
    _phases.clear()
    _clock[:] = [now]


def passed(phase: str, *, last: bool = False) -> None:
    """Count the time since the last call, or since `begin`, for `phase`. last: nothing is measured after it."""
    if not _clock:
        return
    now = time.perf_counter()
    _phases[phase] = _phases.get(phase, 0.0) + now - _clock[0]
    _clock[:] = [] if last else [now]


def take_phases() -> dict[str, float]:
    """Return the seconds of each phase of the start, to the first run that asks; {} where it was not measured."""
    found = {phase: round(seconds, 3) for phase, seconds in _phases.items()}
    _phases.clear()
    return found
