"""An own way of learning, regression, with an own metric: registered, trained on two seeds, loaded, compared."""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
import pytest
from jax import Array
from rich.console import Console

import train.data
import train.loop.run
import train.metrics
import train.tasks
from train.commands.tables import comparison
from train.config import Data, Experiment, Model, Optim
from train.config.metrics import METRICS
from train.config.ways import WAYS
from train.core import Metrics, State, Task
from train.data.inputs import images
from train.loop.fit import fit
from train.tasks.assemble import assemble
from train.tasks.images import evaluators, feeder
from train.tasks.network import Network
from train.tasks.setup import Setup, make_model, make_optimizer, narrow, sizes


@dataclasses.dataclass(frozen=True)
class Regress:
    """The digit that an image shows, as a number."""

    name: Literal["regress"] = "regress"
    scale: float = 1.0
    """What the digit is divided by."""


def regression(net: Network, inputs: Any, scale: float) -> Task:
    """Build the Task: a network with one output descends the squared error."""

    def error(output: Array, batch: dict[str, Array]) -> Array:
        return (output[:, 0] - batch["y"] / scale) ** 2

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        arguments, _ = inputs.train(key, batch, jnp.zeros((len(batch["y"]), 1)))
        return net.descend(state, arguments, key, lambda output: (error(output, batch).mean(), {}))

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        squares = error(net.evaluate(state, inputs.evaluate(batch)), batch)
        return {"mean_square": jnp.sum(squares * batch["mask"]), "count": batch["mask"].sum()}

    return Task(lambda key: net.init(key, inputs.example()), step, evaluate)


def assemble_regression(experiment: Experiment, task: Regress, data: Data) -> Setup:
    dataset = train.data.load(data)
    model, inputs = make_model(experiment, classes=1), images(dataset.shape, data.augment)

    def build(changed: Experiment) -> Task:
        net = Network(model, make_optimizer(changed), changed.precision)
        return regression(net, inputs, narrow(changed.task, Regress).scale)

    learning = build(experiment)
    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        feed=feeder(experiment, dataset),
        evaluator=evaluators(experiment, dataset, learning),
    )


EXPERIMENT = Experiment(
    model=Model("mlp", {"widths": (16,)}),
    data=Data("digits", batch=32),
    optim=Optim("adam", lr=3e-3),
    task=Regress(scale=9.0),
    steps=20,
    eval_every_steps=10,
    seeds=2,
    patience=5,
)


@pytest.fixture
def registered():
    train.metrics.register("mean_square", better="lower", title="mean square", low=0.0, digits=3)
    train.tasks.register(
        "regress", config=Regress, setup=assemble_regression, learns_from=(Data,), metrics=("mean_square",)
    )
    yield
    WAYS.remove("regress")
    METRICS.remove("mean_square")


def test_an_own_way_of_learning_runs_like_every_other(registered, tmp_path) -> None:
    setup = assemble(EXPERIMENT)
    assert (setup.best, setup.counts) == ("mean_square", "examples")
    assert setup.score({"mean_square": 2.0}) == -2
    run = train.loop.run.create("mine", EXPERIMENT, tmp_path)
    summary = fit(run, setup, Console(quiet=True))
    assert train.loop.run.load(run.path).experiment == EXPERIMENT
    assert 0 < summary.test["mean_square"] < 1
    lines = [line for line in train.loop.run.read_metrics(run.path) if line["split"] == "validation"]
    assert lines[-1]["mean_square"] < lines[0]["mean_square"]
    console = Console(width=120)
    with console.capture() as capture:
        console.print(comparison(summary.settings, setup.counts, data=setup.bounds_on))
    assert "mean square" in capture.get()
    assert f"{summary.test['mean_square']:.3f} ±" in capture.get()
