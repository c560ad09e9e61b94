"""The host side of training: chunks, evaluation, checkpoints, logs. Host and device meet once per chunk."""

import contextlib
import datetime
import time
from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
import numpy as np
from rich.console import Console

from train.core import State, devices, machine, processes
from train.core.signals import Stopped, Watch
from train.loop import replicas, transfer
from train.loop import summary as summary_module
from train.loop.checkpoints import Checkpoints
from train.loop.progress import Bar
from train.loop.run import Run
from train.loop.stopping import Stopping
from train.tasks.check import NO_VALIDATION
from train.tasks.setup import Setup
from zoo.errors import UserError

# A chunk should take about a second: long enough to hide the host, short enough to see and to stop.
CHUNK_SECONDS = 1.0
FLOPS_PER_SECOND = {"cpu": 5e10}  # what a training step roughly reaches; only the chunk's length depends on it
ACCELERATOR_FLOPS_PER_SECOND = 2e13
LONGEST_CHUNK = 200


def chunk_steps(flops_per_step: int, eval_every_steps: int, most: int) -> int:
    """Steps per chunk, from the work of a step and not from a clock, so that a run repeats to the bit."""
    speed = FLOPS_PER_SECOND.get(jax.default_backend(), ACCELERATOR_FLOPS_PER_SECOND)
    wanted = max(1, min(int(CHUNK_SECONDS * speed / flops_per_step), most))
    pieces = -(-eval_every_steps // wanted)
    return -(-eval_every_steps // pieces)


def next_stop(step: int, steps: int, every: int, chunk: int) -> int:
    """Where the chunk that starts at `step` ends: cut anew after each evaluation, never past one."""
    since = step % every
    return min(step - since + min((since // chunk + 1) * chunk, every), steps)


class Loop:
    """One run in progress. `fit` drives it; the State is handed from call to call, never kept here."""

    def __init__(self, run: Run, parts: Setup, checkpoints: Checkpoints, watch: Watch) -> None:
        self.run, self.parts, self.checkpoints, self.watch = run, parts, checkpoints, watch
        self.experiment = experiment = run.experiment
        self.mesh = devices.make_mesh(experiment.data.batch)
        self.team = replicas.make_replica_set(experiment, parts.task, parts.build)
        if self.mesh and len(self.team.members) > 1:
            raise UserError(f"replicas (seeds, sweep, folds) train on one device, and here are {self.mesh.size}")
        self.stopping = Stopping(experiment.patience, self.team, parts.score)
        self.key = self.team.key
        self.abstract = jax.eval_shape(self.team.init, self.key)
        self.sharding = devices.state_sharding(self.abstract, self.mesh, experiment.shard)
        self.programs: dict[int, Any] = {}
        self.compile_seconds = 0.0
        self.diverged: dict[int, int] = {}  # member -> the step at which its loss was not finite
        self.remark = ""  # on where the State came from
        self.seconds_before = 0.0  # of the run before it was resumed
        self.began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.perf_counter() - self.began

    def begin(self, resume: bool) -> tuple[State, int]:
        """The State to start from, its step; opens the data where that State left off.

        A run that stopped before its first checkpoint resumes from its first step.
        """
        reader, step = None, 0
        if resume and self.checkpoints.steps():
            abstract = devices.placed(self.abstract, self.mesh, self.experiment.shard)
            state, extra = self.checkpoints.restore(abstract, tokenizer=self.parts.fingerprint)
            reader, step = extra["reader"], self.checkpoints.steps()[-1]
            if "stopping" in extra:
                kept = self.checkpoints.restore_kept(abstract)
                self.stopping.recall(extra["stopping"], state if kept is None else kept)
        else:
            state = devices.settle(jax.jit(self.team.init, out_shardings=self.sharding)(self.key))
            if self.experiment.init_from:
                taken = [transfer.start_from(one, self.experiment) for one in self.team.each(state)]
                state, self.remark = self.team.join([one for one, _ in taken]), taken[0][1]
        self.seconds_before = self.run.rewind(step) if resume else 0.0
        self.feed = self.parts.feed(self.mesh, reader)
        if self.feed.most and len(self.team.members) > 1:
            raise UserError("a set that is read while training has one order for all replicas (seeds, sweep)")
        self.validate = self.evaluator("validation")
        if self.experiment.patience and not self.validate:
            raise UserError(NO_VALIDATION)
        flops = int(self.parts.passes * self.parts.flops * self.experiment.data.batch * len(self.team.members))
        longest = self.parts.longest_chunk or LONGEST_CHUNK
        self.chunk = chunk_steps(flops, self.experiment.eval_every_steps, min(self.feed.most or longest, longest))
        return state, step

    def evaluator(self, split: str) -> Callable[[State], list[dict[str, float]]] | None:
        """Means over a split for each replica; None where the split is empty."""
        measures = self.parts.measures(split, self.mesh, [member.fold for member in self.team.members])
        return measures and (lambda state: [f(one) for f, one in zip(measures, self.team.each(state), strict=True)])

    def advance(self, state: State, step: int, stop: int) -> tuple[State, list[dict[str, float]]]:
        """The State at step `stop`, and each replica's means over the steps until there.

        Raises Stopped where no replica has a finite loss any more.
        """
        n, active = stop - step, self.stopping.active
        data = self.feed.take(n)
        if n not in self.programs:
            started = time.perf_counter()
            self.programs[n] = self.team.compile(state, data, self.key, n, active, self.sharding)
            self.compile_seconds += time.perf_counter() - started
        state, metrics = self.programs[n](state, data, self.key, active)
        if stop < self.experiment.steps:
            after = next_stop(stop, self.experiment.steps, self.experiment.eval_every_steps, self.chunk)
            self.feed.read_ahead(after - stop)
        devices.settle((state, metrics))
        found = self.team.split(jax.tree.map(np.asarray, metrics))
        found = [each if active is None or active[member] else {} for member, each in enumerate(found)]
        for member, each in enumerate(found):
            if not each:  # it has stopped
                continue
            finite = np.all([np.isfinite(values) for name, values in each.items() if name.endswith("loss")], axis=0)
            if not finite.all():
                self.diverged.setdefault(member, step + int(np.argmin(finite)))
        if len(self.diverged) == len(found):
            raise Stopped(self._epitaph(max(self.diverged.values())), 1)
        return state, [chunk_means(each) for each in found]

    def _epitaph(self, step: int) -> str:
        self.checkpoints.wait()
        steps = self.checkpoints.steps()
        kept = f"the checkpoint of step {steps[-1]} in {self.run.path} is kept" if steps else "nothing was saved yet"
        return f"the loss is not finite at step {step}; {kept}; a smaller optim.lr or optim.clip_norm may help"

    def score(self, step: int, validation: list[dict[str, float]], means: list[dict[str, float]]) -> float:
        """Of a checkpoint, over all replicas: by validation; where there is none by the last chunk's loss; where
        networks play against each other, so that no loss says how good they are, the later the better.
        """
        if validation:
            return self.parts.score(summary_module.mean(validation))
        return -summary_module.mean(means).get("loss", -step)

    def save(self, state: State, step: int, score: float) -> None:
        stopping = self.stopping
        kept = None if stopping.best is state else stopping.best
        record = stopping.record()
        self.checkpoints.save(state, step, score, self.feed.state, self.parts.fingerprint, record, kept)

    def summary(self, step: int, validation: list[dict[str, float]], test: list[dict[str, float]]) -> dict[str, Any]:
        """What the run came to at `step`, its last."""
        experiment, parts = self.experiment, self.parts
        found = summary_module.summarize(self.team.members, validation, test, self.diverged, parts.score)
        for own, facts in zip(found.get("replicas", [found]), self.stopping.facts(), strict=False):
            own |= facts
        return {
            "name": self.run.name,
            "model": experiment.model.name,
            "task": experiment.task.name,
            "dataset": experiment.data.name,
            "steps": step,
            "examples": step * experiment.data.batch,
            "seed": experiment.seed,
            "params": parts.params,
            "flops": parts.flops,
            **found,
            **({"notes": dict(parts.notes)} if parts.notes else {}),
            "seconds": round(self.seconds, 2),
            "compile_seconds": round(self.compile_seconds, 2),
            "device": machine.describe(),
            "date": datetime.date.today().isoformat(),
            "versions": {"jax": jax.__version__, "flax": flax.__version__},
        }


def fit(run: Run, parts: Setup, console: Console, *, resume: bool = False) -> dict[str, Any]:
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
        if loop.remark:
            console.print(f"{run.name}: {loop.remark}", soft_wrap=True, highlight=False)
        bar = stack.enter_context(Bar(console, run.name, step, experiment.steps))
        validation: list[dict[str, float]] = []
        finished = step == experiment.steps or loop.stopping.over
        while not finished:
            stop = next_stop(step, experiment.steps, experiment.eval_every_steps, loop.chunk)
            started, compiled = time.perf_counter(), loop.compile_seconds
            state, means = loop.advance(state, step, stop)
            speed = (stop - step) / (time.perf_counter() - started - loop.compile_seconds + compiled)
            step = stop
            _report(loop, bar, step, "train", means, speed)
            at_evaluation = step % experiment.eval_every_steps == 0 or step == experiment.steps
            if at_evaluation and loop.validate:
                validation = loop.stopping.look(state, step, loop.validate(state))
                _report(loop, bar, step, "validation", validation, speed)
            if finished := step == experiment.steps or loop.stopping.over:
                state, validation = loop.stopping.end(state, step, validation)
            if at_evaluation and parts.watch and run.writes:
                parts.watch(loop.team.each(state)[0], run.samples, step)
            received = processes.largest(loop.watch.received or 0)
            if at_evaluation or received:
                loop.save(state, step, loop.score(step, validation, means))
            if received and not finished:
                checkpoints.wait()
                how = f"zoo train --resume {run.path}"
                raise Stopped(f"stopped at step {step}; go on with: {how}", 128 + received)
        checkpoints.wait()
        if loop.validate and not validation:  # resumed after its last step
            validation = loop.validate(state)
        test = loop.evaluator("test")(state)  # touched here, once
        _report(loop, bar, step, "test", _with_best_step(loop, test), speed=0)
        summary = loop.summary(step, validation, test)
        if parts.show and run.writes:
            parts.show(loop.team.each(state)[0], run.samples)
        run.summarize(summary)
        return summary


def chunk_means(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Mean over the steps of a chunk; one that comes as (sums, counts) is left out where nothing was counted."""
    pairs = {n: v if isinstance(v, tuple) else (v, np.ones_like(v)) for n, v in metrics.items()}
    return {name: float(sums.sum() / counts.sum()) for name, (sums, counts) in pairs.items() if counts.sum()}


def _report(loop: Loop, bar: Bar, step: int, split: str, results: list[dict[str, float]], speed: float) -> None:
    metrics = _scalars(summary_module.mean(results))
    each = {name: [result.get(name) for result in results] for name in metrics} if len(results) > 1 else {}
    loop.run.log(step, split, loop.seconds, each, **metrics)
    bar.update(step, speed, {f"{split} {name}": value for name, value in metrics.items()})


def _with_best_step(loop: Loop, results: list[dict[str, float]]) -> list[dict[str, float]]:
    """`results` of every member, with the step that its State is of where early stopping chose it."""
    best = loop.stopping.facts() or [{}] * len(results)
    return [
        found | {name: value for name, value in one.items() if name == "best_step"}
        for found, one in zip(results, best, strict=True)
    ]


def _scalars(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "count"}
