"""A run of an experiment: a finished one, one that was stopped, or a new one."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

import train.loop.run
from train.config import Data, Experiment, Model
from train.loop import restore
from train.loop.restore import Opened, opened

EXPERIMENT = Experiment(Model("mlp"), Data("digits"))


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The folders of runs that count as finished. No data are loaded."""
    paths: set[Path] = set()
    monkeypatch.setattr(restore, "is_finished", paths.__contains__)
    monkeypatch.setattr(train.loop.run, "read_summary", lambda path: "" if path in paths else None)
    monkeypatch.setattr(restore, "assemble_run", lambda _, folder=None: SimpleNamespace(tokenizer=None, folder=folder))
    return paths


def test_a_finished_run_is_found_a_stopped_one_goes_on_and_else_there_is_a_new_one(
    tmp_path: Path, finished: set[Path]
) -> None:
    """Four commands each had their own way, and two of them trained anew what had been stopped."""
    new = opened("net", EXPERIMENT, tmp_path)
    assert (new.resume, new.run.experiment, new.run.path.parent) == (False, EXPERIMENT, tmp_path / "net")
    begun = opened("net", EXPERIMENT, tmp_path)
    assert (begun.resume, begun.run.path) == (True, new.run.path)
    assert begun.setup.folder == new.run.path  # with the tokenizer and the moments that it has
    other = opened("net", dataclasses.replace(EXPERIMENT, seed=1), tmp_path)
    assert not other.resume
    finished.add(new.run.path)
    found = opened("net", EXPERIMENT, tmp_path)
    assert (found.run.path, found.setup) == (new.run.path, None)


def test_a_run_that_may_not_be_used_is_passed_over_and_one_that_is_over_is_not_continued(
    tmp_path: Path, finished: set[Path]
) -> None:
    first = opened("net", EXPERIMENT, tmp_path).run
    again = opened("net", EXPERIMENT, tmp_path, usable=lambda _: False)
    assert again.run.path != first.path
    assert not again.resume
    diverged = opened("net", EXPERIMENT, tmp_path, over=lambda path: path == first.path)
    assert isinstance(diverged, Opened)
    assert (diverged.run.path, diverged.setup) == (first.path, None)
    finished.add(again.run.path)
    assert opened("net", EXPERIMENT, tmp_path, over=lambda path: path == first.path).run.path == again.run.path
