"""Processes side by side: their cores, when the next begins, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cases import slow_except

from train.core import machine
from train.history.claims.workers import side_by_side

CONFIG = """import os, time
from pathlib import Path
from train.core import machine
Path({file!r}).write_text(f"{{os.getpid()}} {{machine.core_numbers()}}")
while not Path({until!r}).exists():
    time.sleep(0.05)
"""
LEADER = """import sys
from train.core.signals import Stopped
from train.history.claims.workers import side_by_side
try:
    list(side_by_side([("slow", ["train", sys.argv[1]])], 1))
except Stopped as stop:
    print(stop, file=sys.stderr)
    sys.exit(stop.code)
"""


def waiting(folder: Path, name: str, until: str) -> tuple[Path, Path]:
    """A config file that says who runs it, then waits until another one has said so; and where it says so."""
    config, file = folder / f"{name}.py", folder / f"{name}.txt"
    config.write_text(CONFIG.format(file=str(file), until=str(folder / f"{until}.txt")))
    return config, file


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or machine.cores() < 2, reason="needs two cores to share out")
def test_each_has_its_own_cores_and_the_next_begins_when_one_has_ended(tmp_path) -> None:
    asked = []

    def commands():
        for name, until in (("long", "last"), ("short", "short"), ("last", "long")):
            asked.append(name)
            yield name, ["train", str(waiting(tmp_path, name, until)[0])]

    ended = []
    for one in side_by_side(commands(), 2):
        ended.append(one.name)
        assert len(asked) == min(3, len(ended) + 1)
        assert one.code == 2  # the file defines no CONFIG
        assert "defines no CONFIG" in one.err
    assert ended[0] == "short"
    cores = {name: (tmp_path / f"{name}.txt").read_text().split(" ", 1)[1] for name in ended}
    every = machine.core_numbers()
    assert (cores["long"], cores["short"]) == (str(every[::2]), str(every[1::2]))
    assert cores["last"] == cores["short"]  # the share that was free


@pytest.mark.parametrize("number", slow_except([signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]))
def test_stopped_it_leaves_no_process_behind(tmp_path, number: int) -> None:
    config, file = waiting(tmp_path, "slow", "never")
    command = [sys.executable, "-c", LEADER, str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as leader:
        while not (file.exists() and file.read_text()):
            assert leader.poll() is None, leader.stderr.read()
            time.sleep(0.05)
        leader.send_signal(number)
        assert leader.stderr.read() == "slow stopped; the same command continues it\n"
    assert leader.returncode == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text().split()[0]), 0)
