"""What a resumed run may change: the readers of its data, and its length where that changes no step it has done."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from interruption import Interruption
from rich.console import Console

import train.loop.run
from train import cli
from train.config import Data, Experiment, Language, Model, Optim, QLearning, Text, World
from train.core.signals import Stopped
from train.loop import change
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.loop.run import Run
from train.tasks.assemble import assemble
from zoo.errors import UserError

QUIET = Console(quiet=True)
LONG = Experiment(
    model=Model("mlp", {"widths": (8,), "dropout": 0.1}),
    data=Data("digits", batch=32, placement="stream", workers=0),
    optim=Optim("adam", lr=3e-3, accumulate=4),  # 4 divides neither 10 nor 20: the sums go on too
    steps=20,
    eval_every_steps=5,
)
SHORT = dataclasses.replace(LONG, steps=10)


@pytest.fixture(scope="module")
def parts():
    return assemble(LONG)


@pytest.fixture(scope="module")
def straight(parts, tmp_path_factory) -> Run:
    """A run of 20 steps from the start."""
    run = train.loop.run.create("straight", LONG, tmp_path_factory.mktemp("runs"))
    fit(run, parts, QUIET)
    return run


def leaves(run: Path, parts) -> list[np.ndarray]:
    return jax.tree.leaves(Checkpoints(run / "checkpoints", read_only=True).restore(parts.abstract)[0])


def measured(run: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in train.loop.run.read_metrics(run)]


@pytest.mark.parametrize("finished", [True, False])
def test_a_longer_run_ends_with_the_bits_of_one_from_the_start(
    finished: bool, straight: Run, parts, tmp_path, monkeypatch
) -> None:
    run = train.loop.run.create("short", SHORT, tmp_path)
    if finished:
        fit(run, assemble(SHORT), QUIET)
    else:
        setup = assemble(SHORT)
        with monkeypatch.context() as patch:
            patch.setattr("train.loop.fit.Watch", lambda: Interruption(0))
            with pytest.raises(Stopped):
                fit(run, setup, QUIET)
    assert cli.run(["train", "--resume", str(run.path), "--steps", "20", "--data.workers=1"]) == 0
    for left, right in zip(leaves(straight.path, parts), leaves(run.path, parts), strict=True):
        np.testing.assert_array_equal(left, right)
    assert measured(run.path) == measured(straight.path)
    changed = train.loop.run.load(run.path)
    done = 10 if finished else 5
    assert changed.experiment == dataclasses.replace(LONG, data=dataclasses.replace(LONG.data, workers=1))
    assert changed.changes == (
        {"field": "steps", "from": 10, "to": 20, "at_step": done},
        {"field": "data.workers", "from": 0, "to": 1, "at_step": done},
    )
    assert train.loop.run.read_summary(run.path).steps == 20


def held(tmp_path: Path, experiment: Experiment, step: int = 0) -> Run:
    """The folder of a run with an (empty) checkpoint at `step`."""
    run = train.loop.run.create("held", experiment, tmp_path)
    if step:
        (run.checkpoints / str(step)).mkdir(parents=True)
    return run


@pytest.mark.parametrize(
    ("fields", "step", "reason"),
    [
        ({"optim": Optim(schedule="linear")}, 5, "optim.schedule=linear stretches over all steps"),
        ({"optim": Optim(schedule="cosine")}, 5, "optim.schedule=cosine stretches over all steps"),
        ({"optim": Optim(schedule="one_cycle")}, 5, "optim.schedule=one_cycle stretches over all steps"),
        ({"data": World("CartPole-v1"), "task": QLearning(priority=0.6)}, 5, "task.priority_beta rises over all steps"),
        ({"patience": 3}, 10, "early stopping has put its best State in the place of the last one"),
        ({"eval_every_steps": 4}, 10, "its last step is no evaluation of a longer run, which evaluates every 4 steps"),
    ],
)
def test_a_run_that_would_begin_otherwise_says_how_to_go_on(fields, step, reason, tmp_path) -> None:
    run = held(tmp_path, dataclasses.replace(SHORT, **fields), step)
    with pytest.raises(UserError) as caught:
        change.changed(run, 20, None)
    line = f"--steps 20: {run.path} cannot go on as a longer run: {reason}"
    assert str(caught.value).startswith(line)
    assert str(caught.value).endswith(f"with: zoo train CONFIG --init-from {run.path} --steps N")
    assert change.changed(run, 10, None) == run.experiment  # no change


@pytest.mark.parametrize("schedule", ["constant", "steps", "inverse_sqrt"])
def test_schedules_that_do_not_stretch(schedule, tmp_path) -> None:
    run = held(tmp_path, dataclasses.replace(SHORT, optim=Optim(schedule=schedule, decay_at=(5,))), 10)
    assert change.changed(run, 20, None).steps == 20


def test_other_changes_are_refused(tmp_path, capsys) -> None:
    run = held(tmp_path, SHORT, 10)
    with pytest.raises(UserError, match=r"--steps can only make a run longer: .* has 10 steps, not 5"):
        change.changed(run, 5, None)
    text = held(tmp_path, dataclasses.replace(SHORT, data=Text("python_docs"), task=Language()))
    with pytest.raises(UserError, match=r"--data.workers: .* learns from text, which no process reads"):
        change.changed(text, None, 2)
    for words, said in (
        ("--data.workers -1", "data.workers must not be negative, not -1"),
        ("--data.batch 8", "--data.batch: a resumed run keeps its config, but for --steps and --data.workers; a new"),
        ("--seed=8", "--seed: a resumed run keeps its config"),
        ("--steps x", "--steps must be a whole number or None, not 'x'"),
    ):
        before = (run.path / "config.json").read_bytes()
        assert cli.run(["train", "--resume", str(run.path), *words.split()]) == 2
        assert said in capsys.readouterr().err
        assert (run.path / "config.json").read_bytes() == before


def test_a_run_in_use_keeps_its_config_and_damaged_changes_are_one_line(tmp_path) -> None:
    run = held(tmp_path, SHORT)
    before = (run.path / "config.json").read_bytes()
    with train.loop.run.load(run.path), pytest.raises(UserError, match="is in use by another process"):
        change.apply(run, LONG)
    assert (run.path / "config.json").read_bytes() == before
    fields = json.loads(before)
    (run.path / "config.json").write_text(json.dumps(fields | {"changes": [3]}))
    with pytest.raises(UserError, match=r"config.json cannot be read: changes is no list of changes"):
        train.loop.run.load(run.path)
