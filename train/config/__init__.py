"""The schema of an experiment: what a config file fills in and the command line overrides."""

import train.config.augmentations  # noqa: F401  enters that of the project before any file of a user is run
from train.config.parse import override
from train.config.schema import (
    AUGMENTATIONS,
    Adversarial,
    Classify,
    Contrast,
    Data,
    Experiment,
    Language,
    Masked,
    Model,
    Optim,
    QLearning,
    Scenes,
    Segment,
    Text,
    Translate,
    World,
)

__all__ = [
    "AUGMENTATIONS",
    "Adversarial",
    "Classify",
    "Contrast",
    "Data",
    "Experiment",
    "Language",
    "Masked",
    "Model",
    "Optim",
    "QLearning",
    "Scenes",
    "Segment",
    "Text",
    "Translate",
    "World",
    "override",
]
