"""Commands of `zoo` side by side, each in a process of its own that keeps to its share of the processor's cores.

Small networks gain little from a second core, and lose by waiting for it at every operation.
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

LOOK_SECONDS = 0.2  # between two looks at who has ended


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that is over: its exit code (negative: the signal it died of) and what it printed."""

    name: str
    code: int
    out: str
    err: str


@dataclasses.dataclass(frozen=True)
class _Running:
    name: str
    share: Sequence[int]
    process: subprocess.Popen[bytes]
    folder: Path  # of the files `out` and `err`: nobody reads while it runs, and a full pipe would stop it


def side_by_side(commands: Iterable[tuple[str, Sequence[str]]], jobs: int) -> Iterator[Ended]:
    """Run (name, arguments of `zoo`), at most `jobs` at once, each on every `jobs`-th core; in the order they end.

    The next command is asked for when a share is free. Where the system cannot keep a process to some cores, all share
    all. Raises Stopped after Ctrl-C or SIGTERM. However it is left, no process stays behind: each is asked to stop
    (SIGTERM, for Ctrl-C is ignored by what was started in the background), and waited for.
    """
    commands, running = iter(commands), []
    every = machine.core_numbers()
    free = [every[i::jobs] for i in range(jobs)]
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
        # A session of its own, so that Ctrl-C on the terminal reaches it only once: from `side_by_side`.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, share)  # before it makes its threads, which take after it
    return _Running(name, share, process, folder)


def _first(running: Sequence[_Running], watch: Watch) -> _Running:
    """Wait for the first one to end."""
    while watch.received is None:
        for one in running:
            if one.process.poll() is not None:
                return one
        time.sleep(LOOK_SECONDS)
    names = ", ".join(one.name for one in running)
    raise Stopped(f"{names} stopped; the same command goes on", 128 + watch.received)
