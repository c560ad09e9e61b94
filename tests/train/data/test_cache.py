import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from train.config import Data
from train.data import cache
from train.data.images.catalog import load


class Builder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> cache.Arrays:
        self.calls += 1
        return {"x": np.arange(1000, dtype=np.int32), "y": np.array([self.calls])}


def file() -> Path:
    (path,) = (cache.folder() / "data").iterdir()
    return path


def test_built_once_and_again_for_another_fingerprint() -> None:
    build = Builder()
    for _ in range(2):
        held = cache.cached("folder:/some/where", [1], build)
    assert build.calls == 1
    np.testing.assert_array_equal(held["x"], np.arange(1000))
    assert set(held) == {"x", "y"}
    assert cache.cached("folder:/some/where", [2], build)["y"] == 2
    cache.cached("folder:/some-where", [2], build)
    assert build.calls == 3
    assert len(list((cache.folder() / "data").iterdir())) == 2


@pytest.mark.parametrize("harm", ["flip", "truncate", "empty", "text"])
def test_a_damaged_file_is_built_again(harm: str) -> None:
    build = Builder()
    cache.cached("set", [], build)
    content = bytearray(file().read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
    file().write_bytes({"flip": content, "truncate": content[:-500], "empty": b"", "text": b"no zip"}[harm])
    np.testing.assert_array_equal(cache.cached("set", [], build)["x"], np.arange(1000))
    assert build.calls == 2
    cache.cached("set", [], build)
    assert build.calls == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "file"))
    assert cache.cached("set", [], Builder())["y"] == 1


def test_a_write_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert cache.cached("set", [], Builder())["y"] == 1
    assert not list((cache.folder() / "data").iterdir())


def test_decoded_again_when_the_records_change(make: Callable) -> None:
    folder, content = make(splits={"train": 12, "test": 12})
    load(Data("tiny"))
    record, other = min(folder.glob("*train*")), min(folder.glob("*test*"))
    record.write_bytes(other.read_bytes())  # as many records, other images
    os.utime(record, ns=(1, 1))
    changed = load(Data("tiny", validation=0)).train.arrays()["x"]
    np.testing.assert_array_equal(changed[:6], content["test"][0][:6])


def test_what_a_kill_left_is_removed_by_the_next_write_but_not_what_is_being_written(tmp_path: Path) -> None:
    cache.place().mkdir(parents=True)
    left, young, foreign = (cache.place() / f".{name}.part" for name in ("0" * 16, "1" * 16, "notes"))
    for path in (left, young, foreign):
        path.write_bytes(b"half")
        os.utime(path, (1, 1))
    with young.open("r+b") as file:
        cache._lock(file)
        cache.cached("new", [], lambda: {"x": np.zeros(3)})
        assert [path.exists() for path in (left, young, foreign)] == [False, True, True]
