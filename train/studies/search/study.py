"""The search: ask Optuna for trials, train them and tell Optuna their scores, until there are enough."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import optuna
from optuna.trial import Trial, TrialState

from train.config import Experiment
from train.core.signals import Stopped, Watch
from train.loop.restore import assemble_run
from train.studies.search import Pruner
from train.studies.search.folder import Folder, Worker, counts
from train.studies.search.samplers import distribution, make_pruner
from train.studies.search.space import Setting, apply, read
from train.studies.search.trainer import Interrupted, Outcome, Trainer
from train.tasks.check import check
from zoo.errors import UserError

Progress = Callable[[optuna.Study, str], None]
"""Called after each evaluation and each trial with the study and the current activity."""


class Search:
    """The work of one process on a search."""

    def __init__(self, folder: Folder, progress: Progress) -> None:
        self.folder, self.progress = folder, progress
        self.spaces = read(folder.experiment, folder.about.space)
        self._trainer: Trainer | None = None

    def run(self) -> optuna.Study:
        """Train until the folder has all its trials. Returns the study.

        Raises Stopped after Ctrl-C or SIGTERM; running trials are then marked as failed and will be tried again.
        """
        pruner = cast(Pruner, self.folder.about.pruner)  # from an option of `zoo search` that takes no other name
        study = self.folder.study(pruner=make_pruner(pruner, self.folder.experiment))
        space = {each.name: distribution(each) for each in self.spaces}
        worker = Worker(self.folder, study, space, self._default())
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            trainer = self._trainer_of(self.folder.experiment)
            trainer.require_trainable(self.folder.batch)
            self.folder.keep_data(trainer.setup.dataset)
            watch = stack.enter_context(Watch())
            stack.enter_context(worker)
            while asked := worker.ask(self.folder.batch):
                try:
                    self._train(study, asked, watch)
                except Interrupted as stop:
                    done = sum(map(counts, study.get_trials(deepcopy=False)))
                    how = f"zoo search --resume {self.folder.path}"
                    raise Stopped(
                        f"stopped after {done} of {self.folder.trials} trials; go on with: {how}", 128 + stop.signal
                    ) from None
        return study

    def _default(self) -> Setting:
        """Return the setting of the config itself, the baseline; an empty one if it is outside of the space."""
        now = {space.name: space.now(self.folder.experiment) for space in self.spaces}
        return {} if None in now.values() else now

    def _train(self, study: optuna.Study, asked: Sequence[Trial], watch: Watch) -> None:
        settings = [trial.params for trial in asked]
        experiment, numbers = self._split(settings)
        try:
            for setting in settings:
                check(apply(self.folder.experiment, self.spaces, setting))
            trainer = self._trainer_of(experiment)
        except UserError as error:
            if len(asked) == 1:
                self._fail(study, asked[0], error)
                return
            for trial in asked:  # trained alone, only the impossible trial fails
                self._train(study, [trial], watch)
            return

        def report(index: int, step: int, score: float) -> bool:
            asked[index].report(score, step)
            self.progress(study, f"step {step:,} of {experiment.steps:,}")
            return asked[index].should_prune()

        for trial, outcome in zip(asked, trainer.train(numbers, report, watch), strict=True):
            self._tell(study, trial, outcome)

    def _split(self, settings: Sequence[Setting]) -> tuple[Experiment, list[dict[str, float]]]:
        """Return the Experiment that the settings share, and of each setting the numbers that are program arguments."""
        data = [space.name for space in self.spaces if space.is_data]
        numbers = [{name: float(each[name]) for name in data} for each in settings]
        rest = {name: value for name, value in settings[0].items() if name not in data}
        return apply(self.folder.experiment, self.spaces, rest), numbers

    def _trainer_of(self, experiment: Experiment) -> Trainer:
        if self._trainer is None or self._trainer.experiment != experiment:
            self._close()
            self._trainer = Trainer(experiment, assemble_run(experiment, self.folder.path))
        return self._trainer

    def _close(self) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None

    def _fail(self, study: optuna.Study, trial: Trial, error: UserError) -> None:
        trial.set_user_attr("impossible", str(error))
        study.tell(trial, state=TrialState.FAIL)
        self.progress(study, f"trial {trial.number} is impossible")

    def _tell(self, study: optuna.Study, trial: Trial, outcome: Outcome) -> None:
        """Diverged trials are told as pruned, so that TPE avoids their settings."""
        attributes: dict[str, Any] = {"validation": outcome.validation}
        if outcome.diverged is not None:
            attributes["diverged_at_step"] = outcome.diverged
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        if outcome.ended:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, outcome.score)
        self.progress(study, f"trial {trial.number} done")
