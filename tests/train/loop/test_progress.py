"""What the user sees during a run: in a pipe one line for each evaluation, on a terminal a bar."""

import io

import pytest
from rich.console import Console

import train.loop.run
from train import cli
from train.config import Data, Experiment, Model
from train.loop.progress import Reporter, duration

COMMAND = ["train", "digits_mlp", "--model.widths=8", "--steps=6", "--eval-every-steps=2", "--optim.warmup-steps=2"]


def test_in_a_pipe_each_evaluation_is_one_line(tmp_path, capsys) -> None:
    assert cli.run([*COMMAND, f"--workdir={tmp_path}"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ": step " in line]
    assert [line.partition(";")[0] for line in lines] == [f"digits_mlp: step {step} of 6" for step in (2, 4, 6)]
    for part in ("; train accuracy ", ", loss ", "; validation accuracy ", "; about ", " left"):
        assert part in lines[0]
    assert " left" not in lines[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_has_a_bar_in_place_of_lines(terminal: bool, tmp_path) -> None:
    experiment = Experiment(Model("mlp"), Data("digits"), steps=10)
    run, output = train.loop.run.create("digits", experiment, tmp_path), io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=200)
    with run, Reporter(run, console, 0, 0.0, lines=True) as reporter:
        reporter.report(5, "train", [{"loss": 0.5}], steps_per_second=10.0)
        reporter.print_evaluation(5)
    assert ("step 5 of 10; train loss 0.5000; about " in output.getvalue()) is not terminal
    assert ("10 steps/s" in output.getvalue()) is terminal


def test_durations_have_the_unit_that_people_would_take() -> None:
    lengths = {0.4: "0 s", 99: "99 s", 150: "2 min", 5_999: "100 min", 9_000: "2.5 h"}
    assert {seconds: duration(seconds) for seconds in lengths} == lengths
