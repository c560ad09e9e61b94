"""Train trials: settings of one Experiment as replicas of one program, scored on validation and never on test.

The loop's ChunkRunner trains them like the replicas of `zoo train`. The numbers of a setting are arguments of the
program, so all trials of a search share it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import jax
import numpy as np

from train.config import Experiment
from train.config.replicas import Member
from train.config.sweep import Setting, with_setting
from train.core import ReplicaTasks, Source, State, Task, devices
from train.core.cores import Active, Program, compile_replicas
from train.core.signals import Watch
from train.loop import summary
from train.loop.chunks import ChunkRunner
from train.loop.replicas import Advance, Many, faster_transform, init_replicas
from train.loop.schedule import make_schedule
from train.loop.stopping import EarlyStopping
from train.loop.summary import Results
from train.loop.transfer import start_from
from train.tasks.setup import Setup
from zoo.errors import UserError

T = TypeVar("T")
Report = Callable[[int, int, float], bool]
"""Called after each evaluation of a trial with (index of the trial, step, score); returns whether to prune it."""


class Interrupted(Exception):
    """Training was interrupted by the signal with the number `signal`."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@dataclasses.dataclass
class Outcome:
    """The result of one trial. Where it ended early, one of `pruned` and `diverged` is the step of its end."""

    validation: dict[str, float] = dataclasses.field(default_factory=dict)  # the last evaluation's means over the seeds
    score: float = float("nan")
    step: int = 0
    pruned: int | None = None
    diverged: int | None = None

    @property
    def ended(self) -> bool:
        return self.pruned is not None or self.diverged is not None


@dataclasses.dataclass(frozen=True)
class _Batch(Many):
    """The trials that train together, with one replica for each trial and seed."""

    trials: tuple[int, ...]  # the index of each replica's trial
    programs: dict[tuple[int, int], Program]  # (replicas, steps) -> their compiled chunk; shared by all batches

    def compile(self, state: State, data: Source, n: int, active: Active, sharding: object) -> Advance:
        """Compile a chunk like `Many`, but once for all settings of a search."""
        del sharding
        settings, shape = self.settings, (len(self.members), n)
        if shape not in self.programs:
            self.programs[shape] = compile_replicas(self.tasks, settings, state, data, self.key, n, active)
        return partial(self.programs[shape], settings)

    def take(self, indices: Sequence[int], states: State) -> tuple["_Batch", State]:
        """Return the replicas at `indices` and their States."""
        members, trials = (tuple(each[i] for i in indices) for each in (self.members, self.trials))
        rows = np.array(indices)
        return (
            dataclasses.replace(self, members=members, trials=trials),
            jax.tree.map(lambda leaf: leaf[rows], states),
        )


