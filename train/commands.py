"""The commands that train or measure a run: train, eval."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import flax
import jax
from rich.console import Console

import train.run
from train import configs, devices, replicas
from train.arguments import parse, parse_experiment
from train.assemble import Parts, assemble
from train.checkpoints import Checkpoints
from train.config import Experiment
from train.core import State
from train.loop import fit
from train.replicas import Team
from train.report import comparison, each_fold, figure, title
from train.run import RUNS, Run
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
            devices.join_processes(self.coordinator, self.processes, self.process)
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
        with devices.together():
            return _resume(args[1:])
    if not args or args[0] in ("-h", "--help"):
        print(f"usage: zoo train CONFIG [OPTIONS] | zoo train --resume RUN\n\nconfigs: {', '.join(configs.names())}")
        print("zoo train CONFIG --help shows every field of that config.")
        return None
    if args[0].startswith("-"):
        raise UserError(f"the config comes first: zoo train CONFIG {' '.join(args)}")
    name = Path(args[0]).stem
    experiment, options = parse_experiment(
        args[1:], prog=f"zoo train {args[0]}", default=configs.load(args[0]), options=TrainOptions
    )
    options.join()
    devices.prepare_backend()
    with devices.together():
        parts = assemble(experiment)
        run = devices.agree(lambda: train.run.create(name, experiment, options.workdir, parts.tokenizer).path)
        _train(Run(run, experiment, writes=jax.process_index() == 0), parts=parts)


def _resume(args: Sequence[str]) -> None:
    """`zoo train --resume RUN`: the run keeps its config, so the only options are the processes that train it."""
    path, options = named(args, "RUN", Processes, "zoo train --resume")
    run = train.run.load(path)
    if train.run.read_summary(run.path):
        raise UserError(f"{run.path} is finished: nothing to resume (zoo eval measures it)")
    options.join()
    devices.prepare_backend()
    run.writes = jax.process_index() == 0
    _train(run, resume=True)


def _train(run: Run, *, parts=None, resume: bool = False) -> None:
    console = Console(quiet=not run.writes)
    parts = parts or assemble(run.experiment, run.path)
    for remark in parts.remarks:
        console.print(f"{run.name}: {remark}", soft_wrap=True, highlight=False)
    summary = fit(run, parts, console, resume=resume)
    test = summary["test"]
    metrics = ", ".join(f"{title(name)} {figure(name, value)}" for name, value in test.items() if name != "count")
    if "settings" in summary:
        console.print(comparison(summary["settings"], parts.counts))
        if run.experiment.folds:
            console.print(each_fold(summary["replicas"]))
        metrics = f"{metrics}, mean over {'folds' if run.experiment.folds else 'seeds'} of the best setting"
    console.print(
        f"{run.name}: test {metrics} ({test['count']:,} {parts.counts}) after {summary['steps']:,} steps, "
        f"{summary['seconds']:.0f} s, in {run.path}",
        soft_wrap=True,
        highlight=False,
    )
    _say_stops(console, run.name, summary)
    for number, replica in enumerate(summary.get("replicas", [])):
        if "diverged_at_step" in replica:
            what = f"replica {number} (seed {replica['seed']}) diverged at step {replica['diverged_at_step']}"
            console.print(f"{run.name}: {what}", soft_wrap=True, highlight=False)


def _say_stops(console: Console, name: str, summary: dict) -> None:
    """Where early stopping ended the run, or each of its replicas."""
    for number, one in enumerate(summary.get("replicas", [summary])):
        if "best_step" in one:
            who = f"replica {number} (seed {one['seed']}) " * ("replicas" in summary)
            stopped = f"{who}stopped at step {one['stopped_at_step']:,}; its State is that of step {one['best_step']:,}"
            console.print(f"{name}: {stopped}, the best on validation", soft_wrap=True, highlight=False)


@dataclasses.dataclass(frozen=True)
class EvalOptions:
    """Measure a trained run on its validation and test splits."""

    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest validation accuracy."""


def eval_command(args: Sequence[str]) -> None:
    """`zoo eval RUN`."""
    path, options = named(args, "RUN", EvalOptions, "zoo eval")
    devices.prepare_backend()
    run = train.run.load(path)
    parts, team, state = restore_team(run, options.checkpoint)
    results: dict[str, list[dict[str, float]]] = {"validation": []}
    for split in ("validation", "test"):
        mesh, held_out = devices.make_mesh(run.experiment.data.batch), [member.fold for member in team.members]
        if measures := parts.measures(split, mesh, held_out):
            results[split] = [measure(one) for measure, one in zip(measures, team.each(state), strict=True)]
    found = replicas.summarize(team.members, **results, diverged={}, score=parts.score)
    rows = found.get("settings") or [found | {"setting": {}, "seeds": [run.experiment.seed]}]
    Console().print(comparison(rows, parts.counts, heading=f"{run.path}, step {int(state.step.max()):,}"))
    if run.experiment.folds:
        Console().print(each_fold(found["replicas"]))
    for name, note in parts.notes.items():
        Console().print(f"{title(name)}: {note}", soft_wrap=True, highlight=False)


def restore(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Parts, State]:
    """The parts of a run of one member and the State of one of its checkpoints."""
    train.run.demand_single(run)
    parts, _, state = restore_team(run, checkpoint)
    return parts, state


def restore_team(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Parts, Team, State]:
    """The parts of a run, its replicas, and the State of all of them from one of its checkpoints."""
    parts = assemble(run.experiment, run.path)
    team = replicas.make_team(run.experiment, parts.task, parts.build)
    mesh = devices.make_mesh(run.experiment.data.batch)
    abstract = devices.placed(jax.eval_shape(team.init, team.key), mesh, run.experiment.shard)
    state, _ = Checkpoints(run.checkpoints, read_only=True).restore(abstract, checkpoint, parts.fingerprint)
    return parts, team, state


def finished(folder: Path, experiment: Experiment) -> Run | None:
    """The newest finished run in `folder` of just this experiment with just these library versions."""
    versions = {"jax": jax.__version__, "flax": flax.__version__}
    for path in sorted((config.parent for config in folder.glob("*/config.json")), reverse=True):
        summary = train.run.read_summary(path)
        if summary and summary["versions"] == versions and train.run.load(path).experiment == experiment:
            return Run(path, experiment)
    return None


def named(args: Sequence[str], what: str, options: type, prog: str) -> tuple[str, object]:
    """The one positional argument and the options of a command."""
    if not args or args[0].startswith("-"):
        if args and args[0] in ("-h", "--help"):
            parse(options, ["--help"], prog=f"{prog} {what}")
        raise UserError(f"{prog} needs a {what} first: {prog} {what} [OPTIONS]")
    return args[0], parse(options, args[1:], prog=f"{prog} {what}")
