"""The tuning of an arm: shorter runs choose the value of a sweep, by seeds that are never compared."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from train.config import Experiment, sweep
from train.config.replicas import members
from train.history.claims import readings, tuned_settings
from train.history.claims.arms import TUNING_SEED, Tune, metric
from train.loop.run import Run
from train.tasks.check import check
from zoo.errors import UserError

EXTENSIONS = 4  # of a sweep on each side, at most


class Tried(NamedTuple):
    """A setting that was tried."""

    setting: sweep.Setting
    score: float  # mean over the seeds, the higher the better; -inf where one has diverged


class Choice(NamedTuple):
    """The setting that an arm is given."""

    setting: sweep.Setting
    remark: str  # names it, and what was tried
    doubt: str  # says where it is the end of its sweep still
    tried: tuple[Tried, ...] = ()


class Trial(NamedTuple):
    """A shorter run that tries values of a Tune."""

    experiment: Experiment
    fixed: sweep.Setting  # what all its replicas have, of fields that shape the program


def trials(experiment: Experiment, tune: Tune, texts: tuple[str, ...] = ()) -> list[Trial]:
    """Return the shorter runs that try the values of `tune`, or those of `texts`.

    One run tries all values, but for fields that shape its program: each combination of theirs has a run of its own.
    """
    every = min(experiment.eval_every_steps, tune.steps)
    shorter = dataclasses.replace(
        experiment, steps=tune.steps, eval_every_steps=every, seed=TUNING_SEED, seeds=tune.seeds
    )
    combinations, swept = tuned_settings.divided(texts or tune.sweep)
    return [
        Trial(dataclasses.replace(tuned_settings.with_setting(shorter, fixed), sweep=swept), fixed)
        for fixed in combinations
    ]


def choose(experiment: Experiment, tune: Tune, train: Callable[[Experiment], Run]) -> Choice:
    """Return the best setting of `tune`. `train` gives a finished run of an experiment.

    Where the best value is an end of its sweep, the next value beyond it is tried too, by the factor between the last
    two, until it is no end any more, or was moved EXTENSIONS times.
    """
    tried = [one for trial in trials(experiment, tune) for one in _scores(train(trial.experiment), tune, trial.fixed)]
    moved: Counter[tuple[str, bool]] = Counter()  # (field, upwards) -> how often
    while True:
        best = max(tried, key=lambda one: one.score)
        ends = _ends(best, tried)
        ahead = next((end for end in ends if moved[end] < EXTENSIONS and math.isfinite(best.score)), None)
        if ahead is None:
            break
        moved[ahead] += 1
        further = trials(experiment, tune, _beyond(*ahead, tried))
        try:
            for trial in further:
                check(trial.experiment)
        except UserError:  # a momentum of 1 or more, say
            moved[ahead] = EXTENSIONS
            continue
        for trial in further:
            tried += _scores(train(trial.experiment), tune, trial.fixed)
    return Choice(best.setting, _remark(best, tried, tune), _doubt(best, ends), tuple(tried))


def _scores(run: Run, tune: Tune, fixed: sweep.Setting) -> Iterator[Tried]:
    """Yield every setting of a tuning run with its score. fixed: what all its replicas have."""
    fields = [text.partition("=")[0] for text in tune.sweep]
    wanted = metric(tune.by)
    replicas = members(run.experiment)
    ended = readings.all_diverged(run.path)
    values = [None] * len(replicas) if ended else readings.read(run, wanted)
    sign = 1 if wanted.better == "higher" else -1
    for setting in sweep.settings(run.experiment):
        own = [value for member, value in zip(replicas, values, strict=True) if member.setting == setting]
        good = [value for value in own if value is not None and math.isfinite(value)]
        whole = fixed | setting
        score = sign * float(np.mean(good)) if len(good) == len(own) else -math.inf
        yield Tried({field: whole[field] for field in fields}, score)


def _column(field: str, tried: list[Tried]) -> list[float]:
    """Return the values of a field that were tried, ascending."""
    return sorted({one.setting[field] for one in tried})


def _ends(best: Tried, tried: list[Tried]) -> list[tuple[str, bool]]:
    """Return each field whose best value is an end of what was tried, and whether it is the upper one. 0 is no end."""
    found = []
    for field, value in best.setting.items():
        column = _column(field, tried)
        if value == column[-1]:
            found.append((field, True))
        elif value == column[0] and value != 0:
            found.append((field, False))
    return found


def _beyond(field: str, upwards: bool, tried: list[Tried]) -> tuple[str, ...]:
    """Return the sweep of the next value of a field, with all values of the other fields."""
    column = _column(field, tried)
    near, end = (column[-2], column[-1]) if upwards else (column[1], column[0])
    step = end / near if near else 2.0  # from 0 there is no factor
    columns = {name: _column(name, tried) for name in tried[0].setting} | {field: [float(f"{end * step:.3g}")]}
    return tuple(f"{name}={','.join(f'{value:g}' for value in values)}" for name, values in columns.items())


def _said(setting: sweep.Setting) -> str:
    return ", ".join(f"{field} {value:g}" for field, value in setting.items())


def _remark(best: Tried, tried: list[Tried], tune: Tune) -> str:
    """Return the chosen setting, and the score of each that was tried: "optim.lr 0.01 (0.51), ..."."""
    scores = [
        f"{_said(one.setting)}: {abs(one.score):.4g}" if math.isfinite(one.score) else f"{_said(one.setting)}: diverged"
        for one in sorted(tried, key=lambda one: list(one.setting.values()))
    ]
    return f"chosen: {_said(best.setting)}, by {tune.by} over {tune.seeds} seeds of {'; '.join(scores)}"


def _doubt(best: Tried, ends: list[tuple[str, bool]]) -> str:
    if not math.isfinite(best.score):
        return "no setting of its sweep has a score of every seed"
    if not ends:
        return ""
    fields = ", ".join(field for field, _ in ends)
    return f"its best {fields} is still the end of its sweep"
