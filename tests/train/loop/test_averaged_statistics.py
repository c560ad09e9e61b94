"""Averaged weights are judged with averages of their batch statistics, or with statistics measured anew."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import train.loop.run
import zoo
from train import cli
from train.algorithms.averages import evaluation_variables, without_variables
from train.config import Classify, Data, Experiment, Model, Optim
from train.core import State, run_chunk
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.loop.remeasure import remeasure
from train.loop.replicas import make_replica_set
from train.loop.restore import restore, restore_replicas
from train.tasks.assemble import assemble

DECAY = 0.9
EXPERIMENT = Experiment(
    model=Model("mlp", {"widths": (16,), "batch_norm": True}),
    data=Data("digits", batch=64, augment=(), image_size=None),
    task=Classify(),
    optim=Optim("momentum", lr=0.1, ema=DECAY, accumulate=2),
    steps=12,
    eval_every_steps=6,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> train.loop.run.Run:
    run = train.loop.run.create("averaged", EXPERIMENT, tmp_path_factory.mktemp("runs"))
    fit(run, assemble(EXPERIMENT), Console(quiet=True))
    return run


def weighted(trees: list[Any]) -> Any:
    """Return the debiased average of `trees`, the last of which weighs most."""
    weights = DECAY ** np.arange(len(trees))[::-1]
    return jax.tree.map(lambda *leaves: np.average(np.stack(leaves), axis=0, weights=weights), *trees)


def test_statistics_are_averaged_with_the_weights_decay_at_every_update() -> None:
    setup = assemble(EXPERIMENT)
    state, source = setup.task.init(jax.random.key(0)), setup.feed(None, None).take(1)
    params, statistics = [], []
    for step in range(EXPERIMENT.steps):
        state, _ = run_chunk(setup.task, state, source, jax.random.key(0), 1)
        if step % 2 == 1:  # two steps make one update
            params.append(jax.tree.map(np.asarray, state.params["net"]))
            statistics.append(jax.tree.map(np.asarray, state.vars["net"]["batch_stats"]))
    found = evaluation_variables(state)
    for name, expected in (("params", weighted(params)), ("batch_stats", weighted(statistics))):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found[name], expected)


def test_evaluation_reads_the_averaged_statistics(trained: train.loop.run.Run) -> None:
    setup, state = restore(trained)
    evaluate = setup.evaluator("validation", None)
    assert evaluate is not None
    shifted = jax.tree.map(lambda leaf: leaf + 100, state.vars)
    assert evaluate(state) == evaluate(state.replace(vars=shifted))


def test_a_run_without_averaged_statistics_is_judged_by_its_last_weights(
    trained: train.loop.run.Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    setup, state = restore(trained)
    run = train.loop.run.create("older", EXPERIMENT, tmp_path)
    checkpoints = Checkpoints(run.checkpoints)
    checkpoints.save(without_variables(state), EXPERIMENT.steps, score=0.5)
    checkpoints.close()
    assert cli.run(["eval", str(run.path)]) == 0
    assert "is judged by the weights of its last step" in " ".join(capfd.readouterr().err.split())
    _, older = restore(run)
    raw = State(state.step, state.params, {"net": ()}, state.vars)
    evaluate = setup.evaluator("test", None)
    assert evaluate is not None
    assert evaluate(older) == evaluate(raw)


def test_statistics_are_measured_anew_on_the_training_set(
    trained: train.loop.run.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    setup, replicas, state = restore_replicas(trained)
    measured = remeasure(setup, replicas, state, EXPERIMENT.data.batch, None)
    params = evaluation_variables(state)["params"]
    source = setup.feed(None, None).take(1)
    steps = len(setup.dataset.train) // EXPERIMENT.data.batch
    rows = np.asarray(source.plan(jax.random.key(0), np.int32(0), steps)["index"])
    x = setup.dataset.train.arrays()["x"].reshape(len(setup.dataset.train), -1) / 255.0
    x = (x - setup.dataset.mean) / setup.dataset.std
    hidden = x @ np.asarray(params["hidden0"]["kernel"])
    expected = [(hidden[row].mean(0), hidden[row].var(0)) for row in rows]
    found = evaluation_variables(measured)["batch_stats"]["norm0"]
    np.testing.assert_allclose(found["mean"], np.mean([mean for mean, _ in expected], axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["var"], np.mean([var for _, var in expected], axis=0), rtol=1e-3)
    assert cli.run(["eval", str(trained.path), "--remeasure"]) == 0
    assert "batch statistics measured anew" in " ".join(capsys.readouterr().out.split())


def test_a_network_without_statistics_has_none_to_measure() -> None:
    experiment = dataclasses.replace(EXPERIMENT, model=Model("mlp", {"widths": (16,)}))
    setup = assemble(experiment)
    replicas = make_replica_set(experiment, setup.task, setup.build)
    with pytest.raises(Exception, match="no batch statistics"):
        remeasure(setup, replicas, setup.task.init(jax.random.key(0)), 64, None)


def test_weights_of_a_run_are_its_averages_with_their_statistics(trained: train.loop.run.Run) -> None:
    """`zoo predict --weights RUN` and `zoo export RUN` open the run by itself, without its config's task."""
    expected = evaluation_variables(restore(trained, "best")[1])
    found = zoo.load_model("mlp", trained.path).variables
    assert found.keys() == {"params", "batch_stats"}
    jax.tree.map(np.testing.assert_array_equal, found, jax.tree.map(np.asarray, dict(expected)))
