"""The training loop of one run, on the host: `fit` from the first step to the summary.

What happens in a chunk is in `train.core.chunks`; how many replicas there are, how early stopping keeps the best State,
and how a checkpoint is written are matters of the objects that `fit` calls.
"""

import contextlib
import dataclasses
import datetime
import math
import time
from collections.abc import Callable

import flax
import jax
from jax.sharding import Mesh
from rich.console import Console

from train.algorithms.averages import whole
from train.core import State, devices, machine, processes, startup
from train.core.signals import Stopped, Watch
from train.data.feed import Feed
from train.loop import known_data
from train.loop.checkpoints import Checkpoints
from train.loop.chunks import ChunkRunner
from train.loop.groups import Groups
from train.loop.progress import Lines, Reporter, announced
from train.loop.replicas import (
    ReplicaSet,
    counts_groups,
    evaluate_grouped,
    evaluate_replicas,
    finite_replicas,
    make_replica_set,
)
from train.loop.run import Run
from train.loop.schedule import Schedule, make_schedule
from train.loop.start import initialize, restore_last
from train.loop.stopping import EarlyStopping
from train.loop.summary import Results, Summary, best_score, is_finite, mean, replica_results, setting_results
from train.pictures.guard import guarded
from train.tasks.check import NO_VALIDATION
from train.tasks.setup import Setup
from zoo.errors import UserError


def fit(run: Run, setup: Setup, console: Console, *, resume: bool = False, lines: Lines = None) -> Summary:
    """Train a run to its last step, from the start or (`resume`) from its last checkpoint, and return its summary.

    lines: how to print an evaluation where there is no progress bar; see `train.loop.progress`.
    Raise Stopped after Ctrl-C or SIGTERM, when everything is saved, and when no replica is finite any more.
    """
    machine.release_programs()  # those of earlier runs, as in a grid
    with contextlib.ExitStack() as stack:
        started = stack.enter_context(announced(run, console, lines))
        session, state, step = _open(run, setup, console, stack, resume=resume, lines=lines)
        checkpoints, early_stopping, schedule = session.checkpoints, session.early_stopping, session.schedule
        validation: list[Results] = []
        finished = step == schedule.steps or early_stopping.over
        while not finished:
            stop = schedule.next_stop(step)
            result = session.chunk_runner.advance(state, step, stop, early_stopping.active)
            started()
            state, step = result.state, stop
            if session.chunk_runner.all_diverged:
                raise Stopped(session.divergence_message(), 1)
            session.reporter.report(step, "train", result.means, result.steps_per_second)

            is_evaluation = schedule.is_evaluation(step)
            if is_evaluation:
                measured = session.evaluate_validation(state, step)
                validation = early_stopping.update(state, step, measured)
                if validation:
                    session.reporter.report(step, "validation", validation)
            finished = step == schedule.steps or early_stopping.over
            if finished:  # with early stopping the best State takes the place of the last
                state, validation = early_stopping.finish(state, step, validation)
            if is_evaluation:
                session.reporter.print_evaluation(step)
                session.draw_progress(state, step)
            else:
                session.reporter.print_first(step)

            # All processes stop if any of them received a signal. The exit code is 128 + signal, as in a shell.
            signal = processes.largest(session.signals.received or 0)
            if is_evaluation or signal:
                score = session.score(step, validation, result.means) if is_evaluation else None
                session.save(state, step, score)
            if signal and not finished:
                checkpoints.wait()
                raise Stopped(f"stopped at step {step}; resume it with: zoo train --resume {run.path}", 128 + signal)

        checkpoints.wait()
        if session.validate and not validation:  # the run was killed between its last step and its summary
            validation = session.evaluate_validation(state, step)
        test, groups = session.evaluate_test(state)  # nothing else in training reads the test split
        summary = session.summarize(step, validation, test, groups)
        summary = dataclasses.replace(summary, validation_groups=session.validation_groups(state))
        session.draw_result(state)
        # These two come last and together: a run that is killed before has not used its test split.
        session.reporter.report(step, "test", session.with_best_step(test))
        run.summarize(summary)
        processes.wait_for_all("summary")
        return summary


