"""Runs from end to end on digits: what is written, resume to the bit, and every way a run can stop early."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interruption import Interruption
from rich.console import Console

import train.loop.fit
import train.loop.run
from train.config import Classify, Data, Experiment, Model, Optim, Scenes
from train.core import State
from train.core.signals import Stopped
from train.loop.checkpoints import Checkpoints
from train.loop.chunks import ChunkRunner
from train.loop.fit import fit
from train.loop.run import Run
from train.loop.schedule import chunk_steps, next_stop
from train.tasks.assemble import assemble
from zoo.errors import UserError

QUIET = Console(quiet=True)
EXPERIMENT = Experiment(
    model=Model("mlp", {"widths": (16,), "dropout": 0.1}),
    data=Data("digits", batch=32, augment=("shift_1",)),
    optim=Optim("adam", lr=3e-3),
    steps=60,
    eval_every_steps=20,
)


@pytest.fixture(scope="module")
def parts():
    return assemble(EXPERIMENT)


@pytest.fixture(scope="module")
def whole(parts, tmp_path_factory) -> Run:
    run = train.loop.run.create("whole", EXPERIMENT, tmp_path_factory.mktemp("runs"))
    fit(run, parts, QUIET)
    return run


def restored(run: Run, parts, which: str = "last") -> State:
    return Checkpoints(run.checkpoints, read_only=True).restore(parts.abstract, which)[0]


def assert_same_bits(a: State, b: State) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_run_writes_what_is_needed_to_read_and_repeat_it(whole: Run) -> None:
    lines = train.loop.run.read_metrics(whole.path)
    assert [line["step"] for line in lines if line["split"] == "validation"] == [20, 40, 60]
    assert [line["step"] for line in lines if line["split"] == "test"] == [60]
    summary = train.loop.run.read_summary(whole.path)
    assert summary.test["count"] == 359
    assert 0.25 < summary.test["accuracy"] <= 1
    assert summary.params == 64 * 16 + 16 + 16 * 10 + 10
    assert train.loop.run.load(whole.path).experiment == EXPERIMENT
    assert list((whole.path / "events").glob("events.*"))


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(whole: Run, parts, tmp_path) -> None:
    again = train.loop.run.create("again", EXPERIMENT, tmp_path)
    fit(again, parts, QUIET)
    assert_same_bits(restored(whole, parts), restored(again, parts))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(Data("digits", batch=32, placement="device"), marks=pytest.mark.slow, id="device"),
        pytest.param(Data("digits", batch=32, placement="stream", workers=0), id="stream"),
        pytest.param(Scenes(batch=32, images=None), marks=pytest.mark.slow, id="new scenes"),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_bits(data: Data, tmp_path, monkeypatch) -> None:
    experiment = dataclasses.replace(EXPERIMENT, data=data, steps=40)
    parts = assemble(experiment)
    monkeypatch.setattr("train.loop.schedule.LONGEST_CHUNK", 7)
    straight = train.loop.run.create("straight", experiment, tmp_path)
    fit(straight, parts, QUIET)
    stopped = train.loop.run.create("stopped", experiment, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", lambda: Interruption(4))
        with pytest.raises(Stopped, match=f"zoo train --resume {stopped.path}") as stop:
            fit(stopped, parts, QUIET)
    assert stop.value.code == 128 + signal.SIGTERM
    assert 0 < int(restored(stopped, parts).step) < 40
    fit(train.loop.run.load(stopped.path), parts, QUIET, resume=True)
    assert_same_bits(restored(straight, parts), restored(stopped, parts))
    steps = [line["step"] for line in train.loop.run.read_metrics(stopped.path) if line["split"] == "train"]
    assert steps == sorted(set(steps))


def test_a_killed_run_resumes_to_the_same_bits(whole: Run, parts, tmp_path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from test_fit import train_slowly; train_slowly(sys.argv[1])",
    ]
    process = subprocess.Popen([*command, str(tmp_path)], cwd=Path(__file__).parent)
    run = wait_for(lambda: next((p.parents[1] for p in tmp_path.glob("killed/*/checkpoints/20")), None), process)
    process.kill()
    process.wait()
    fit(train.loop.run.load(run), parts, QUIET, resume=True)
    assert_same_bits(restored(whole, parts), restored(Run(run, EXPERIMENT), parts))


def train_slowly(workdir: str) -> None:
    """A run of EXPERIMENT that waits before each chunk, so that it can be killed half-way."""
    advance = ChunkRunner.advance

    def slowly(self, *args):
        time.sleep(0.5)
        return advance(self, *args)

    ChunkRunner.advance = slowly
    fit(train.loop.run.create("killed", EXPERIMENT, Path(workdir)), assemble(EXPERIMENT), QUIET)


def wait_for(found, process: subprocess.Popen, seconds: float = 240):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if (result := found()) is not None:
            return result
        time.sleep(0.02)
    raise AssertionError("the run ended or hung before it wrote a checkpoint")


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path) -> None:
    experiment = Experiment(
        model=Model("mlp", {"widths": (8,)}),
        data=Data("digits", batch=32),
        optim=Optim("sgd", lr=1e9),
        task=Classify(loss="mse"),
        steps=40,
        eval_every_steps=1,
    )
    parts = assemble(experiment)
    run = train.loop.run.create("diverges", experiment, tmp_path)
    with pytest.raises(Stopped, match=r"not finite at step [1-9]\d*; the checkpoint of step \d+ in .* is kept") as stop:
        fit(run, parts, QUIET)
    assert stop.value.code == 1
    assert "summary.json" not in os.listdir(run.path)


def broken_after(step: int, monkeypatch) -> None:
    """From `step` on the parameters are infinite, while the losses of the steps until then are finite."""
    advance = ChunkRunner.advance

    def lose(self, state, start, stop, *rest):
        result = advance(self, state, start, stop, *rest)
        if stop < step:
            return result
        self.diverged.clear()
        return result._replace(
            state=result.state.replace(params=jax.tree.map(lambda w: w * jnp.inf, result.state.params))
        )

    monkeypatch.setattr(ChunkRunner, "advance", lose)


@pytest.mark.parametrize(("validation", "broken"), [(0.1, 40), (0.1, 60), (0.0, 40), (0.0, 60)])
def test_an_evaluation_is_checked_as_training_is(validation: float, broken: int, tmp_path, monkeypatch) -> None:
    """The update after the last finite loss of a chunk can be the one that breaks the parameters."""
    experiment = dataclasses.replace(EXPERIMENT, data=dataclasses.replace(EXPERIMENT.data, validation=validation))
    run = train.loop.run.create("breaks", experiment, tmp_path)
    broken_after(broken, monkeypatch)
    with pytest.raises(
        Stopped, match=f"evaluation is not finite at step {broken}; .* step {broken - 20} in .* is kept"
    ):
        fit(run, assemble(experiment), QUIET)
    assert Checkpoints(run.checkpoints, read_only=True).steps()[-1] == broken - 20
    assert train.loop.run.read_summary(run.path) is None


def test_no_picture_decides_whether_a_run_finishes(parts, tmp_path, capsys) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    experiment = dataclasses.replace(EXPERIMENT, steps=20)
    run = train.loop.run.create("undrawn", experiment, tmp_path)
    fit(run, dataclasses.replace(parts, watch=fail, show=fail), QUIET)
    assert train.loop.run.read_summary(run.path) is not None
    assert capsys.readouterr().err.splitlines() == [
        "zoo: what samples/ shows of step 20 is missing: ZeroDivisionError: division by zero",
        "zoo: what samples/ shows of the last step is missing: ZeroDivisionError: division by zero",
    ]


def test_best_and_last_checkpoint_are_kept(tmp_path) -> None:
    state = State(jnp.int32(1), {"net": {"w": jnp.ones(3)}}, {}, {})
    checkpoints = Checkpoints(tmp_path)
    for step, score in enumerate([0.1, 0.9, 0.3, 0.4]):
        checkpoints.save(state.replace(step=jnp.int32(step)), step, score)
    checkpoints.wait()
    assert checkpoints.steps() == [1, 3]
    assert int(checkpoints.restore(state, "best")[0].step) == 1
    assert int(checkpoints.restore(state, "last")[0].step) == 3


def test_a_checkpoint_of_another_model_is_one_line(whole: Run) -> None:
    other = assemble(Experiment(Model("mlp", {"widths": (17,)}), EXPERIMENT.data))
    with pytest.raises(UserError, match="of another model or config"):
        restored(whole, other)


def test_a_run_folder_in_use_is_refused(whole: Run) -> None:
    with whole, pytest.raises(UserError, match="in use"), train.loop.run.load(whole.path):
        pass


def test_a_torn_last_line_of_metrics_is_passed_over(tmp_path) -> None:
    run = train.loop.run.create("torn", EXPERIMENT, tmp_path)
    with run:
        run.log(5, "train", 1.0, loss=0.5)
        run.log(9, "train", 2.0, loss=float("nan"))
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 10, "spl')
    assert [line["loss"] for line in train.loop.run.read_metrics(run.path)] == [0.5, None]
    with run:
        assert run.rewind(5) == 1.0
    assert [json.loads(line)["step"] for line in (run.path / "metrics.jsonl").read_text().splitlines()] == [5]


@pytest.mark.parametrize(("chunk", "every", "steps"), [(7, 20, 50), (20, 20, 40), (1, 3, 7), (200, 10, 35)])
def test_chunks_cover_the_run_and_stop_at_every_evaluation(chunk: int, every: int, steps: int) -> None:
    stops = [0]
    while stops[-1] < steps:
        stops.append(next_stop(stops[-1], steps, every, chunk))
    assert set(range(every, steps, every)) | {steps} <= set(stops)
    assert max(np.diff(stops)) <= chunk


def test_a_chunk_is_short_for_heavy_steps_and_even_between_evaluations() -> None:
    assert chunk_steps(10**15, 100, 200) == 1
    assert chunk_steps(1, 1000, 200) == 200
    assert chunk_steps(1, 300, 200) == 150
