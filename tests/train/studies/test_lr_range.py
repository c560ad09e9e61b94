"""Learning-rate range test: the schedule, what is read from the curve, and that the loop's own chunks train it."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from train import cli
from train.algorithms.optimizers import make_schedule, validate
from train.config import Data, Experiment, Model, Optim
from train.core import run_chunk
from train.studies import lr_range
from train.studies.lr_range import RangeTest, with_rising_rate
from train.tasks.assemble import assemble
from zoo.errors import UserError

PLAIN = Experiment(Model("perceptron"), Data("digits", batch=32), Optim("sgd", lr=0.1), steps=40)


def curve(losses: np.ndarray, asked: int | None = None) -> RangeTest:
    return RangeTest(np.geomspace(1e-4, 1.0, len(losses)), losses, asked or len(losses))


def test_the_rate_rises_by_the_same_factor_at_each_step() -> None:
    rising = with_rising_rate(dataclasses.replace(PLAIN, seeds=3, sweep=("optim.lr=1,2",)), 1e-4, 1.0)
    validate(rising.optim, rising.steps)
    rates = np.array([make_schedule(rising.optim, 40)(step) for step in range(41)])
    np.testing.assert_allclose(rates, np.geomspace(1e-4, 1.0, 41), rtol=1e-4)
    assert (rising.seeds, rising.sweep) == (1, ())


def test_an_exponential_schedule_may_fall_and_needs_its_last_rate() -> None:
    falling = make_schedule(Optim(lr=1.0, schedule="exponential", final_lr=0.01), 10)
    np.testing.assert_allclose([falling(0), falling(5), falling(10)], [1.0, 0.1, 0.01], rtol=1e-5)
    with pytest.raises(UserError, match=r"optim.schedule=exponential needs optim.final_lr"):
        validate(Optim(schedule="exponential"), 10)


def test_the_steepest_descent_the_lowest_loss_and_the_divergence_of_a_known_curve() -> None:
    place = np.arange(200)
    # A fall in the shape of a logistic function, steepest at step 80, and a rise that passes the start at step 160.
    losses = 2 / (1 + np.exp((place - 80) / 6)) + 2 * np.exp((place - 160) / 6)
    found = curve(losses)
    assert found.steepest == pytest.approx(80, abs=1)
    assert found.lowest == pytest.approx(int(losses.argmin()), abs=4)
    assert found.diverged == pytest.approx(160, abs=4)
    noisy = curve(losses + 0.1 * np.random.default_rng(0).normal(size=200))
    assert noisy.steepest == pytest.approx(80, abs=10)
    assert len(noisy.smooth) == 200


def test_curves_without_a_fall_without_a_rise_and_with_a_sudden_end() -> None:
    assert curve(np.linspace(1, 2, 40)).steepest is None
    assert curve(np.linspace(1, 2, 40)).diverged == 1
    assert curve(np.linspace(2, 1, 40)).diverged is None
    cut = curve(np.linspace(2, 1, 40), asked=100)
    assert cut.diverged == 39
    assert len(cut.smooth) == 40
    np.testing.assert_allclose(curve(np.full(40, 3.0)).smooth, 3.0)


def test_the_losses_are_those_of_the_loop_step_by_step() -> None:
    rising = with_rising_rate(PLAIN, 1e-3, 1.0)
    setup = assemble(rising)
    done: list[int] = []
    found = lr_range.run(rising, setup, lambda step, _: done.append(step))
    assert done[-1] == 40
    key = jax.random.key(0)
    _, metrics = run_chunk(setup.task, setup.task.init(key), setup.feed(None, None).take(40), key, 40)
    np.testing.assert_allclose(found.losses, metrics["loss"], rtol=1e-4)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 1.0, 41)[:40], rtol=1e-4)


def test_the_command_prints_draws_and_makes_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    args = ["range", "digits_perceptron", "--steps=40", "--high=100", "--picture", str(picture), "--json"]
    assert cli.run(args) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["rates"]) == len(content["losses"]) == 40
    assert content["steepest"] < content["lowest"]
    with Image.open(picture) as image:
        assert image.width > 800
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("digits_mlp --low 1 --high 0.1", "--low 1 must be below --high 0.1"),
        ("digits_mlp --low 0", "--low must be a number above 0, not 0"),
        ("digits_mlp --high nan", "--high must be a number above 0, not nan"),
        ("digits_mlp --steps 5", "a range test takes at least 20 steps, not 5"),
        ("digits_mlp --picture a.jpg", "--picture must be a file that ends with .png, not 'a.jpg'"),
        ("digits_mlp --picture no/a.png", "no folder no to write a.png into"),
        ("cartpole_dqn", "a range test needs a loss that falls as a network learns, and that of q_learning need not"),
        ("digits_gan --data.batch 8", "the task adversarial has none"),
        ("--low 1", "the config comes first: zoo range CONFIG --low 1"),
        ("nosuch", "unknown config 'nosuch'"),
    ],
)
def test_bad_input_is_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["range", *line.split()]) == 2
    assert said in capsys.readouterr().err
