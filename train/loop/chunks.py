"""Chunks on the device: compile them, run them, and bring their metrics to the host."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from train.core import Mean, Metrics, State, devices, startup
from train.data.feed import Feed
from train.loop.replicas import Advance, ReplicaSet
from train.loop.schedule import Schedule
from train.loop.summary import Results


class Chunk(NamedTuple):
    """What a chunk returns."""

    state: State
    means: list[Results]  # of each replica, over the steps of the chunk; {} for one that has stopped
    steps_per_second: float
    each: list[Metrics]  # of each replica, every step of the chunk: leaves (n,)


class ChunkRunner:
    """Advances the replicas of a run. The State goes in and comes out with each call and is never kept here."""

    def __init__(self, replicas: ReplicaSet, feed: Feed, schedule: Schedule, sharding: Any) -> None:
        self.replicas, self.feed, self.schedule, self.sharding = replicas, feed, schedule, sharding
        self.compile_seconds = 0.0
        self.diverged: dict[int, int] = {}  # replica -> the first step at which it was not finite
        self._key = replicas.key
        self._programs: dict[int, Advance] = {}  # steps in the chunk -> its program

    def advance(self, state: State, step: int, stop: int, active: np.ndarray | None = None) -> Chunk:
        """Train from `step` to `stop`. active: the replicas that still learn, (replicas,) bool; None: all do."""
        began, compiled_before = time.perf_counter(), self.compile_seconds
        steps = stop - step
        data = self.feed.take(steps)
        program = self._program(state, data, steps, active)
        state, metrics = program(state, data, self._key, active)
        if stop < self.schedule.steps:  # read from disk while the device computes
            self.feed.read_ahead(self.schedule.next_stop(stop) - stop)
        devices.settle((state, metrics))
        startup.passed("first steps", last=True)
        each = self.replicas.each_metrics(jax.tree.map(np.asarray, metrics))
        each: list[Metrics] = [own if active is None or active[number] else {} for number, own in enumerate(each)]
        self._note_divergence(each, step)
        seconds = time.perf_counter() - began - (self.compile_seconds - compiled_before)
        return Chunk(state, [chunk_means(own) for own in each], steps / seconds, each)

    @property
    def all_diverged(self) -> bool:
        """Whether no replica has a finite loss any more."""
        return len(self.diverged) == len(self.replicas.members)

    def _program(self, state: State, data: Any, steps: int, active: np.ndarray | None) -> Advance:
        if steps not in self._programs:
            began = time.perf_counter()
            self._programs[steps] = self.replicas.compile(state, data, steps, active, self.sharding)
            self.compile_seconds += time.perf_counter() - began
            startup.passed("compile")
        return self._programs[steps]

    def note_evaluation(self, each: Sequence[bool], step: int) -> None:
        """Note which replicas are finite at the evaluation of `step`: a loss is that before the update of its step."""
        for number, is_finite in enumerate(each):
            if not is_finite:
                self.diverged.setdefault(number, step)

    def _note_divergence(self, each: list[dict[str, Any]], step: int) -> None:
        for number, metrics in enumerate(each):
            losses = [values for name, values in metrics.items() if name.endswith("loss")]
            finite = np.all([np.isfinite(values) for values in losses], axis=0)
            if metrics and not finite.all():
                self.diverged.setdefault(number, step + int(np.argmin(finite)))


def chunk_means(metrics: Mapping[str, Any]) -> Results:
    """Return the mean of each metric over the steps of a chunk; leaves (n,).

    A Mean is left out where nothing was counted in any step, such as the return where no episode ended.
    """
    means = {}
    for name, values in metrics.items():
        # A plain metric is one number for each step, so each step counts once.
        mean = values if isinstance(values, Mean) else Mean(values, np.ones_like(values))
        if mean.count.sum():
            means[name] = float(mean.total.sum() / mean.count.sum())
    return means
