"""The first line of a slow start: importing JAX takes seconds, in which nothing else would be printed."""

import contextlib
import sys
import threading
from collections.abc import Iterator

SECONDS = 1.5  # a command that is ready sooner prints no such line

_waiting: list[threading.Timer] = []


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