class Trainer:
    """Trains settings of one Experiment that differ only in the fields of `train.config.sweep.SWEEPABLE`.

    A trial has `experiment.seeds` replicas, one for each seed. Its score is computed from their mean metrics.
    """

    def __init__(self, experiment: Experiment, setup: Setup) -> None:
        if jax.device_count() > 1:
            raise UserError(
                f"a search trains on one device, and this process has {jax.device_count()}: start one process for "
                "each device with CUDA_VISIBLE_DEVICES set to it, all with the same --folder"
            )
        if experiment.folds:
            raise UserError("a search scores trials on one validation split, not on folds: leave out folds")
        self.experiment, self.setup = experiment, setup
        self.seeds = range(experiment.seed, experiment.seed + experiment.seeds)
        evaluators = setup.measures("validation", None, [Member(seed, {}) for seed in self.seeds])
        if evaluators is None:
            raise UserError(f"a search scores trials on validation, and {experiment.data.name} has no such split here")
        self.evaluators = dict(zip(self.seeds, evaluators, strict=True))
        self.feed = setup.feed(None, None)
        self.programs: dict[tuple[int, int], Program] = {}

        def build(setting: Setting) -> Task:
            return setup.build(with_setting(experiment, setting)) if setting else setup.task

        # One object for all batches, because it is a static argument of the compiled programs.
        self.tasks = ReplicaTasks(build, faster_transform(experiment, setup.task))
        self.init = jax.jit(lambda settings, keys: init_replicas(self.tasks, settings, keys))

    def close(self) -> None:
        self.feed.close()

    def train(self, settings: Sequence[Setting], report: Report, watch: Watch) -> list[Outcome]:
        """Return one outcome for each setting, in their order: of the States that `zoo train` keeps.

        With `patience` these are the best of each replica, else the last. The replicas of ended trials are removed once
        they are at least half of the batch.
        Raises Interrupted at the end of the chunk in which `watch` received a signal.
        """
        self.require_trainable(len(settings))
        self._rewind()
        outcomes = [Outcome() for _ in settings]
        batch = self._batch(settings)
        states = self._init_states(batch)
        schedule = make_schedule(self.experiment, self.setup, len(batch.members), self.feed.most)
        chunks = ChunkRunner(batch, self.feed, schedule, None)
        stopping = EarlyStopping(self.experiment.patience, batch, self.setup.score)
        step = 0
        while step < schedule.steps and not all(outcome.ended for outcome in outcomes) and not stopping.over:
            stop = schedule.next_stop(step)
            states = chunks.advance(states, step, stop, stopping.active).state
            step = stop
            for replica, diverged_at in chunks.diverged.items():
                outcome = outcomes[batch.trials[replica]]
                if not outcome.ended:
                    outcome.diverged = diverged_at
            if watch.received is not None:
                raise Interrupted(watch.received)
            if schedule.is_evaluation(step):
                self._evaluate(outcomes, stopping, batch, states, step, report)
            active = [i for i, trial in enumerate(batch.trials) if not outcomes[trial].ended]
            if 0 < len(active) <= len(batch.members) // 2:
                batch, states = batch.take(active, states)
                stopping = stopping.take(batch, active)
                chunks = ChunkRunner(batch, self.feed, schedule, None)
        if stopping.standings:  # each replica keeps its best State, also at the last step
            for trial, own in _by_trial(batch, [standing.validation for standing in stopping.standings]).items():
                if not outcomes[trial].ended:
                    self._score(outcomes[trial], own, outcomes[trial].step)
        return outcomes

    def require_trainable(self, trials: int) -> None:
        """Raise UserError where so many trials cannot train together: streamed data have one order for one replica."""
        if self.feed.most and trials * len(self.seeds) > 1:
            raise UserError(
                "a streamed data set has one order of examples for all replicas, so only one can train on it "
                "(--batch, seeds)"
            )

    def _rewind(self) -> None:
        """Read a streamed data set from its start again."""
        if self.feed.most and self.feed.state is not None:
            self.feed.close()
            self.feed = self.setup.feed(None, None)

    def _batch(self, settings: Sequence[Setting]) -> _Batch:
        members = tuple(Member(seed, setting) for setting in settings for seed in self.seeds)
        trials = tuple(trial for trial in range(len(settings)) for _ in self.seeds)
        return _Batch(self.tasks, members, trials, self.programs)

    def _init_states(self, batch: _Batch) -> State:
        states = devices.settle(self.init(batch.settings, batch.key))
        if not self.experiment.init_from:
            return states
        pairs = zip(batch.each(states), batch.members, strict=True)
        return batch.join([start_from(state, self.experiment, member.seed)[0] for state, member in pairs])

    def _evaluate(
        self, outcomes: list[Outcome], stopping: EarlyStopping, batch: _Batch, states: State, step: int, report: Report
    ) -> None:
        learning = stopping.active
        results = [
            {} if outcomes[trial].ended else self.evaluators[member.seed](state)
            for trial, member, state in zip(batch.trials, batch.members, batch.each(states), strict=True)
        ]
        results = stopping.update(states, step, results)
        still = _by_trial(batch, [True] * len(results) if learning is None else learning.tolist())
        for trial, own in _by_trial(batch, results).items():
            outcome = outcomes[trial]
            if outcome.ended or not any(still[trial]):  # what has stopped has told its scores
                continue
            self._score(outcome, own, step)
            if not np.isfinite(outcome.score) or not all(map(summary.is_finite, own)):
                outcome.diverged = step
            elif report(trial, step, outcome.score) and step < self.experiment.steps:
                outcome.pruned = step

    def _score(self, outcome: Outcome, results: Sequence[Results], step: int) -> None:
        """Enter the validation of a trial's replicas at `step`."""
        outcome.validation = summary.mean(results)
        outcome.score, outcome.step = self.setup.score(outcome.validation), step


def _by_trial(batch: _Batch, values: Sequence[T]) -> dict[int, list[T]]:
    """Return trial -> the values of its replicas, given one for each replica of the batch."""
    found: dict[int, list[T]] = {}
    for trial, value in zip(batch.trials, values, strict=True):
        found.setdefault(trial, []).append(value)
    return found
