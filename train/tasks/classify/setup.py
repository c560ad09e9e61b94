"""Set up an image classifier: alone, or cross-validated with `--folds`."""

from train.config import Classify, Data, Experiment
from train.tasks.classify import folds, images
from train.tasks.setup import Setup


def assemble(experiment: Experiment, task: Classify, data: Data) -> Setup:
    """Set up a run on labelled images."""
    if experiment.folds:
        return folds.assemble(experiment, task, data, experiment.folds)
    return images.assemble(experiment, task, data)
