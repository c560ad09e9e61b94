"""The search folder: config.json, search.json, search_data.json, journal.log (every trial, by Optuna), and locks.

Each process that works on it holds a lock until it ends. So the others know, without timeouts, which running trials
belong to a process that has died. Several processes can write to the folder, also from several machines if the file
system locks files.
"""

import dataclasses
import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import filelock
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

import train.loop.run
from train.config import Experiment, files, metrics, override
from train.config.files import ConfigFile
from train.data import record
from train.loop.run import Run
from train.studies.search import Sampler
from train.studies.search.journal import Journal
from train.studies.search.samplers import make_sampler
from zoo.errors import UserError, in_one_line, note
from zoo.files import is_file_name, parse_json, read_json, write_atomically, writing

ABOUT = "search.json"
DATA = "search_data.json"  # of the config's own setting: trials may differ in data.labels and the like
REPORT = "best.json"
STUDY = "search"
DEFAULT = "default"  # attribute of the trial of the config's own setting
RETRIES = "retries"  # attribute of a trial: the number of the lost trial whose setting it tries again
TRIES = 5  # after which a setting is given up: it may be what kills its process, as one that needs too much memory
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclasses.dataclass(frozen=True)
class About:
    """The options of a search. Two searches with the same options and the same Experiment are the same search."""

    config: str = ""  # name or path, as given on the command line
    space: tuple[str, ...] = ()
    sampler: str = "tpe"
    pruner: str = "median"
    sampler_seed: int = 0


class Folder:
    """A search on disk.

    trials: their total number. batch: how many train together. metric: what judges them.
    """

    def __init__(
        self, run: Run, about: About, trials: int, batch: int, metric: str, config: Path | None = None
    ) -> None:
        """config: the config file that the user names, in place of the one that the search was begun with."""
        self.run, self.about, self.trials, self.batch, self.metric = run, about, trials, batch, metric
        self.path = run.path
        self.config = str(config or (run.source.path if run.source else about.config))  # a name or a path

    @property
    def experiment(self) -> Experiment:
        return self.run.experiment

    def write(self) -> None:
        signed = "-" * (metrics.direction(self.metric) == "lower") + self.metric  # "-loss": lower is better
        content = {**dataclasses.asdict(self.about), "trials": self.trials, "batch": self.batch, "metric": signed}
        write_atomically(self.path / ABOUT, json.dumps(content, indent=2) + "\n")

    def keep_data(self, dataset: Any) -> None:
        """Keep what is known of the data where none is yet. UserError for a search that goes on with other examples.

        Its scores could not be compared with those that are there. dataset: of the config's own setting.
        """
        known, now = record.read(self.path, DATA), record.record(dataset)
        if now is None:
            return
        if known is None:
            self.run.write_json(DATA, now.to_json())
        elif changes := known.changed(now, "train", "validation"):
            raise UserError(
                f"{self.path} cannot go on: {'; '.join(changes)}. Restore {now.name}, or search it anew in another "
                "--folder"
            )

    def study(self, **options: Any) -> optuna.Study:
        """Open the Optuna study. To prune trials, pass `pruner=`."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        journal = Journal(self.path / "journal.log")
        try:
            return optuna.create_study(
                storage=JournalStorage(journal),
                study_name=STUDY,
                direction="maximize",
                load_if_exists=True,
                **options,
            )
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"cannot read {journal.path}: {error.strerror}") from error
        except Exception as error:  # lines of an older search have no checksum, and then Optuna fails in many ways
            raise journal.damaged(f"{type(error).__name__}: {error}") from error

    def ended(self) -> int:
        """Return the number of trials that count: completed, pruned or impossible ones."""
        return sum(map(counts, self.study().get_trials(deepcopy=False)))


def load(path: Path, config: Path | None = None) -> Folder:
    """Load the search in a folder. Raises UserError where there is none, or its config file cannot be loaded.

    config: as for `train.loop.run.load`.
    """
    if not (path / ABOUT).is_file():
        raise UserError(f"no search folder at {path}: it has no {ABOUT}")
    run = train.loop.run.load(path, config)
    try:
        content = parse_json((path / ABOUT).read_text(encoding="utf-8"))
        trials, batch = int(content.pop("trials")), int(content.pop("batch"))
        metric = str(content.pop("metric")).removeprefix("-")
        there = Folder(run, override(About(), content), trials, batch, metric, config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # UserError is a ValueError
        raise UserError(f"{path / ABOUT} cannot be read: {in_one_line(error)}") from None
    if config is None and there.config not in files.names():  # its report names what differs from that file
        kept = run.source or ConfigFile(os.path.abspath(there.config), "")
        files.load_for(path, dataclasses.replace(kept, registers=kept.registers or ("the CONFIG",)))
    return there


def unfinished(folder: Path, experiment: Experiment, about: About, trials: int) -> Folder | None:
    """Return the newest identical search in `folder` that has fewer than `trials` trials, or no report of them all."""
    source = files.source_of(about.config)
    for found in sorted((about.parent for about in folder.glob(f"*/{ABOUT}")), reverse=True):
        try:
            there = load(found, None if source is None else Path(source.path))
            same = there.experiment == experiment and there.about == about and _same_code(there.run.source, source)
            if same and ((ended := there.ended()) < trials or _reported(found) < ended):
                return there
        except UserError as error:  # an unreadable folder does not prevent a new search
            note(f"{error}; it is not gone on with")
    return None


def _reported(folder: Path) -> int:
    """Return the number of trials in a search's report; 0 where there is none, as after a kill at the end."""
    try:
        return sum(read_json(folder / REPORT)["trials"].values())
    except (UserError, KeyError, TypeError, AttributeError):
        return 0


