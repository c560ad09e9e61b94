"""The report of a search: the best trials, the importance of each field, the best setting as a command and as JSON."""

import datetime
import json
import math
import shlex
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.table import Table

from train.config import files, metrics
from train.config.fields import changed
from train.core import machine
from train.metrics.format import figure, title
from train.studies.search.folder import DEFAULT, REPORT, Folder, counts
from train.studies.search.space import apply, read
from zoo.files import write_atomically

SHOWN = 10
ENOUGH = 4  # complete trials; with fewer the importance would be noise


def complete(study: optuna.Study) -> list[FrozenTrial]:
    """Return the complete trials, best first. Equal scores, which a small validation split often gives, are ordered by
    their validation loss.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda t: (-score_of(t), t.user_attrs["validation"].get("loss", 0.0), t.number))


def score_of(trial: FrozenTrial) -> float:
    """Return the score of a complete trial."""
    assert trial.value is not None, f"trial {trial.number} is not complete"
    return trial.value


def importance(study: optuna.Study) -> dict[str, float]:
    """Return the importance of each field (PED-ANOVA, Watanabe et al. 2023, arXiv:2304.10255), largest first.

    It is empty if the trials are too few or have equal scores.
    """
    trials = complete(study)
    if len(trials) < ENOUGH or len({trial.value for trial in trials}) == 1:
        return {}
    found = optuna.importance.get_param_importances(study)
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def command(folder: Folder, trial: FrozenTrial) -> str:
    """Return the `zoo train` command that trains a trial again."""
    setting = apply(folder.experiment, read(folder.experiment, folder.about.space), trial.params)
    config = folder.about.config
    return shlex.join(["zoo", "train", config, *changed(files.loaded(folder.config), setting)])


def value_of(folder: Folder, score: float) -> float:
    """Return the metric of a score. A score is higher where it is better, so that of a loss is negative."""
    return metrics.score(folder.metric, score)  # its own inverse


def summary(folder: Folder, study: optuna.Study) -> dict[str, Any]:
    """Return the content of best.json."""
    trials = study.get_trials(deepcopy=False)
    best = complete(study)
    # The setting of the config may have been lost with its process, and then was tried again.
    default = next((trial for trial in best if trial.user_attrs.get(DEFAULT)), None)
    return {
        "config": folder.about.config,
        "metric": folder.metric,
        "space": list(folder.about.space),
        "trials": {
            "complete": len(best),
            "pruned": sum(t.state == TrialState.PRUNED and "diverged_at_step" not in t.user_attrs for t in trials),
            "diverged": sum("diverged_at_step" in t.user_attrs for t in trials),
            "impossible": sum("impossible" in t.user_attrs for t in trials),
        },
        "best": None if not best else _of(folder, best[0]) | {"command": command(folder, best[0])},
        "default": None if default is None else _of(folder, default),
        "importance": importance(study),
        "device": machine.describe(),
        "date": datetime.date.today().isoformat(),
    }


def write(folder: Folder, content: dict[str, Any]) -> None:
    """Write best.json to the search folder."""
    write_atomically(folder.path / REPORT, json.dumps(content, indent=2) + "\n")


def table(folder: Folder, study: optuna.Study) -> Table:
    """Return a table of the best trials. Its caption counts the trials of each kind."""
    trials, best = study.get_trials(deepcopy=False), complete(study)
    fields = [space.name for space in read(folder.experiment, folder.about.space)]
    named = folder.metric
    seeds = folder.experiment.seeds
    caption = f"{_counted(trials)}; score on validation" + f", mean over {seeds} seeds" * (seeds > 1)
    shown = Table(title=str(folder.path), caption=caption, box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("trial", justify="right")
    for name in (title(named), *fields):
        shown.add_column(name, no_wrap=True)
    for trial in best[:SHOWN]:
        number = f"{trial.number}{' (config)' if trial.user_attrs.get(DEFAULT) else ''}"
        shown.add_row(
            number, figure(named, value_of(folder, score_of(trial))), *[_text(trial.params[name]) for name in fields]
        )
    return shown


def lines(folder: Folder, content: dict[str, Any]) -> list[str]:
    """Return the lines below the table."""
    found = []
    if shares := content["importance"]:
        found.append("importance: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items()))
    metric, best, default = content["metric"], content["best"], content["default"]
    if best is None:
        return [*found, f"no trial was completed; the result of each is in {folder.path}"]
    score = figure(metric, best["score"])
    if default and default["trial"] != best["trial"]:
        score += f" on validation; the config's own setting {figure(metric, default['score'])}"
    found.append(f"best: trial {best['trial']}, {title(metric)} {score}")
    return [*found, "the test split was not used; train this setting with:", best["command"]]


def _of(folder: Folder, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "score": value_of(folder, score_of(trial)),
        "setting": dict(trial.params),
        "validation": trial.user_attrs.get("validation", {}),
    }


def _counted(trials: Sequence[FrozenTrial]) -> str:
    ours = [trial for trial in trials if counts(trial)]
    diverged = sum("diverged_at_step" in trial.user_attrs for trial in ours)
    impossible = [trial.user_attrs["impossible"] for trial in ours if "impossible" in trial.user_attrs]
    pruned = sum(trial.state == TrialState.PRUNED for trial in ours) - diverged
    lost = sum(trial.state == TrialState.FAIL for trial in trials) - len(impossible)
    kinds = [(pruned, "pruned"), (diverged, "diverged"), (len(impossible), "impossible")]
    text = f"{len(ours)} trials" + "".join(f", {n} {what}" for n, what in kinds if n)
    text += f" ({impossible[0]})" if impossible else ""
    return text + (f", {lost} more were lost with their process" if lost else "")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
