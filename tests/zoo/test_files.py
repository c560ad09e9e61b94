"""Files are written whole or not at all, whatever goes wrong."""

import os
import resource
import signal
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo.errors import UserError
from zoo.files import atomic_file, write_atomically


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow past 1,000 bytes, which the system reports like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    assert write_atomically(path, "one\ntwo\r\nü", make_folder=True) == path
    assert path.read_bytes() == "one\ntwo\r\nü".encode()
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path: Path, full_disk: None) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UserError, match=f"^cannot write {path}: File too large$"):
        write_atomically(path, "x" * 5_000)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, UserError])
def test_an_interrupted_write_keeps_the_file_that_was_there(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def write() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^cannot write .*/none/file: No such file or directory$"):
        write_atomically(tmp_path / "none" / "file", "text")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*/file/inner: "):
        write_atomically(tmp_path / "file" / "inner", "text", make_folder=True)


def test_writers_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    path, texts = tmp_path / "file", [str(i) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_atomically(path, text), texts))
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["file"]


def test_the_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "ours") as temporary:
        temporary.write_text("text")
        temporary.chmod(0o600)
    (tmp_path / "usual").write_text("text")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "usual")]
    assert modes[0] == modes[1]
