"""`zoo train`: train a config, or resume a run."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from rich.console import Console

import train.loop.run
from train.commands.options import named
from train.commands.tables import comparison, each_fold
from train.config import files
from train.config.parse import parse_experiment
from train.core import machine
from train.core import processes as processes_module
from train.loop.fit import fit
from train.loop.restore import assemble_run
from train.loop.run import RUNS, Run
from train.loop.summary import Summary
from train.metrics.format import figure, title
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which processes train the run; nothing here changes its result."""

    coordinator: str | None = None
    """HOST:PORT of the first process, when several train one model together."""
    processes: int = 1
    """How many processes train together."""
    process: int = 0
    """Which of them this one is; process 0 writes the run folder."""

    def join(self) -> None:
        if self.coordinator:
            processes_module.join_processes(self.coordinator, self.processes, self.process)
        elif (self.processes, self.process) != (1, 0):
            raise UserError("--processes and --process need --coordinator HOST:PORT")


@dataclasses.dataclass(frozen=True)
class TrainOptions(Processes):
    """Where and how a run is trained; nothing here changes its result."""

    workdir: Path = RUNS
    """Run folders are made in here: WORKDIR/<config>/<time>."""


def train_command(args: Sequence[str]) -> None:
    """`zoo train CONFIG …` or `zoo train --resume RUN`."""
    if args and args[0] == "--resume":
        with processes_module.together():
            return _resume(args[1:])
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: zoo train CONFIG [OPTIONS] | zoo train --resume RUN\n\nconfigs: {', '.join(files.names())}")
        print("zoo train CONFIG --help shows every field of that config.")
        return None
    if args[0].startswith("-"):
        raise UserError(f"the config comes first: zoo train CONFIG {' '.join(args)}")
    name = Path(args[0]).stem
    experiment, options = parse_experiment(
        args[1:], prog=f"zoo train {args[0]}", default=files.load(args[0]), options=TrainOptions
    )
    options.join()
    machine.prepare_backend()
    with processes_module.together():
        parts = assemble_run(experiment)
        run = processes_module.agree(
            lambda: train.loop.run.create(name, experiment, options.workdir, parts.tokenizer).path
        )
        _train(Run(run, experiment, writes=jax.process_index() == 0), parts=parts)


def _resume(args: Sequence[str]) -> None:
    """`zoo train --resume RUN`: the run keeps its config, so the only options are the processes that train it."""
    path, options = named(args, "RUN", Processes, "zoo train --resume")
    run = train.loop.run.load(path)
    if train.loop.run.read_summary(run.path):
        raise UserError(f"{run.path} is finished: nothing to resume (zoo eval measures it)")
    options.join()
    machine.prepare_backend()
    run.writes = jax.process_index() == 0
    _train(run, resume=True)


def _train(run: Run, *, parts=None, resume: bool = False) -> None:
    console = Console(quiet=not run.writes)
    parts = parts or assemble_run(run.experiment, run.path)
    for remark in parts.remarks:
        console.print(f"{run.name}: {remark}", soft_wrap=True, highlight=False)
    summary = fit(run, parts, console, resume=resume, lines=True)
    test = summary.test
    metrics = ", ".join(f"{title(name)} {figure(name, value)}" for name, value in test.items() if name != "count")
    if len(summary.replicas) > 1:
        console.print(comparison(summary.settings, parts.counts))
        if run.experiment.folds:
            console.print(each_fold(summary.replicas))
        metrics = f"{metrics}, mean over {'folds' if run.experiment.folds else 'seeds'} of the best setting"
    console.print(
        f"{run.name}: test {metrics} ({test['count']:,} {parts.counts}) after {summary.steps:,} steps, "
        f"{summary.seconds:.0f} s, in {run.path}",
        soft_wrap=True,
        highlight=False,
    )
    for line in (*_stops(summary), *_divergences(summary)):
        console.print(f"{run.name}: {line}", soft_wrap=True, highlight=False)


def _stops(summary: Summary) -> Iterator[str]:
    """Yield a line for each replica that early stopping ended."""
    for number, replica in enumerate(summary.replicas):
        if replica.best_step is not None:
            who = f"replica {number} (seed {replica.seed}) " * (len(summary.replicas) > 1)
            stopped = f"{who}stopped at step {replica.stopped_at_step:,}"
            yield f"{stopped}; its State is that of step {replica.best_step:,}, the best on validation"


def _divergences(summary: Summary) -> Iterator[str]:
    """Yield a line for each replica whose loss was not finite."""
    for number, replica in enumerate(summary.replicas):
        if replica.diverged_at_step is not None:
            yield f"replica {number} (seed {replica.seed}) diverged at step {replica.diverged_at_step}"
