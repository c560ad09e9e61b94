"""Trains trials: settings of an Experiment side by side in one program, each watched on validation and never on test.

The numbers that a setting names are arguments of that program, so all trials of a search share it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.config import Experiment
from train.config.sweep import Setting, with_setting
from train.core import ReplicaTasks, State, Task, devices
from train.core.cores import Program, compile_replicas
from train.core.signals import Watch
from train.loop import replicas, summary, transfer
from train.loop.schedule import LONGEST_CHUNK, chunk_steps, next_stop
from train.tasks.setup import Setup
from zoo.errors import UserError

Report = Callable[[int, int, float], bool]
"""(trial of the batch, step, score) -> whether to give that trial up."""


class Interrupted(Exception):
    """Asked to stop; `signal` is its number."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@dataclasses.dataclass
class Outcome:
    """What a trial came to: at most one of `pruned` and `diverged` is the step at which it ended early."""

    validation: dict[str, float] = dataclasses.field(default_factory=dict)  # means over its seeds, as last measured
    score: float = float("nan")
    step: int = 0
    pruned: int | None = None
    diverged: int | None = None

    @property
    def ended(self) -> bool:
        return self.pruned is not None or self.diverged is not None


class Trainer:
    """Trains settings of one Experiment, which differ in nothing but the numbers of `train.config.sweep.SWEEPABLE`.

    Of a trial's `experiment.seeds` seeds each is a replica, and its score is the mean over them.
    """

    def __init__(self, experiment: Experiment, parts: Setup) -> None:
        if jax.device_count() > 1:
            raise UserError(
                f"a search trains on one device, and here are {jax.device_count()}: start a process for each, "
                "CUDA_VISIBLE_DEVICES set to one of them, all with the same --folder"
            )
        self.experiment, self.parts = experiment, parts
        self.validate = parts.evaluator("validation", None)
        if self.validate is None:
            raise UserError(f"a search judges trials on validation, and {experiment.data.name} has no such split here")
        self.seeds = range(experiment.seed, experiment.seed + experiment.seeds)
        self.feed = parts.feed(None, None)
        self.programs: dict[tuple[int, int], Program] = {}  # (replicas, steps) -> what advances so many by so much

        def build(setting: Setting) -> Task:
            return parts.build(with_setting(experiment, setting)) if setting else parts.task

        # One object for all programs, as it is a static argument.
        self.tasks = ReplicaTasks(build, replicas.faster_transform(experiment, parts.task))
        self.start = jax.jit(lambda settings, keys: replicas.init_replicas(self.tasks, settings, keys))

    def close(self) -> None:
        self.feed.close()

    def train(self, settings: Sequence[Setting], report: Report, watch: Watch) -> list[Outcome]:
        """One outcome for each setting, in order. A trial that ends early leaves the program once half of it has.

        Raises Interrupted as soon as `watch` has received a signal.
        """
        self.demand(len(settings))
        self._rewind()
        outcomes = [Outcome() for _ in settings]
        rows = [(trial, seed) for trial in range(len(settings)) for seed in self.seeds]  # a replica each
        keys = jax.vmap(jax.random.key)(np.array([seed for _, seed in rows], np.uint32))
        values = _columns([settings[trial] for trial, _ in rows])
        states = self._init(values, keys)
        steps, every, step = self.experiment.steps, self.experiment.eval_every_steps, 0
        chunk = self._chunk(len(rows))
        while step < steps and not all(outcome.ended for outcome in outcomes):
            stop = next_stop(step, steps, every, chunk)
            data, n = self.feed.take(stop - step), stop - step
            if (len(rows), n) not in self.programs:
                program = compile_replicas(self.tasks, values, states, data, keys, n)
                self.programs[len(rows), n] = program
            states, metrics = self.programs[len(rows), n](values, states, data, keys, None)
            if stop < steps and self.feed.most:
                self.feed.read_ahead(next_stop(stop, steps, every, chunk) - stop)
            devices.settle((states, metrics))
            _note_divergence(outcomes, rows, jax.tree.map(np.asarray, metrics), step)
            step = stop
            if watch.received is not None:
                raise Interrupted(watch.received)
            if step % every == 0 or step == steps:
                self._measure(outcomes, rows, states, step, report)
            alive = [i for i, (trial, _) in enumerate(rows) if not outcomes[trial].ended]
            if 0 < len(alive) <= len(rows) // 2:
                rows = [rows[i] for i in alive]
                index = np.array(alive)
                states, keys, values = jax.tree.map(lambda leaf, index=index: leaf[index], (states, keys, values))
        return outcomes

    def demand(self, trials: int) -> None:
        """Raise UserError where so many cannot train side by side: one order of a streamed set is for one replica."""
        if self.feed.most and trials * len(self.seeds) > 1:
            raise UserError("a set that is read while training has one order for all replicas (--batch, seeds)")

    def _rewind(self) -> None:
        """A set that is read while training begins anew."""
        if self.feed.most and self.feed.state is not None:
            self.feed.close()
            self.feed = self.parts.feed(None, None)

    def _init(self, values: Any, keys: jax.Array) -> State:
        states = devices.settle(self.start(values, keys))
        if not self.experiment.init_from:
            return states
        each = [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(len(keys))]
        taken = [transfer.start_from(one, self.experiment)[0] for one in each]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *taken)

    def _chunk(self, count: int) -> int:
        longest = self.parts.longest_chunk or LONGEST_CHUNK
        flops = int(self.parts.passes * self.parts.flops * self.experiment.data.batch * count)
        return chunk_steps(flops, self.experiment.eval_every_steps, min(self.feed.most or longest, longest))

    def _measure(
        self, outcomes: list[Outcome], rows: Sequence[tuple[int, int]], states: State, step: int, report: Report
    ) -> None:
        for trial, outcome in enumerate(outcomes):
            if outcome.ended:
                continue
            own = [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i, row in enumerate(rows) if row[0] == trial]
            outcome.validation = summary.mean([self.validate(state) for state in own])
            outcome.score, outcome.step = self.parts.score(outcome.validation), step
            if not np.isfinite(outcome.score):
                outcome.diverged = step
            elif report(trial, step, outcome.score) and step < self.experiment.steps:
                outcome.pruned = step


def _columns(settings: Sequence[Setting]) -> dict[str, np.ndarray]:
    """Field -> its value in each replica."""
    return {field: np.array([setting[field] for setting in settings], np.float32) for field in settings[0]}


def _note_divergence(
    outcomes: list[Outcome], rows: Sequence[tuple[int, int]], metrics: Mapping[str, Any], step: int
) -> None:
    """A trial diverges where the loss of any of its seeds is not finite."""
    losses = jax.tree.leaves({name: values for name, values in metrics.items() if name.endswith("loss")})
    for i, (trial, _) in enumerate(rows):
        finite = np.all([np.isfinite(values[i]) for values in losses], axis=0)
        if not np.all(finite) and not outcomes[trial].ended:
            outcomes[trial].diverged = step + int(np.argmin(finite))
