"""Run several `zoo` commands at the same time, each in its own process on its own share of the cores.

Small networks gain little from a second core, because they wait for it at every operation.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from train.core import machine
from train.core.signals import Stopped, Watch

POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code (negative: the signal that killed it) and its output."""

    name: str
    code: int
    out: str
    err: str


@dataclasses.dataclass(frozen=True)
class _Running:
    name: str
    share: Sequence[int]
    process: subprocess.Popen[bytes]
    folder: Path  # of the files `out` and `err`: nothing reads them while it runs, and a full pipe would block it


def side_by_side(commands: Iterable[tuple[str, Sequence[str]]], jobs: int) -> Iterator[Ended]:
    """Run commands (name, arguments of `zoo`), at most `jobs` at once. Yields each when it has ended.

    Each process runs on every `jobs`-th core, or on all of them where the system has no CPU affinity. The next command
    is taken from `commands` when a process has ended. Raises Stopped after Ctrl-C or SIGTERM. At the end, all remaining
    processes are terminated by SIGTERM, since background processes ignore SIGINT, and waited for.
    """
    commands, running = iter(commands), []
    every = machine.core_numbers()
    free: list[Sequence[int]] = [every[i::jobs] for i in range(jobs)]
    with tempfile.TemporaryDirectory() as folder, Watch() as watch:
        try:
            while True:
                while free and (command := next(commands, None)) is not None:
                    running.append(_start(*command, free.pop(0), Path(tempfile.mkdtemp(dir=folder))))
                if not running:
                    return
                ended = _first(running, watch)
                running.remove(ended)
                free.append(ended.share)
                said = [(ended.folder / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err")]
                yield Ended(ended.name, ended.process.returncode, *said)
        finally:
            for left in running:
                left.process.terminate()
            for left in running:
                left.process.wait()


def _start(name: str, args: Sequence[str], share: Sequence[int], folder: Path) -> _Running:
    command = [sys.executable, "-m", "train", *args]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        # In its own session it does not receive Ctrl-C from the terminal, but only the signal of `side_by_side`.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, share)  # before it starts its threads, which inherit the affinity
    return _Running(name, share, process, folder)


def _first(running: Sequence[_Running], watch: Watch) -> _Running:
    """Wait for the first one to end."""
    while watch.received is None:
        for one in running:
            if one.process.poll() is not None:
                return one
        time.sleep(POLL_SECONDS)
    names = ", ".join(one.name for one in running)
    raise Stopped(f"{names} stopped; the same command continues it", 128 + watch.received)
