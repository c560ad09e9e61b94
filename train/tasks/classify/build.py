"""Build the Task of a classifier, whatever it classifies."""

from collections.abc import Callable

import numpy as np
from flax import linen as nn

from train.config import Classify, Experiment
from train.core import Task
from train.data.inputs import Inputs
from train.tasks.classify.task import classify
from train.tasks.setup import make_optimizer, narrow


def builder(
    model: nn.Module, inputs: Inputs, classes: int, weights: np.ndarray | None = None
) -> Callable[[Experiment], Task]:
    """Return `Setup.build`: the Task of an experiment that differs from the run's own in numbers only.

    weights: of the classes in the training loss, float32 (classes,).
    """

    def build(experiment: Experiment) -> Task:
        return classify(
            model,
            make_optimizer(experiment),
            inputs,
            classes=classes,
            config=narrow(experiment.task, Classify),
            weights=weights,
            precision=experiment.precision,
        )

    return build