def require_same(there: Folder, experiment: Experiment, about: About) -> None:
    """Raise UserError where the search in a folder is a different one; the message names the first difference."""
    theirs, ours = _flat(there), _flat(Folder(Run(there.path, experiment), about, 0, 0, ""))
    for name in [*ours, *theirs]:
        if theirs.get(name) != ours.get(name):
            raise UserError(
                f"{there.path} is the search of another config: {name} is {theirs.get(name)} there, "
                f"{ours.get(name)} here"
            )
    if not _same_code(there.run.source, files.source_of(about.config)):
        raise UserError(f"{there.path} is the search of {about.config} before it changed: choose another --folder")


def _same_code(theirs: ConfigFile | None, ours: ConfigFile | None) -> bool:
    """Whether what two config files bring (models, data, tasks) is the same; what they only set is compared apart."""
    return theirs == ours or not ((theirs and theirs.registers) or (ours and ours.registers))


def counts(trial: FrozenTrial) -> bool:
    """Return whether a trial counts: it does not if its process died before the trial ended."""
    return trial.state in ENDED or "impossible" in trial.user_attrs


def _first_number(trial: FrozenTrial) -> int:
    """Return the number of the first trial of its setting: its own, unless it tries a lost one again."""
    return trial.user_attrs.get(RETRIES, trial.number)


class Worker:
    """One process that works on a search: asks for trials, and tries those of dead processes again."""

    def __init__(
        self, folder: Folder, study: optuna.Study, space: Mapping[str, BaseDistribution], first: Mapping[str, Any]
    ) -> None:
        """space: the distribution of each field. first: the setting of the search's first trial; empty: sampled too."""
        self.folder, self.study, self.space, self.first = folder, study, dict(space), dict(first)
        self.name = uuid.uuid4().hex
        self._locks = folder.path / "processes"
        self._turn = filelock.FileLock(folder.path / "turn.lock")

    def __enter__(self) -> "Worker":
        with writing(self._locks):
            self._locks.mkdir(exist_ok=True)
            self._lock = self._lock_of(self.name)
            self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get("process") == self.name:
                self.study.tell(trial.number, state=TrialState.FAIL)
        self._lock.release()
        (self._locks / f"{self.name}.lock").unlink(missing_ok=True)

    def ask(self, most: int) -> list[Trial]:
        """Return up to `most` trials to train now: none if all have ended or are training in living processes.

        The settings of lost trials come first, so a search that was killed has the trials of one that was not.
        """
        with self._turn:
            trials = self._fail_orphans()
            self.study.sampler = self._sampler(sum(map(self._is_drawn, trials)))
            if self.first and not any(self._is_drawn(t) or t.state == TrialState.WAITING for t in trials):
                self.study.enqueue_trial(self.first, user_attrs={DEFAULT: True})
            left = self.folder.trials - sum(counts(t) or t.state == TrialState.RUNNING for t in trials)
            most = min(most, left)
            for lost in self._lost(trials)[: max(0, most)]:
                attributes = {DEFAULT: True} if DEFAULT in lost.user_attrs else {}
                self.study.enqueue_trial(lost.params, user_attrs={RETRIES: _first_number(lost), **attributes})
            asked = []
            for _ in range(most):
                trial = self.study.ask(self.space)
                trial.set_user_attr("process", self.name)
                asked.append(trial)
            return asked

    def _sampler(self, drawn: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of the next trials, seeded by how many were drawn before them, in all processes.

        So no two processes draw the same trials, and a search that is gone on with draws those of one never stopped.
        """
        about = self.folder.about  # its names come from options of `zoo search` that take no other ones
        return make_sampler(cast(Sampler, about.sampler), about.sampler_seed + drawn)

    def _is_drawn(self, trial: FrozenTrial) -> bool:
        """Whether a trial has a setting of its own: not one that is tried again, nor one killed while it was drawn."""
        return RETRIES not in trial.user_attrs and trial.params.keys() >= self.space.keys()

    def _lost(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the drawn trials that died with their process and are to be tried again."""
        alive = {_first_number(t) for t in trials if t.state != TrialState.FAIL or counts(t)}
        deaths = Counter(map(_first_number, trials))  # of those that are not alive
        drawn = [trial for trial in trials if self._is_drawn(trial)]
        return [trial for trial in drawn if trial.number not in alive and deaths[trial.number] < TRIES]

    def _fail_orphans(self) -> Sequence[FrozenTrial]:
        """Mark the running trials of dead processes as failed. Returns all trials."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self._is_alive(trial.user_attrs.get("process", "")):
                self.study.tell(trial.number, state=TrialState.FAIL)
        return self.study.get_trials(deepcopy=False)

    def _is_alive(self, name: str) -> bool:
        if name == self.name:
            return True
        if not is_file_name(name) or not (self._locks / f"{name}.lock").exists():
            return False
        lock = self._lock_of(name)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        lock.release()
        (self._locks / f"{name}.lock").unlink(missing_ok=True)
        return False

    def _lock_of(self, name: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self._locks / f"{name}.lock")


def _flat(folder: Folder) -> dict[str, Any]:
    """Return all fields of the Experiment and all options of a search, by dotted name."""

    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                yield from walk(f"{prefix}.{name}" if prefix else name, inner)
        else:
            yield prefix, value

    experiment = dict(walk("", dataclasses.asdict(folder.experiment)))
    return experiment | dataclasses.asdict(folder.about)
