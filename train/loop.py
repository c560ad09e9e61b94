"""The host side of training: chunks, evaluation, checkpoints, logs. Host and device meet once per chunk."""

import contextlib
import datetime
import time
from collections.abc import Mapping
from typing import Any

import flax
import jax
import numpy as np
from rich.console import Console

from train import devices, transfer
from train.assemble import Parts
from train.checkpoints import Checkpoints
from train.core import State, chunk
from train.interrupt import Stopped, Watch
from train.progress import Bar
from train.run import Run

# A chunk should take about a second: long enough to hide the host, short enough to see and to stop.
CHUNK_SECONDS = 1.0
FLOPS_PER_SECOND = {"cpu": 5e10}  # what a training step roughly reaches; only the chunk's length depends on it
ACCELERATOR_FLOPS_PER_SECOND = 2e13
LONGEST_CHUNK = 200


def chunk_steps(flops_per_step: int, eval_every_steps: int, most: int = LONGEST_CHUNK) -> int:
    """Steps per chunk, from the work of a step and not from a clock, so that a run repeats to the bit."""
    speed = FLOPS_PER_SECOND.get(jax.default_backend(), ACCELERATOR_FLOPS_PER_SECOND)
    wanted = max(1, min(int(CHUNK_SECONDS * speed / flops_per_step), most, LONGEST_CHUNK))
    pieces = -(-eval_every_steps // wanted)
    return -(-eval_every_steps // pieces)


def next_stop(step: int, steps: int, every: int, chunk: int) -> int:
    """Where the chunk that starts at `step` ends: cut anew after each evaluation, never past one."""
    since = step % every
    return min(step - since + min((since // chunk + 1) * chunk, every), steps)


class Loop:
    """One run in progress. `fit` drives it; the State is handed from call to call, never kept here."""

    def __init__(self, run: Run, parts: Parts, checkpoints: Checkpoints, watch: Watch) -> None:
        self.run, self.parts, self.checkpoints, self.watch = run, parts, checkpoints, watch
        self.experiment = experiment = run.experiment
        self.mesh = devices.make_mesh(experiment.data.batch)
        self.key = jax.random.key(experiment.seed)
        self.sharding = devices.state_sharding(parts.abstract, self.mesh, experiment.shard)
        self.programs: dict[int, Any] = {}
        self.compile_seconds = 0.0
        self.seconds_before = 0.0  # of the run before it was resumed
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.began

    def begin(self, resume: bool) -> tuple[State, int]:
        """The State to start from, its step; opens the data where that State left off.

        A run that stopped before its first checkpoint resumes from its first step.
        """
        reader = None
        if resume and self.checkpoints.steps():
            abstract = devices.placed(self.parts.abstract, self.mesh, self.experiment.shard)
            state, extra = self.checkpoints.restore(abstract, tokenizer=self.parts.fingerprint)
            reader = extra["reader"]
        else:
            state = devices.settle(jax.jit(self.parts.task.init, out_shardings=self.sharding)(self.key))
            if self.experiment.init_from:
                state = transfer.start_from(state, self.experiment)
        step = int(state.step)
        self.seconds_before = self.run.rewind(step) if resume else 0.0
        self.feed = self.parts.feed(self.mesh, reader)
        self.validate = self.parts.evaluator("validation", self.mesh)
        flops = 3 * self.parts.flops * self.experiment.data.batch  # backward costs about two forward passes
        self.chunk = chunk_steps(flops, self.experiment.eval_every_steps, self.feed.most or LONGEST_CHUNK)
        return state, step

    def advance(self, state: State, step: int, stop: int) -> tuple[State, dict[str, np.ndarray]]:
        """The State at step `stop` and each step's metrics. Raises Stopped for a loss that is not finite."""
        n = stop - step
        data = self.feed.take(n)
        if n not in self.programs:
            started = time.perf_counter()
            program = jax.jit(
                chunk,
                static_argnames=("task", "n"),
                donate_argnames="state",
                out_shardings=None if self.sharding is None else (self.sharding, None),
            )
            self.programs[n] = program.lower(self.parts.task, state, data, self.key, n).compile()
            self.compile_seconds += time.perf_counter() - started
        state, metrics = self.programs[n](state, data, self.key)
        if stop < self.experiment.steps:
            after = next_stop(stop, self.experiment.steps, self.experiment.eval_every_steps, self.chunk)
            self.feed.read_ahead(after - stop)
        devices.settle((state, metrics))
        metrics = {name: np.asarray(values) for name, values in metrics.items()}
        bad = np.flatnonzero(~np.isfinite(metrics["loss"]))
        if len(bad):
            raise Stopped(self._epitaph(step + int(bad[0])), 1)
        return state, metrics

    def _epitaph(self, step: int) -> str:
        self.checkpoints.wait()
        steps = self.checkpoints.steps()
        kept = f"the checkpoint of step {steps[-1]} in {self.run.path} is kept" if steps else "nothing was saved yet"
        return f"the loss is not finite at step {step}; {kept}; a smaller optim.lr or optim.clip_norm may help"

    def save(self, state: State, step: int, score: float) -> None:
        self.checkpoints.save(state, step, score, self.feed.state, self.parts.fingerprint)

    def summary(self, state: State, validation: Mapping[str, float]) -> dict[str, Any]:
        """What the run came to; the test split is touched here, once."""
        experiment, parts = self.experiment, self.parts
        test = parts.evaluator("test", self.mesh)(state)
        return {
            "name": self.run.name,
            "model": experiment.model.name,
            "task": experiment.task.name,
            "dataset": experiment.data.name,
            "steps": experiment.steps,
            "examples": experiment.steps * experiment.data.batch,
            "seed": experiment.seed,
            "params": parts.params,
            "flops": parts.flops,
            "validation": dict(validation),
            "test": test,
            **({"notes": dict(parts.notes)} if parts.notes else {}),
            "seconds": round(self.seconds, 2),
            "compile_seconds": round(self.compile_seconds, 2),
            "device": devices.describe(),
            "date": datetime.date.today().isoformat(),
            "versions": {"jax": jax.__version__, "flax": flax.__version__},
        }


def fit(run: Run, parts: Parts, console: Console, *, resume: bool = False) -> dict[str, Any]:
    """Train to the last step, from a fresh State or (`resume`) the last checkpoint; returns the summary.

    Raises Stopped after Ctrl-C or SIGTERM (everything is saved) and for a loss that is not finite.
    """
    experiment = run.experiment
    with contextlib.ExitStack() as stack:
        stack.enter_context(run)
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(run.checkpoints)))
        loop = Loop(run, parts, checkpoints, stack.enter_context(Watch()))
        state, step = loop.begin(resume)
        stack.callback(loop.feed.close)
        bar = stack.enter_context(Bar(console, run.name, step, experiment.steps))
        validation: dict[str, float] = {}
        while step < experiment.steps:
            stop = next_stop(step, experiment.steps, experiment.eval_every_steps, loop.chunk)
            started, compiled = time.perf_counter(), loop.compile_seconds
            state, metrics = loop.advance(state, step, stop)
            speed = (stop - step) / (time.perf_counter() - started - loop.compile_seconds + compiled)
            step = stop
            means = {name: float(values.mean()) for name, values in metrics.items()}
            _report(loop, bar, step, "train", means, speed)
            at_evaluation = step % experiment.eval_every_steps == 0 or step == experiment.steps
            if at_evaluation and loop.validate:
                validation = loop.validate(state)
                _report(loop, bar, step, "validation", validation, speed)
            received = devices.largest(loop.watch.received or 0)
            if at_evaluation or received:
                loop.save(state, step, parts.score(validation) if validation else -means["loss"])
            if received and step < experiment.steps:
                checkpoints.wait()
                how = f"zoo train --resume {run.path}"
                raise Stopped(f"stopped at step {step}; go on with: {how}", 128 + received)
        checkpoints.wait()
        if loop.validate and not validation:  # resumed after its last step
            validation = loop.validate(state)
        summary = loop.summary(state, validation)
        run.log(step, "test", loop.seconds, **_scalars(summary["test"]))
        if parts.show and run.writes:
            parts.show(state, run.samples)
        run.summarize(summary)
        return summary


def _report(loop: Loop, bar: Bar, step: int, split: str, metrics: Mapping[str, float], speed: float) -> None:
    metrics = _scalars(metrics)
    loop.run.log(step, split, loop.seconds, **metrics)
    bar.update(step, speed, {f"{split} {name}": value for name, value in metrics.items()})


def _scalars(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "count"}
