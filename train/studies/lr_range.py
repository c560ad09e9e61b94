"""Learning-rate range test (Smith 2015, arXiv 1506.01186, section 3.3): one short run in which the rate rises.

The rate rises exponentially, by the same factor at each step, as a schedule of the run's own optimizer. Where the loss
falls fastest, a rate learns most; where it rises above that of the untrained network, a rate is too large.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from train.algorithms.optimizers import make_schedule
from train.config import Experiment, World
from train.core import devices
from train.loop.chunks import ChunkRunner
from train.loop.replicas import make_replica_set
from train.loop.schedule import make_schedule as make_chunks
from train.loop.start import initialize
from train.tasks.setup import Setup
from zoo.errors import UserError

LEAST = 20  # steps
SHARE = 20  # the loss is smoothed over this part of the steps, to both sides


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """The loss at each rate. All arrays (n,); n is smaller than the steps asked for where the loss was not finite."""

    rates: np.ndarray
    losses: np.ndarray  # of the batch at each step, before its update
    asked: int  # steps

    @property
    def smooth(self) -> np.ndarray:
        """The losses, each averaged with its neighbors by triangular weights: nothing is shifted to larger rates."""
        width = max(1, self.asked // SHARE)
        window = np.bartlett(2 * width + 3)[1:-1]
        totals, weights = (np.convolve(each, window, "same") for each in (self.losses, np.ones_like(self.losses)))
        # "same" has the length of the longer of the two.
        start = (len(totals) - len(self.losses)) // 2
        return (totals / weights)[start : start + len(self.losses)]

    @property
    def lowest(self) -> int:
        """The step of the lowest smoothed loss."""
        return int(self.smooth.argmin())

    @property
    def steepest(self) -> int | None:
        """The step at which the smoothed loss falls fastest for a factor of the rate; None where it never falls."""
        if self.lowest < 2:
            return None
        slopes = np.gradient(self.smooth, np.log(self.rates))[: self.lowest]
        return int(slopes.argmin()) if slopes.min() < 0 else None

    @property
    def diverged(self) -> int | None:
        """The first step after the lowest loss at which it exceeds that of the start, or is not finite any more."""
        above = np.flatnonzero(self.smooth[self.lowest :] > self.smooth[0])
        if above.size:
            return self.lowest + int(above[0])
        return len(self.rates) - 1 if len(self.rates) < self.asked else None

    def to_json(self) -> dict[str, Any]:
        def at(step: int | None) -> float | None:
            return None if step is None else float(self.rates[step])

        return {
            "steepest": at(self.steepest),
            "lowest": at(self.lowest),
            "diverged": at(self.diverged),
            "rates": self.rates.tolist(),
            "losses": self.losses.tolist(),
            "smoothed": self.smooth.tolist(),
        }


def with_rising_rate(experiment: Experiment, low: float, high: float) -> Experiment:
    """Return the experiment of a range test: one replica, the same optimizer, and the rate from `low` to `high`.

    Raises UserError where there is no loss that could show which rate is good.
    """
    task, steps = experiment.task, experiment.steps
    if isinstance(experiment.data, World):
        raise UserError(f"a range test needs a loss that falls as a network learns, and that of {task.name} need not")
    if steps < LEAST:
        raise UserError(f"a range test takes at least {LEAST} steps, not {steps}")
    for name, rate in (("--low", low), ("--high", high)):
        if not 0 < rate < np.inf:
            raise UserError(f"{name} must be a number above 0, not {rate}")
    if low >= high:
        raise UserError(f"--low {low:g} must be below --high {high:g}")
    rising = dataclasses.replace(
        experiment.optim, schedule="exponential", lr=low, final_lr=high, warmup_steps=0, decay_at=()
    )
    alone = {"seeds": 1, "sweep": (), "folds": None, "patience": None, "eval_every_steps": steps}
    return dataclasses.replace(experiment, optim=rising, **alone)


def run(experiment: Experiment, setup: Setup, on_chunk: Callable[[int, float], None]) -> RangeTest:
    """Train `setup` of an experiment that `with_rising_rate` made, to its last step or until the loss is not finite.

    on_chunk: called with (steps done, steps per second).
    """
    mesh = devices.make_mesh(experiment.data.batch)
    replicas = make_replica_set(experiment, setup.task, setup.build)
    feed = setup.feed(mesh, None)
    try:
        require_loss(setup, feed.take(1), experiment.task.name)
        state = initialize(experiment, replicas, mesh).state
        schedule = make_chunks(experiment, setup, 1, feed.most)
        runner = ChunkRunner(replicas, feed, schedule, devices.state_sharding(state, mesh, experiment.shard))
        step, losses = 0, []
        while step < schedule.steps and not runner.all_diverged:
            stop = schedule.next_stop(step)
            chunk = runner.advance(state, step, stop)
            state, step = chunk.state, stop
            losses.append(np.asarray(chunk.each[0]["loss"], np.float64))
            on_chunk(step, chunk.steps_per_second)
    finally:
        feed.close()
    found = np.concatenate(losses)
    finite = int(np.argmin(np.append(np.isfinite(found), False)))
    if finite < LEAST // 2:
        raise UserError(f"the loss is not finite after {finite} steps, at a rate of --low: choose a smaller one")
    rates = np.asarray(jax.vmap(make_schedule(experiment.optim, experiment.steps))(np.arange(len(found))), np.float64)
    return RangeTest(rates[:finite], found[:finite], experiment.steps)


def require_loss(setup: Setup, data: Any, task: str) -> None:
    """Raise UserError for a way of learning whose step has no loss: the two of an adversarial pair say nothing."""
    key = jax.random.key(0)

    def metrics(state: Any, data: Any) -> Any:
        plan = jax.tree.map(lambda leaf: leaf[0], data.plan(key, state.step, 1))
        return data.feed(plan, lambda batch: setup.task.step(state, batch, key)[1])

    if "loss" not in jax.eval_shape(metrics, setup.abstract, data):
        raise UserError(f"a range test needs a loss that falls as a network learns, and the task {task} has none")
