"""`zoo data clean` shows every file of ours in the cache, removes it with --yes, and leaves everything else alone."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from train.commands import data_clean
from train.data import cache
from zoo.errors import UserError

WRITER = """
import sys, time, numpy as np
from train.data import cache
whole = np.savez
def slowly(file, **arrays):
    print("writing", flush=True)
    sys.stdin.readline()
    whole(file, **arrays)
np.savez = slowly
cache.cached("slow set", [], lambda: {"x": np.arange(10)})
"""


def clean(*args: str) -> str:
    console = Console(file=io.StringIO(), width=300)
    data_clean.clean(args, console)
    return console.file.getvalue()


def fill() -> None:
    cache.cached("folder:/a/pets-headers", [], lambda: {"rows": np.zeros(250_000)})
    cache.cached("mnist-3.0.1-train", [], lambda: {"x": np.zeros(10)})


def names() -> list[str]:
    return sorted(path.name for path in cache.place().iterdir())


def test_an_empty_cache_is_no_error() -> None:
    assert clean() == clean("--yes") == f"{cache.place()}: 0 files, 0.0 MB\n"


def test_it_shows_what_is_there_and_removes_only_with_yes() -> None:
    fill()
    hour_ago = os.stat(cache.place()).st_mtime - 3 * 3600
    for path in cache.place().iterdir():
        os.utime(path, (hour_ago, hour_ago))
    before = names()
    shown = clean()
    line = next(line for line in shown.splitlines() if "folder:/a/pets-headers" in line)
    assert all(word in line for word in ("2.0 MB", "3 hours", "folder-a-pets-headers-"))
    assert "mnist-3.0.1-train" in shown
    assert shown.endswith("zoo data clean --yes removes this; a run that needs it builds it again\n")
    assert names() == before
    assert "removed 1 file, 0.0 MB" in clean("mnist", "--yes")
    assert len(names()) == 1
    assert "removed 1 file, 2.0 MB" in clean("--yes")
    assert names() == []
    with pytest.raises(UserError, match=r"holds nothing of cifar10: zoo data clean lists"):
        clean("cifar10", "--yes")


def test_damaged_and_unfinished_files_go_and_others_stay(tmp_path: Path) -> None:
    fill()
    (damaged,) = cache.place().glob("mnist*")
    damaged.write_bytes(damaged.read_bytes()[:200])
    (cache.place() / f".{'0f' * 8}.part").write_bytes(b"left by a process that was killed")
    (cache.place() / "mine.npz").write_bytes(b"")
    (cache.place() / "mine-0123abcd.txt").write_bytes(b"")
    with zipfile.ZipFile(cache.place() / "mine-0123abcd.npz", "w") as archive:
        archive.writestr("x.npy", b"")
    (cache.place() / "folder-0123abcd.npz").mkdir()
    (tmp_path / "kept").write_text("")
    (cache.place() / "link-0123abcd.npz").symlink_to(tmp_path / "kept")
    shown = clean("--yes")
    assert "mnist-3.0.1-train, damaged" in shown
    assert "unfinished" in shown
    assert "removed 3 files" in shown
    assert names() == [
        *("folder-0123abcd.npz", "link-0123abcd.npz", "mine-0123abcd.npz"),
        "mine-0123abcd.txt",
        "mine.npz",
    ]
    assert (tmp_path / "kept").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows itself refuses to remove a file that is open")
def test_what_another_process_writes_stays_and_is_then_whole() -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "writing\n"
    shown = clean("--yes")
    assert "being written" in shown
    assert "is in use by another process and stays" in shown
    writer.communicate("\n", timeout=60)
    assert writer.returncode == 0
    [entry] = cache.entries()
    assert (entry.holds, entry.state) == ("slow set", "whole")
    assert cache.cached("slow set", [], lambda: {"x": np.zeros(0)})["x"].tolist() == list(range(10))


def test_a_file_of_an_older_version_is_ours_and_is_still_read() -> None:
    cache.cached("set", ["1"], lambda: {"x": np.arange(3)})
    [entry] = cache.entries()
    with zipfile.ZipFile(entry.path, "a") as archive:
        archive.comment = b""
    [old] = cache.entries()
    assert (old.holds, old.state) == ("set", "whole")
    assert cache.cached("set", ["1"], lambda: {"x": np.zeros(0)})["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 seconds"), (1, "1 second"), (3599, "59 minutes"), (9e6, "104 days")]
)
def test_age(seconds: float, said: str) -> None:
    assert data_clean.age(seconds) == said
