"""`zoo train`: train a config, or resume a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

import train.loop.run
from train.commands.answers import print_help
from train.commands.options import OwnParts, named
from train.commands.tables import comparison, each_fold
from train.config import Experiment, files
from train.config.parse import parse_experiment
from train.core.console import Console
from train.loop.run import RUNS, Run
from train.loop.summary import Summary
from train.metrics.format import figure, title
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.tasks.setup import Setup


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which processes train the run; nothing here changes its result."""

    coordinator: str | None = None
    """HOST:PORT of the first process, when several train one model together. The tasks of a SLURM or Open MPI job find
    it by themselves; `none` lets each of them train alone."""
    processes: int = 1
    """How many processes train together."""
    process: int = 0
    """Which of them this one is; process 0 writes the run folder."""

    def join(self) -> None:
        from train.core import processes

        if self.coordinator and self.coordinator != "none":
            processes.join_processes(self.coordinator, self.processes, self.process)
        elif (self.processes, self.process) != (1, 0):
            raise UserError("--processes and --process need --coordinator HOST:PORT")
        elif not self.coordinator:
            processes.join_job()


@dataclasses.dataclass(frozen=True)
class TrainOptions(Processes):
    """Where and how a run is trained; nothing here changes its result."""

    workdir: Path = RUNS
    """Run folders are made in here: WORKDIR/<config>/<time>; with other data WORKDIR/<model>_on_<data>/<time>."""
    log: Literal["text", "json"] = "text"
    """How progress is printed: for people, or for machines, one line of JSON for each event: start, evaluation, end."""


@dataclasses.dataclass(frozen=True)
class ResumeOptions(OwnParts, Processes):
    """Go on with a run that stopped, or with a finished one for more steps. The run keeps its config."""

    steps: int | None = None
    """Train up to this step: longer than the run was to be. Its bits are then those of a run of that length, so the
    learning rate must not depend on the number of steps (optim.schedule linear, cosine and one_cycle do)."""
    workers: Annotated[int | None, tyro.conf.arg(name="data.workers")] = None
    """Reader processes when streaming (0: read in this process)."""
    log: Literal["text", "json"] = "text"
    """How progress is printed: for people, or one line of JSON for each event."""


def train_command(args: Sequence[str]) -> None:
    """`zoo train CONFIG …` or `zoo train --resume RUN`."""
    if args and args[0] == "--resume":
        return _resume(args[1:])
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: zoo train CONFIG [OPTIONS] | zoo train --resume RUN\n\nconfigs: {', '.join(files.names())}")
        print("zoo train CONFIG --help shows every field of that config.")
        return None
    if args[0].startswith("-"):
        raise UserError(f"the config comes first: zoo train CONFIG {' '.join(args)}")
    prog, asked = f"zoo train {args[0]}", files.load(args[0])
    read = partial(parse_experiment, args[1:], prog=prog, default=asked, options=TrainOptions, check=_check)
    if not {"-h", "--help"}.isdisjoint(args[1:]):
        return print_help("train", args, read)
    experiment, options = read()
    return _begin(args[0], experiment, options)


def _check(experiment: Experiment) -> None:
    """Find what else is wrong where an option cannot be read. The import takes seconds, which this alone needs here."""
    from train.tasks.check import check_readable

    check_readable(experiment)


def _begin(config: str, experiment: Experiment, options: TrainOptions) -> None:
    """Train a new run of `experiment`, which comes from `config`, in WORKDIR/<config>, or with other data beside it."""
    import jax

    from train.core import machine, processes, startup
    from train.loop.restore import assemble_run

    source, own = files.source_of(config), Path(config).stem
    name = train.loop.run.name_of(config, experiment)
    options.join()
    machine.prepare_backend()
    startup.passed("import")
    with processes.together():
        setup = assemble_run(experiment)
        startup.passed("data and model")
        path = processes.agree(
            lambda: (
                train.loop.run.create(
                    name, experiment, options.workdir, setup.tokenizer, source=source, config=own
                ).path
            )
        )
        _train(Run(path, experiment, writes=jax.process_index() == 0, source=source), setup, options.log)


