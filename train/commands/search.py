"""`zoo search CONFIG`: lets Optuna choose settings, trains them, and says which is best on validation."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import train.loop.run
from train.commands.answers import print_help
from train.commands.options import OwnParts, named
from train.config import Experiment, files
from train.config.parse import parse_experiment
from train.core.console import Console
from train.loop.run import RUNS
from train.metrics.format import figure
from train.studies.search import Pruner, Sampler
from zoo.errors import UserError

if TYPE_CHECKING:
    import optuna

    from train.studies.search.folder import About, Folder


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What is searched, how, and where. A search that was cut off goes on where the same command is given again."""

    space: tuple[str, ...] = ()
    """What may differ, such as optim.lr=log:1e-4..1e-1 optim.weight_decay=0..0.1 data.batch=32|64|128
    model.widths=128,64|256,128 optim.warmup_steps=int:0..200: log:A..B, A..B, int:A..B, log:int:A..B, or choices."""
    trials: int = 30
    """Trials in all, those of earlier calls and of other processes counted."""
    batch: int = 1
    """Trials trained side by side as replicas of one program; they may then differ in numbers only that change no
    shapes (optim.lr and the like)."""
    sampler: Sampler = "tpe"
    """tpe: tree-structured Parzen estimator; gp: Bayesian optimization by a Gaussian process (needs PyTorch);
    random."""
    pruner: Pruner = "median"
    """What gives a trial up early. median: below the median of the others at its step, after a quarter of the steps;
    hyperband; none."""
    sampler_seed: int = 0
    """Another seed draws other trials."""
    folder: Path | None = None
    """The search folder, made or gone on with; several processes that are given the same one share the work. By
    default the newest unfinished one of this same search, else WORKDIR/search/<config>/<time>."""
    workdir: Path = RUNS
    """Where folders are made."""


@dataclasses.dataclass(frozen=True)
class ResumeOptions(OwnParts):
    """Go on with a search, or help with it from another process."""

    trials: int | None = None
    """Trials in all; by default as many as it was begun with."""
    batch: int | None = None
    """Trials that this process trains side by side; by default as it was begun."""


def search_command(args: Sequence[str]) -> None:
    """`zoo search CONFIG --space FIELD=…` or `zoo search --resume FOLDER`."""
    if args and args[0] == "--resume":
        return _go(_resumed(args[1:]))
    if not args or args[0] in ("-h", "--help"):
        print("usage: zoo search CONFIG --space FIELD=… [OPTIONS] | zoo search --resume FOLDER\n")
        print("zoo search digits_mlp --trials 30 --space optim.lr=log:1e-4..1e-1 optim.weight_decay=0..0.1")
        print("zoo search CONFIG --help shows every option and every field.")
        return None
    if args[0].startswith("-"):
        raise UserError(f"the config comes first: zoo search CONFIG {' '.join(args)}")
    prog, asked = f"zoo search {args[0]}", files.load(args[0])
    read = partial(parse_experiment, args[1:], prog=prog, default=asked, options=SearchOptions)
    if not {"-h", "--help"}.isdisjoint(args[1:]):
        return print_help("search", args, read)
    experiment, options = read()
    _check(experiment, options)
    from train.core import machine
    from train.studies.search.folder import About

    about = About(args[0], options.space, options.sampler, options.pruner, options.sampler_seed)
    machine.prepare_backend()
    return _go(_opened(args[0], experiment, about, options))


def _check(experiment: Experiment, options: SearchOptions) -> None:
    """Raise UserError for what can be seen to be wrong before data are read."""
    for name, value in (("trials", options.trials), ("batch", options.batch)):
        if value < 1:
            raise UserError(f"--{name} must be at least 1, not {value}")
    if not 0 <= options.sampler_seed < 2**31:
        raise UserError(f"--sampler-seed must be at least 0 and below 2^31, not {options.sampler_seed}")
    if experiment.sweep:
        raise UserError("--sweep: a search chooses its settings itself; --space says from where")
    if experiment.folds:
        raise UserError("--folds: a search scores its trials on one validation split; cross-validate its best setting")
    from train.studies.search import samplers
    from train.studies.search.space import LENGTHS, read, require_replicas
    from train.tasks.check import check

    if experiment.steps < 1 or experiment.eval_every_steps < 1:
        check(experiment)
    spaces = read(experiment, options.space)
    check(experiment)
    if options.batch > 1:
        require_replicas(spaces)
    for space in spaces:
        if space.name in LENGTHS and options.pruner != "none":
            raise UserError(f"--space: trials that differ in {space.name} cannot be compared halfway: --pruner none")
    samplers.require_installed(options.sampler)


