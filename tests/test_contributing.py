"""CONTRIBUTING.md is followed word for word in a copy of the repository: its files, its changes, its commands."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from train.history.claims.effects import VERDICTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"(Write|Change) `([^`]+)`:$")


class Step(NamedTuple):
    """One code block of a section."""

    kind: str  # "Write" a file, "Change" a file, or "bash"
    path: str  # of the file; empty for commands
    text: str


def steps(section: str) -> Iterator[Step]:
    """Yield the code blocks of the section with this heading, in order."""
    page = PAGE.read_text(encoding="utf-8")
    body = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)[1]
    for block in BLOCK.finditer(body):
        target = TARGET.search(block["before"])
        if block["kind"] == "bash":
            yield Step("bash", "", block["text"])
        else:
            assert target, f"the block after {block['before']!r} does not say which file it is"
            assert block["kind"] == {"Write": "python", "Change": "diff"}[target[1]]
            yield Step(target[1], target[2], block["text"])


def changed(text: str, diff: str) -> str:
    """Return `text` after a diff whose hunks are separated by @@; each hunk must fit in exactly one place."""
    for hunk in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(old) == 1, f"fits in {text.count(old)} places:\n{old}"
        text = text.replace(old, new)
    return text


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that git knows, without runs, caches and the environment."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def follow(section: str, tree: Path) -> dict[str, str]:
    """Do what a section says in `tree`; return the output of each command."""
    said = {}
    environment = os.environ | {"PYTHONPATH": str(tree), "COLUMNS": "120"}
    for step in steps(section):
        path = tree / step.path
        if step.kind == "Write":
            assert not path.exists(), f"{step.path} exists already: choose another example"
            path.parent.mkdir(exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif step.kind == "Change":
            path.write_text(changed(path.read_text(encoding="utf-8"), step.text), encoding="utf-8")
        for line in step.text.splitlines() if step.kind == "bash" else ():
            command = shlex.split(line)
            assert command[0] == "python"
            run = subprocess.run(
                [sys.executable, *command[1:]], cwd=tree, env=environment, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, f"{line}\n{run.stdout}\n{run.stderr}"
            said[line] = run.stdout
    return said


def formatted(section: str, tree: Path) -> None:
    """Assert that the files of a section pass the project's own formatter and linter."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    files = sorted({step.path for step in steps(section) if step.path})
    for command in (["format", "--check"], ["check"]):
        run = subprocess.run([ruff, *command, *files], cwd=tree, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout


@pytest.mark.slow
def test_a_model_is_added_as_the_page_says(copy: Path) -> None:
    said = follow("Add a model", copy)
    listed, shown, trained, measured, tested = said.values()
    assert "maxout_mlp" in listed
    assert "1.2 M" in listed
    assert "A unit learns its own convex activation function" in shown
    assert re.search(r"test accuracy \d\d\.\d+ %.*after 200 steps", trained.replace("\n", " "))
    assert "accuracy" in measured
    assert re.search(r"\d+ passed", tested)
    summary = json.loads(next(copy.glob("runs/digits_maxout/*/summary.json")).read_text(encoding="utf-8"))
    assert summary["model"] == "maxout_mlp"
    assert summary["test"]["accuracy"] > 0.8
    formatted("Add a model", copy)


@pytest.mark.slow
def test_a_task_is_added_as_the_page_says(copy: Path) -> None:
    trained, measured, tested = follow("Add a task", copy).values()
    assert re.search(r"test accuracy \d\d\.\d+ %.*after 200 steps", trained.replace("\n", " "))
    assert "accuracy" in measured
    assert re.search(r"\d+ passed", tested)
    summary = json.loads(next(copy.glob("runs/digits_rotation/*/summary.json")).read_text(encoding="utf-8"))
    assert (summary["task"], summary["test"]["count"]) == ("rotation", 359)
    assert summary["test"]["accuracy"] > 0.8
    formatted("Add a task", copy)


@pytest.mark.slow
def test_a_data_set_is_added_as_the_page_says(copy: Path) -> None:
    listed, trained = follow("Add a data set", copy).values()
    assert "bars" in listed
    assert "after 100 steps" in trained.replace("\n", " ")
    summary = json.loads(next(copy.glob("runs/*/*/summary.json")).read_text(encoding="utf-8"))
    assert (summary["dataset"], summary["test"]["count"]) == ("bars", 200)
    assert summary["test"]["accuracy"] > 0.9
    formatted("Add a data set", copy)


@pytest.mark.slow
def test_a_claim_is_added_as_the_page_says(copy: Path) -> None:
    judged, tested = follow("Add a claim", copy).values()
    assert "GELU units reach a lower loss" in judged
    assert re.search(r"\d+ passed", tested)
    result = json.loads((copy / "runs/claims/gelu_units/result.json").read_text(encoding="utf-8"))
    assert [len(arm["values"]) for arm in result["arms"]] == [2, 2]
    assert result["verdict"] in VERDICTS
    formatted("Add a claim", copy)


def test_every_file_that_the_page_names_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    new = {
        step.path
        for part in ("Add a model", "Add a task", "Add a data set", "Add a claim")
        for step in steps(part)
        if step.kind == "Write"
    }
    named = set(re.findall(r"`((?:zoo|train|tests|tools|configs|docs)/[\w./]*)`", page)) - new
    assert named
    assert not {name for name in named if not (ROOT / name).exists()}
