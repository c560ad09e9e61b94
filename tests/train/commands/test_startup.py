"""How soon a command answers: what needs no computation imports no JAX, and a slow start prints a line."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cases import slow_except

from train import cli
from train.commands import answers
from train.core import startup
from train.loop.run import read_summary

KEPT = [["list"], ["train", "digits_mlp", "--help"], ["search", "digits_mlp", "--help"]]
"""Answers that import every model the first time."""
WITHOUT_JAX = [
    [],
    ["configs"],
    ["data"],
    ["train", "--help"],
    ["train", "digits_mlx"],
    ["train", "digits_mlp", "--optim.lr", "fast"],
    ["train", "digits_mlp", "--optim.lrr", "3"],
    ["eval", "--help"],
    ["eval", "nowhere"],
    ["eval", "gpt2"],
    ["list", "--pretrained"],
    ["weights"],
    ["sample", "nowhere"],
    ["judge", "nowhere"],
    ["exhibit", "nowhere"],
    ["ensemble", "nowhere", "nowhere"],
    ["claim", "--help"],
    ["timeline", "--help"],
    ["bench", "--help"],
    ["search", "--help"],
]


@pytest.mark.parametrize("words", slow_except([["list"]], KEPT), ids=" ".join)
def test_an_answer_that_is_kept_imports_no_jax_the_second_time(words: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check = "import sys; from train import cli; cli.run(sys.argv[1:]); sys.exit('jax' in sys.modules)"
    command = [sys.executable, "-c", check, *words]
    subprocess.run(command, capture_output=True)
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_an_answer_that_needs_no_computation_imports_no_jax(tmp_path: Path, monkeypatch) -> None:
    """One process gives all of them in turn, and names the first one behind which JAX is there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check = (
        "import sys, json; from train import cli\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    cli.run(words)\n"
        "    if 'jax' in sys.modules: sys.exit(f'zoo {words} imports JAX')"
    )
    command = [sys.executable, "-c", check, json.dumps(WITHOUT_JAX)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_an_answer_is_kept_until_a_file_changes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mine, asked = tmp_path / "mine.py", []

    def answer() -> str:
        asked.append(1)
        return f"answer {len(asked)}"

    mine.write_text("first")
    assert answers.kept("q", answer, also=[mine]) == answers.kept("q", answer, also=[mine]) == "answer 1"
    assert answers.kept("another question", answer, also=[mine]) == "answer 2"
    mine.write_text("second version")
    assert answers.kept("q", answer, also=[mine]) == "answer 3"
    for file in (tmp_path / "cache").rglob("*.json"):
        file.write_text("{damaged")
    assert answers.kept("q", answer, also=[mine]) == "answer 4"


def test_a_slow_start_prints_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setattr(startup, "SECONDS", 0.01)
    with startup.announced("eval"):
        time.sleep(0.3)
    assert capsys.readouterr().err == "zoo eval: starting JAX\n"
    with startup.announced("eval"):
        startup.ready()
        time.sleep(0.3)
    assert capsys.readouterr().err == ""


def test_each_phase_of_a_start_is_measured_until_the_first_steps_are_done(monkeypatch) -> None:
    times = iter([3.0, 3.5, 4.25, 9.0])
    monkeypatch.setattr(startup.time, "perf_counter", lambda: next(times))
    startup.begin(1.0)
    startup.passed("import")
    startup.passed("compile")
    startup.passed("import", last=True)
    startup.passed("import")
    assert startup.take_phases() == {"import": 2.75, "compile": 0.5}
    assert startup.take_phases() == {}


def test_a_run_keeps_where_its_start_took_its_time(tmp_path: Path) -> None:
    words = ["digits_mlp", "--model.widths=8", "--steps=2", "--eval-every-steps=2", "--optim.warmup-steps=1"]
    startup.begin(time.perf_counter())
    assert cli.run(["train", *words, f"--workdir={tmp_path}"]) == 0
    (run,) = tmp_path.glob("*/*")
    summary = read_summary(run)
    assert summary is not None
    phases = ["import", "data and model", "initialize", "trace", "compile", "first steps"]
    assert list(summary.start) == phases
    assert 0 < sum(summary.start.values()) < summary.seconds + 60
    assert cli.run(["train", *words, f"--workdir={tmp_path / 'again'}"]) == 0
    (again,) = (tmp_path / "again").glob("*/*")
    assert "start" not in json.loads((again / "summary.json").read_text())  # nothing was started a second time
