"""The replicas of an experiment: its seeds, the settings of its sweep, its folds."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from train.config.schema import Experiment
from train.config.sweep import Setting, settings, with_setting


class Member(NamedTuple):
    """One replica: what it differs in from the others."""

    seed: int
    setting: Setting
    fold: int | None = None  # the one that it validates on


def members(experiment: Experiment) -> tuple[Member, ...]:
    """The replicas of a run: all its seeds under the first setting, then under the next; all folds of each."""
    seeds = range(experiment.seed, experiment.seed + experiment.seeds)
    folds = range(experiment.folds) if experiment.folds else (None,)
    return tuple(Member(seed, setting, fold) for setting in settings(experiment) for seed in seeds for fold in folds)


def alone(experiment: Experiment, member: Member) -> Experiment:
    """The run of one replica by itself."""
    changed = dataclasses.replace(with_setting(experiment, member.setting), seed=member.seed, seeds=1, folds=None)
    if member.fold is None:
        return changed
    data = dataclasses.replace(experiment.data, fold=(member.fold, experiment.folds))
    return dataclasses.replace(changed, data=data)


def unique(members: Sequence[Member]) -> list[Setting]:
    """The settings of the members, each once, in their order."""
    return [one.setting for i, one in enumerate(members) if one.setting not in [m.setting for m in members[:i]]]
