"""The table of losses of classifiers. It is empty here; `train.algorithms` enters those of this project."""

from typing import Any, Literal

from train.config.registry import Registry
from train.config.ways import Target

LOSSES: Registry[Target] = Registry("loss")
"""Name -> `loss(logits (B, C), label probabilities (B, C))`, which returns the loss of each example, (B,)."""


def loss_type() -> Any:
    """The type of `Classify.loss`: the names in the table; any name while it is empty."""
    return Literal[tuple(LOSSES)] if LOSSES else str