@dataclasses.dataclass(frozen=True)
class Session:
    """The objects of a run in progress. The State is not among them: it is handed from call to call."""

    run: Run
    setup: Setup
    mesh: Mesh | None
    replicas: ReplicaSet
    checkpoints: Checkpoints
    signals: Watch
    early_stopping: EarlyStopping
    feed: Feed
    schedule: Schedule
    chunk_runner: ChunkRunner
    reporter: Reporter
    validate: Callable[[State], list[Results]] | None  # None where nothing is held out

    def evaluate_validation(self, state: State, step: int) -> list[Results]:
        """Evaluate every replica on the validation split; [] where nothing is held out.

        Raise Stopped where no replica is finite any more, so that its State never takes the place of a good one.
        """
        results = self.validate(state) if self.validate else []
        finite = finite_replicas(self.replicas, state)
        if results:
            finite = [own and self._is_finite(result) for own, result in zip(finite, results, strict=True)]
        self.chunk_runner.note_evaluation(finite, step)
        if self.chunk_runner.all_diverged:
            raise Stopped(self.divergence_message("evaluation"), 1)
        return results

    def _is_finite(self, validation: Results) -> bool:
        return is_finite(validation) and math.isfinite(self.setup.score(validation))

    def evaluate_test(self, state: State) -> tuple[list[Results], Groups | None]:
        """Evaluate every replica on the test split, and on each group of its examples where they come in groups."""
        evaluate = evaluate_grouped(self.replicas, self.setup, "test", self.mesh)
        if evaluate is None:
            raise UserError(f"{self.run.experiment.data.name} has no test split")
        return evaluate(state)

    def validation_groups(self, state: State) -> Groups | None:
        """Count the right ones of each group of validation examples, where several replicas have an interval there."""
        if len(self.replicas.members) == 1 or not self.validate or not counts_groups(self.setup, "validation"):
            return None
        evaluate = evaluate_grouped(self.replicas, self.setup, "validation", self.mesh)
        return evaluate and evaluate(state)[1]

    def score(self, step: int, validation: list[Results], means: list[Results]) -> float:
        """Return the score of an evaluation at `step`, that of the best setting: higher is better.

        A setting counts while none of its replicas has diverged. Without a validation split the score is minus the loss
        of the last chunk. Without a loss (networks that play against each other have none that says how good they are)
        it is the step, so the latest checkpoint is the best.
        """
        members = self.replicas.members
        if validation:
            return best_score(members, validation, self.setup.score)
        if "loss" not in mean(means):
            return step
        return best_score(members, means, lambda own: -own["loss"])

    def save(self, state: State, step: int, score: float | None) -> None:
        """Write a checkpoint from which the run resumes to the same bits. score: None where `step` was not evaluated"""
        record = self.early_stopping.record(state)
        self.checkpoints.save(state, step, score, self.feed.state, self.setup.fingerprint, record)

    def draw_progress(self, state: State, step: int) -> None:
        """Draw what the first replica has learned by now into the run folder, where the task has something to draw."""
        watch = self.setup.watch
        if watch:
            self._draw(state, f"what samples/ shows of step {step:,}", lambda own: watch(own, self.run.samples, step))

    def draw_result(self, state: State) -> None:
        """Write what the first replica makes after training into the run folder, such as translations."""
        show = self.setup.show
        if show:
            self._draw(state, "what samples/ shows of the last step", lambda own: show(own, self.run.samples))

    def _draw(self, state: State, what: str, draw: Callable[[State], None]) -> None:
        """Let the process that writes draw. All processes gather the State first, so none runs a program alone."""
        own = whole(self.replicas.each(state)[0])
        if self.run.writes:
            with guarded(what):
                draw(own)

    def with_best_step(self, results: list[Results]) -> list[Results]:
        """Return `results` with the step of the State that they are of, where early stopping chose it."""
        stops = self.early_stopping.stops()
        if not stops:
            return results
        return [own | {"best_step": stop.best_step} for own, stop in zip(results, stops, strict=True)]

    def divergence_message(self, what: str = "loss") -> str:
        self.checkpoints.wait()
        steps = self.checkpoints.steps()
        kept = f"the checkpoint of step {steps[-1]} in {self.run.path} is kept" if steps else "nothing was saved yet"
        step = max(self.chunk_runner.diverged.values())
        return f"the {what} is not finite at step {step}; {kept}; a smaller optim.lr or optim.clip_norm may help"

    def summarize(self, step: int, validation: list[Results], test: list[Results], groups: Groups | None) -> Summary:
        """Return the summary of the run, which ended at `step`."""
        experiment, setup = self.run.experiment, self.setup
        stops, diverged = self.early_stopping.stops(), self.chunk_runner.diverged
        replicas = replica_results(self.replicas.members, validation, test, diverged, stops)
        settings = setting_results(replicas, setup.score)
        best = next(setting for setting in settings if setting.best)
        return Summary(
            name=self.run.name,
            model=experiment.model.name,
            task=experiment.task.name,
            dataset=experiment.data.name,
            steps=step,
            examples=step * experiment.data.batch,
            seed=experiment.seed,
            params=setup.params,
            flops=setup.flops,
            validation=best.validation,
            test=best.test,
            settings=settings,
            replicas=replicas,
            notes=dict(setup.notes),
            groups=groups,
            seconds=round(self.reporter.seconds, 2),
            compile_seconds=round(self.chunk_runner.compile_seconds, 2),
            device=machine.describe(),
            date=datetime.date.today().isoformat(),
            versions={"jax": jax.__version__, "flax": flax.__version__},
            start=startup.take_phases(),
        )


