"""Joins the parts of an Experiment: checks it, loads its data, builds model, optimizer and task."""

from tokenizers import Tokenizer

from train.config import Data, Experiment, Text, World
from train.tasks.check import check
from train.tasks.setup import Setup

__all__ = ["Setup", "assemble", "check"]


def assemble(experiment: Experiment, tokenizer: Tokenizer | None = None) -> Setup:
    """Check `experiment`, load its data, build its parts. Compiles nothing, allocates no parameters.

    tokenizer: of a run on text that exists already; None trains one on the training split.
    """
    check(experiment)
    match experiment.data, experiment.task.name:  # imported here, as each needs libraries that the others do not
        case Text(), _:
            from train.tasks.text import setup

            return setup.assemble(experiment, tokenizer)
        case Data(), "classify" if experiment.folds:
            from train.tasks.classify import folds

            return folds.assemble(experiment)
        case Data(), "classify":
            from train.tasks.classify import images

            return images.assemble(experiment)
        case Data(), "contrast":
            from train.tasks.contrast import setup

            return setup.assemble(experiment)
        case Data(), "adversarial":
            from train.tasks.adversarial import setup

            return setup.assemble(experiment)
        case World(), _:
            from train.tasks.q_learning import setup

            return setup.assemble(experiment)
