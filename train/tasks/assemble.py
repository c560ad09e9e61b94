"""Build a run from an Experiment: check it, load its data, build model, optimizer and task."""

import dataclasses

from tokenizers import Tokenizer

from train.algorithms import optimizers
from train.config import Experiment, Text
from train.config.ways import way_of
from train.tasks.check import check
from train.tasks.setup import Setup

__all__ = ["Setup", "assemble", "check"]


def assemble(experiment: Experiment, tokenizer: Tokenizer | None = None) -> Setup:
    """Check `experiment`, load its data, build everything. Compiles nothing, allocates no parameters.

    tokenizer: that of a run on text which exists already; None trains one on the training split.
    """
    check(experiment)
    way, task, data = way_of(experiment.task), experiment.task, experiment.data
    build = way.setup_for(data)
    given = (experiment, task, data, tokenizer) if isinstance(data, Text) else (experiment, task, data)
    setup: Setup = build(*given)
    own_limit = getattr(data, "time_limit", None) is not None
    bounds_on = None if own_limit else setup.dataset.name
    of_optimizer = optimizers.remarks(experiment.optim, experiment.steps)
    remarks = (*getattr(setup.dataset, "remarks", ()), *setup.remarks, *of_optimizer)
    return dataclasses.replace(setup, best=way.best, counts=way.counts, bounds_on=bounds_on, remarks=remarks)