def _open(
    run: Run, setup: Setup, console: Console, stack: contextlib.ExitStack, *, resume: bool, lines: Lines
) -> tuple[Session, State, int]:
    """Return the objects of a run, and the State and the step that it starts from. `stack` closes them.

    A run that stopped before its first checkpoint resumes from its first step.
    """
    experiment, began = run.experiment, time.perf_counter()
    stack.enter_context(run)
    known_data.keep(run, setup.dataset)
    checkpoints = stack.enter_context(contextlib.closing(Checkpoints(run.checkpoints)))
    signals = stack.enter_context(Watch())
    mesh = devices.make_mesh(experiment.data.batch)
    replicas = make_replica_set(experiment, setup.task, setup.build)
    several = len(replicas.members) > 1
    if several and mesh:
        raise UserError(f"replicas (seeds, sweep, folds) train on one device, but there are {mesh.size}")
    early_stopping = EarlyStopping(experiment.patience, replicas, setup.score)

    if resume and checkpoints.steps():
        placed = devices.placed(jax.eval_shape(replicas.init, replicas.key), mesh, experiment.shard)
        start = restore_last(checkpoints, placed, setup.fingerprint, early_stopping)
        checkpoints.remove_others()
    else:
        start = initialize(experiment, replicas, mesh)
    if resume:
        began -= run.rewind(start.step)  # the clock goes on from the seconds of the run so far
    if start.remark:
        console.print(f"{run.name}: {start.remark}", soft_wrap=True, highlight=False)

    startup.passed("initialize")
    feed = stack.enter_context(contextlib.closing(setup.feed(mesh, start.reader)))
    if several and feed.most:
        raise UserError("a set that is read while training has one order for all replicas (seeds, sweep)")
    validate = evaluate_replicas(replicas, setup, "validation", mesh)
    if experiment.patience and not validate:
        raise UserError(NO_VALIDATION)
    schedule = make_schedule(experiment, setup, len(replicas.members), feed.most)
    sharding = devices.state_sharding(start.state, mesh, experiment.shard)
    session = Session(
        run=run,
        setup=setup,
        mesh=mesh,
        replicas=replicas,
        checkpoints=checkpoints,
        signals=signals,
        early_stopping=early_stopping,
        feed=feed,
        schedule=schedule,
        chunk_runner=ChunkRunner(replicas, feed, schedule, sharding),
        reporter=stack.enter_context(Reporter(run, console, start.step, began, lines=lines)),
        validate=validate,
    )
    return session, start.state, start.step