def _resumed(args: Sequence[str]) -> Folder:
    path, options = named(args, "FOLDER", ResumeOptions, "zoo search --resume")
    from train.core import machine
    from train.studies.search import folder as folders

    there = folders.load(Path(path), options.config)
    there.trials = there.trials if options.trials is None else options.trials
    there.batch = there.batch if options.batch is None else options.batch
    about = there.about
    # search.json holds the names as strings: those that the command line let pass when the search was begun.
    sampler, pruner = cast(Sampler, about.sampler), cast(Pruner, about.pruner)
    _check(
        there.experiment,
        SearchOptions(about.space, there.trials, there.batch, sampler, pruner, about.sampler_seed),
    )
    if options.trials is not None:
        there.write()
    machine.prepare_backend()
    return there


def _opened(config: str, experiment: Experiment, about: About, options: SearchOptions) -> Folder:
    """The search folder of a command: the one that it names, the newest unfinished one of the same, or a new one."""
    name, place = train.loop.run.name_of(config, experiment), options.folder
    from train.loop.restore import assemble_run
    from train.studies.search import folder as folders
    from train.studies.search.folder import Folder
    from train.studies.search.trainer import Trainer

    source = files.source_of(config)
    if place is not None and (place / folders.ABOUT).is_file():
        there = folders.load(place, source and Path(source.path))
        folders.require_same(there, experiment, about)
    else:
        if place is not None and place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UserError(f"--folder: {place} is there already and is no search folder")
        there = None
        for own in (name, Path(config).stem) if place is None else ():  # older searches are named after their config
            there = there or folders.unfinished(options.workdir / "search" / own, experiment, about, options.trials)
    if there is not None:
        changed = there.trials != options.trials
        there.trials, there.batch = options.trials, options.batch
        if changed:
            there.write()
        return there
    parts = assemble_run(experiment)
    with contextlib.closing(Trainer(experiment, parts)) as trainer:  # says what cannot be before a folder is made
        trainer.require_trainable(options.batch)
    run = train.loop.run.create(name, experiment, options.workdir / "search", parts.tokenizer, place, source)
    made = Folder(run, about, options.trials, options.batch, parts.best)
    made.write()
    return made


def _go(folder: Folder) -> None:
    """Search until the trials are there, then report."""
    console = Console()
    before = folder.ended()
    if before:
        console.print(f"{folder.path}: {before} of {folder.trials} trials are there", soft_wrap=True, highlight=False)
    from train.studies.search import picture, report
    from train.studies.search.study import Search

    with _Bar(console, folder, before) as bar:
        study = Search(folder, bar.show).run()
    content = report.summary(folder, study)
    report.write(folder, content)
    pictures = picture.write(folder, study)
    console.print(report.table(folder, study))
    for line in report.lines(folder, content):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(f"in {folder.path}: best.json, {', '.join(path.name for path in pictures)}", soft_wrap=True)


class _Bar:
    """Trials that are done, the best so far and what is going on: on a terminal; nothing in a pipe."""

    def __init__(self, console: Console, folder: Folder, done: int) -> None:
        self.folder = folder
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[best]}", markup=False),
            TextColumn("{task.fields[now]}", markup=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        name = folder.path.parent.name
        self._task = self._progress.add_task(name, total=folder.trials, completed=done, best="", now="compiling")

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, study: optuna.Study, now: str) -> None:
        if self._progress.disable:
            return
        from train.studies.search import report
        from train.studies.search.folder import counts

        done, best = sum(map(counts, study.get_trials(deepcopy=False))), report.complete(study)
        named = self.folder.metric
        text = ""
        if best:
            score = best[0].value
            assert score is not None, "a trial that is complete has a value"
            text = f"best {figure(named, report.value_of(self.folder, score))}"
        self._progress.update(self._task, completed=done, best=text, now=now)
