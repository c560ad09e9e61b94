"""Early stopping: where a run ends, what State it leaves, alone and as a replica, cut and resumed."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from interruption import Interruption
from rich.console import Console

import train.loop.run
from train import cli
from train.commands.extract import extract
from train.config import Data, Experiment, Model, Optim
from train.core.signals import Stopped
from train.loop.fit import fit
from train.loop.restore import restore, restore_replicas
from train.loop.run import Run
from train.tasks.assemble import assemble

QUIET = Console(quiet=True)
PATIENT = Experiment(
    model=Model("mlp", {"widths": (16,)}),
    data=Data("digits", batch=32),
    optim=Optim("momentum", lr=0.3),
    steps=300,
    eval_every_steps=5,
    patience=3,
    seed=2,
)
TOGETHER = dataclasses.replace(PATIENT, seed=0, seeds=3)


def trained(experiment: Experiment, folder: Path) -> Run:
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), QUIET)
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Run:
    return trained(PATIENT, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Run:
    return trained(TOGETHER, tmp_path_factory.mktemp("together"))


def by_hand(steps: list[int], scores: list[float], patience: int) -> tuple[int, int]:
    """(best step, step at which it stops) of Goodfellow et al. 2016, algorithm 7.1."""
    best, since = 0, 0
    for i, score in enumerate(scores[1:], start=1):
        best, since = (i, 0) if score > scores[best] else (best, since + 1)
        if since == patience:
            return steps[best], steps[i]
    return steps[best], steps[-1]


def assert_same_bits(a, b) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_run_stops_where_validation_no_longer_rises_and_leaves_its_best_state(alone: Run, tmp_path) -> None:
    longer = trained(dataclasses.replace(PATIENT, patience=None, steps=150), tmp_path)
    lines = [line for line in train.loop.run.read_metrics(longer.path) if line["split"] == "validation"]
    best, stop = by_hand([line["step"] for line in lines], [line["accuracy"] for line in lines], 3)
    assert stop < 150, "choose a setting that stops early"
    summary = train.loop.run.read_summary(alone.path)
    assert (*summary.replicas[0].stops_to_json().values(), summary.steps) == (best, stop, stop)
    assert train.loop.run.read_metrics(alone.path)[-1]["best_step"] == best
    there = trained(dataclasses.replace(PATIENT, patience=None, steps=best), tmp_path)
    for which in ("last", "best"):
        assert_same_bits(restore(alone, which)[1], restore(there)[1])
    assert summary.test == train.loop.run.read_summary(there.path).test
    assert summary.validation["accuracy"] == max(line["accuracy"] for line in lines if line["step"] <= stop)


@pytest.mark.slow
def test_each_replica_stops_for_itself_as_it_does_alone(alone: Run, together: Run, tmp_path) -> None:
    replicas = train.loop.run.read_summary(together.path).replicas
    stops = [one.stopped_at_step for one in replicas]
    assert stops[2] < max(stops), "choose a seed that stops before another"
    taken, mine = extract(together, 2, tmp_path), train.loop.run.read_summary(alone.path)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), restore(taken)[1], restore(alone)[1]
    )
    summary = train.loop.run.read_summary(taken.path)
    summary, mine = summary.to_json(), mine.to_json()
    assert summary.keys() == mine.keys()
    for name in ("best_step", "stopped_at_step", "steps", "examples"):
        assert summary[name] == mine[name]
    lines = [train.loop.run.read_metrics(run.path) for run in (taken, alone)]
    assert [(line["step"], line["split"]) for line in lines[0]] == [(line["step"], line["split"]) for line in lines[1]]
    assert [line["loss"] for line in lines[0]] == pytest.approx([line["loss"] for line in lines[1]], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("looks", [1, 5, 8])
def test_an_interrupted_run_stops_where_it_would_have(looks: int, together: Run, tmp_path, monkeypatch) -> None:
    cut = train.loop.run.create("cut", TOGETHER, tmp_path)

    parts = assemble(TOGETHER)
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", lambda: Interruption(looks))
        with pytest.raises(Stopped, match="stopped at step"):
            fit(cut, parts, QUIET)
    fit(cut, parts, QUIET, resume=True)
    assert_same_bits(restore_replicas(together)[2], restore_replicas(cut)[2])
    for name in ("replicas", "steps", "test", "validation"):
        runs = [train.loop.run.read_summary(run.path) for run in (cut, together)]
        assert getattr(runs[0], name) == getattr(runs[1], name)


def test_a_run_killed_after_its_last_checkpoint_still_has_its_summary(alone: Run) -> None:
    before = train.loop.run.read_summary(alone.path).to_json()
    (alone.path / "summary.json").unlink()
    fit(alone, assemble(PATIENT), QUIET, resume=True)
    after = train.loop.run.read_summary(alone.path).to_json()
    assert {name: after[name] for name in ("best_step", "stopped_at_step", "steps", "test", "validation")} == {
        name: before[name] for name in ("best_step", "stopped_at_step", "steps", "test", "validation")
    }


@pytest.mark.slow
def test_a_replica_whose_loss_is_lost_leaves_the_state_before_that(tmp_path) -> None:
    experiment = dataclasses.replace(
        PATIENT, optim=Optim("sgd"), steps=20, patience=2, seeds=1, sweep=("optim.lr=0.1,1e30",)
    )
    fine, lost = train.loop.run.read_summary(trained(experiment, tmp_path).path).replicas
    assert fine.stopped_at_step == 20
    assert (lost.best_step, lost.stopped_at_step) == (5, 15)
    assert lost.diverged_at_step is not None


def test_the_command_says_where_a_run_stopped(tmp_path, capsys) -> None:
    options = ("--eval-every-steps=2", "--patience=1", "--optim.schedule=constant", "--optim.lr=0.1")
    assert cli.run(["train", "digits_mlp", "--steps=60", *options, f"--workdir={tmp_path}"]) == 0
    assert "; its State is that of step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("digits_mlp --patience 2 --data.validation 0", "patience needs a validation split to judge by"),
        ("digits_gan --patience 2", "patience needs a validation split to judge by"),
        ("digits_mlp --patience 0", "patience must be at least 1, not 0"),
    ],
)
def test_patience_that_cannot_be_is_one_line(command: str, line: str, tmp_path, capsys) -> None:
    assert cli.run(["train", *command.split(), "--workdir", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.startswith(f"zoo: {line}")
    assert not (tmp_path / "runs").exists()
