"""The tuning of an arm: shorter runs choose the value of a sweep, by seeds that are never compared."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from train.config import Experiment, sweep
from train.config.replicas import members
from train.history.claims import readings
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


def tuning(experiment: Experiment, tune: Tune) -> Experiment:
    """Return the shorter run that tries the values of `tune`."""
    every = min(experiment.eval_every_steps, tune.steps)
    return dataclasses.replace(
        experiment, steps=tune.steps, eval_every_steps=every, seed=TUNING_SEED, seeds=tune.seeds, sweep=tune.sweep
    )


def choose(experiment: Experiment, tune: Tune, train: Callable[[Experiment], Run]) -> Choice:
    """Return the best setting of `tune`. `train` gives a finished run of an experiment.

    Where the best value is an end of its sweep, the next value beyond it is tried too, by the factor between the last
    two, until it is no end any more, or was moved EXTENSIONS times.
    """
    tried = list(_scores(train(tuning(experiment, tune)), tune))
    moved: Counter[tuple[str, bool]] = Counter()  # (field, upwards) -> how often
    while True:
        best = max(tried, key=lambda one: one.score)
        ends = _ends(best, tried)
        ahead = next((end for end in ends if moved[end] < EXTENSIONS and math.isfinite(best.score)), None)
        if ahead is None:
            break
        moved[ahead] += 1
        further = dataclasses.replace(tuning(experiment, tune), sweep=_beyond(*ahead, tried))
        try:
            check(further)
        except UserError:  # a momentum of 1 or more, say
            moved[ahead] = EXTENSIONS
            continue
        tried += _scores(train(further), tune)
    return Choice(best.setting, _remark(best, tried, tune), _doubt(best, ends), tuple(tried))


def _scores(run: Run, tune: Tune) -> Iterator[Tried]:
    """Yield every setting of a tuning run with its score."""
    wanted = metric(tune.by)
    replicas = members(run.experiment)
    ended = readings.all_diverged(run.path)
    values = [None] * len(replicas) if ended else readings.read(run, wanted)
    sign = 1 if wanted.better == "higher" else -1
    for setting in sweep.settings(run.experiment):
        own = [value for member, value in zip(replicas, values, strict=True) if member.setting == setting]
        good = [value for value in own if value is not None and math.isfinite(value)]
        yield Tried(setting, sign * float(np.mean(good)) if len(good) == len(own) else -math.inf)


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