def _resume(args: Sequence[str]) -> None:
    """`zoo train --resume RUN`: the run keeps its config, so the only options are the processes that train it, where
    the user's own config file lies, and what changes no result."""
    _require_no_other_fields(args)
    path, options = named(args, "RUN", ResumeOptions, "zoo train --resume")
    run = train.loop.run.load(path, options.config)
    from train.loop import change

    experiment = change.changed(run, options.steps, options.workers)
    if train.loop.run.read_summary(run.path) and experiment.steps == run.experiment.steps:
        raise UserError(f"{run.path} is finished: nothing to resume (zoo eval measures it, --steps N trains longer)")
    import jax

    from train.core import machine, processes, startup
    from train.loop.restore import assemble_run

    with processes.together():
        options.join()
        machine.prepare_backend()
        startup.passed("import")
        run.writes = jax.process_index() == 0
        setup = assemble_run(experiment, run.path)
        startup.passed("data and model")
        change.apply(run, experiment)
        _train(run, setup, options.log, resume=True)


def _require_no_other_fields(args: Sequence[str]) -> None:
    """Raise UserError for a field of an experiment that a resumed run keeps."""
    own = {field.name for field in dataclasses.fields(Experiment)} - {"steps", "data"}
    for option in (word.partition("=")[0] for word in args if word.startswith("--")):
        part, _, field = option.removeprefix("--").replace("-", "_").partition(".")
        if part in own or (part == "data" and field not in ("", "workers")):
            raise UserError(
                f"{option}: a resumed run keeps its config, but for --steps and --data.workers; a new run starts from "
                f"its weights with: zoo train CONFIG --init-from {args[0]} {option} …"
            )


def _train(run: Run, setup: Setup, log: Literal["text", "json"], *, resume: bool = False) -> None:
    """Train, and print what came out. Where there is no progress bar, the run folder comes first."""
    from train.loop.fit import fit
    from train.loop.progress import has_bar, print_json

    console = Console(quiet=not run.writes)
    if log == "json":
        print_json(console, event="start", run=str(run.path), remarks=list(setup.remarks))
        summary = fit(run, setup, console, resume=resume, lines="json")
        print_json(console, event="end", run=str(run.path), **summary.to_json())
        return
    if not has_bar(console):
        console.print(f"{run.name}: run folder {run.path}", soft_wrap=True, highlight=False)
    for remark in setup.remarks:
        console.print(f"{run.name}: {remark}", soft_wrap=True, highlight=False)
    summary = fit(run, setup, console, resume=resume, lines="text")
    _print_results(run, setup, summary, console)


def _print_results(run: Run, setup: Setup, summary: Summary, console: Console) -> None:
    test = summary.test
    metrics = ", ".join(f"{title(name)} {figure(name, value)}" for name, value in test.items() if name != "count")
    if len(summary.replicas) > 1:
        intervals = {
            split: [summary.interval(setting, split) for setting in summary.settings]
            for split in ("validation", "test")
        }
        console.print(comparison(summary.settings, setup.counts, data=setup.bounds_on, intervals=intervals))
        if run.experiment.folds:
            console.print(each_fold(summary.replicas))
        metrics = f"{metrics}, mean over {'folds' if run.experiment.folds else 'seeds'} of the best setting"
    if interval := summary.interval():
        low, high = figure("accuracy", interval.low), figure("accuracy", interval.high)
        metrics = f"{metrics}, 95 % interval of the accuracy {low} to {high} over {interval.over}"
    console.print(
        f"{run.name}: test {metrics} ({test['count']:,} {setup.counts}) after {summary.steps:,} steps, "
        f"{summary.seconds:.0f} s, in {run.path}",
        soft_wrap=True,
        highlight=False,
    )
    for metric, note in setup.notes.items():
        console.print(f"{run.name}: {title(metric)}: {note}", soft_wrap=True, highlight=False)
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
