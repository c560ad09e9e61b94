"""What the user sees during a run: in a pipe one line for each evaluation, on a terminal a bar."""

import io
import json
import time

import pytest
from rich.console import Console

import train
import train.loop.run
from train import cli
from train.config import Data, Experiment, Model
from train.loop import progress
from train.loop.progress import Reporter, duration
from zoo.errors import UserError

COMMAND = ["train", "digits_mlp", "--model.widths=8", "--steps=6", "--eval-every-steps=2", "--optim.warmup-steps=2"]


def test_in_a_pipe_each_evaluation_is_one_line(tmp_path, capsys) -> None:
    assert cli.run([*COMMAND, f"--workdir={tmp_path}"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"digits_mlp: run folder {next(tmp_path.glob('*/*'))}"
    lines = [line for line in rest if ": step " in line]
    assert [line.partition(";")[0] for line in lines] == [f"digits_mlp: step {step} of 6" for step in (2, 4, 6)]
    for part in ("; train accuracy ", ", loss ", "; validation accuracy ", "; about ", " left"):
        assert part in lines[0]
    assert " left" not in lines[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_has_a_bar_in_place_of_lines(terminal: bool, tmp_path) -> None:
    experiment = Experiment(Model("mlp"), Data("digits"), steps=10)
    run, output = train.loop.run.create("digits", experiment, tmp_path), io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    with run, Reporter(run, console, 0, 0.0, lines="text") as reporter:
        reporter.report(5, "train", [{"loss": 0.5}], steps_per_second=10.0)
        reporter.print_evaluation(5)
    assert ("step 5 of 10; train loss 0.5000; about " in output.getvalue()) is not terminal
    assert ("10 steps/s" in output.getvalue()) is terminal


@pytest.mark.parametrize(("lines", "terminal"), [("text", False), ("text", True), ("json", False), (None, False)])
def test_a_slow_start_says_what_it_waits_for_where_lines_are_printed(lines, terminal, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(progress, "SLOW_SECONDS", 1.0)  # a busy machine reaches `done` sooner
    run = train.loop.run.create("digits", Experiment(Model("mlp"), Data("digits")), tmp_path)
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    with progress.announced(run, console, lines) as done:
        done()
        time.sleep(1.2)
    assert output.getvalue() == ""
    monkeypatch.setattr(progress, "SLOW_SECONDS", 0.01)
    with progress.announced(run, console, lines):
        time.sleep(0.2)
    line = "digits: compiling mlp, once for each program; progress follows\n"
    assert output.getvalue() == (line if lines == "text" and not terminal else "")


@pytest.mark.parametrize("seconds", [0, 100])
def test_a_slow_start_has_a_line_after_the_first_steps(seconds: int, tmp_path) -> None:
    run = train.loop.run.create("digits", Experiment(Model("mlp"), Data("digits"), steps=10), tmp_path)
    output = io.StringIO()
    with (
        run,
        Reporter(run, Console(file=output, width=200), 0, time.perf_counter() - seconds, lines="text") as reporter,
    ):
        for step in (2, 4):
            reporter.report(step, "train", [{"loss": 0.5}], steps_per_second=10.0)
            reporter.print_first(step)
    printed = output.getvalue()
    assert printed.startswith("digits: step 2 of 10; train loss 0.5000; about 1 s left") if seconds else printed == ""
    assert printed.count("\n") == bool(seconds)


def test_for_machines_every_event_is_one_line_of_json(tmp_path, capsys) -> None:
    assert cli.run([*COMMAND, f"--workdir={tmp_path}", "--log=json"]) == 0
    start, *evaluations, end = map(json.loads, capsys.readouterr().out.splitlines())
    run = next(tmp_path.glob("*/*"))
    assert (start["event"], end["event"]) == ("start", "end")
    assert start["run"] == end["run"] == str(run)
    assert [line["step"] for line in evaluations] == [2, 4, 6]
    measured = [line for line in train.loop.run.read_metrics(run) if line["split"] == "validation"]
    for line, kept in zip(evaluations, measured, strict=True):
        assert line["validation"]["loss"] == kept["loss"]
    assert end["test"] == train.loop.run.read_summary(run).test


def test_in_python_a_run_returns_its_summary_and_raises_what_is_wrong(tmp_path, capsys) -> None:
    experiment = Experiment(Model("mlp", {"widths": (8,)}), Data("digits"), steps=4, eval_every_steps=2)
    summary = train.run(experiment, name="mine", workdir=tmp_path)
    run = next(tmp_path.glob("mine/*"))
    assert summary.test == train.loop.run.read_summary(run).test
    assert capsys.readouterr().out.startswith(f"mine: run folder {run}\nmine: step 2 of 4; ")
    with pytest.raises(UserError, match="unknown model 'mlq'"):
        train.run(Experiment(Model("mlq"), Data("digits")), workdir=tmp_path)
    assert capsys.readouterr() == ("", "")


def test_durations_have_the_unit_that_people_would_take() -> None:
    lengths = {0.4: "0 s", 99: "99 s", 150: "2 min", 5_999: "100 min", 9_000: "2.5 h"}
    assert {seconds: duration(seconds) for seconds in lengths} == lengths
