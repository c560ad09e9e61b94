"""Optuna's samplers, which choose the next trial, and pruners, which stop a trial early, by name."""

import importlib.util

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from train.config import Experiment
from train.studies.search import Pruner, Sampler
from train.studies.search.space import Space
from zoo.errors import UserError

STARTUP = 10  # random trials before TPE or the Gaussian process is used


def require_installed(sampler: Sampler) -> None:
    """Raise UserError where a library that `sampler` needs is not installed."""
    if sampler == "gp" and importlib.util.find_spec("torch") is None:
        raise UserError(
            "--sampler gp: Optuna's Gaussian process needs PyTorch, which is not installed: "
            "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        )


def make_sampler(name: Sampler, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler called `name`.

    tpe: tree-structured Parzen estimator (Bergstra et al. 2011); running trials count as bad ones, so that the trials
    of a batch differ. gp: Bayesian optimization with a Gaussian process and expected improvement. random: Bergstra and
    Bengio 2012.
    """
    if name == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed, constant_liar=True)
    if name == "gp":
        return optuna.samplers.GPSampler(n_startup_trials=STARTUP, seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


def make_pruner(name: Pruner, experiment: Experiment) -> optuna.pruners.BasePruner:
    """Return the pruner called `name`.

    median: prunes a trial whose best score so far is below the median of the other trials at the same step, after five
    complete trials and a quarter of the steps. hyperband: successive halving in brackets (Li et al. 2018).
    """
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=experiment.steps // 4)
    if name == "hyperband":
        least = max(1, min(experiment.eval_every_steps, experiment.steps))
        return optuna.pruners.HyperbandPruner(min_resource=least, max_resource=experiment.steps, reduction_factor=3)
    return optuna.pruners.NopPruner()


def distribution(space: Space) -> BaseDistribution:
    """Return the Optuna distribution of a space."""
    if space.kind == "choices":
        return CategoricalDistribution(space.choices)
    if space.kind == "int":
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)
