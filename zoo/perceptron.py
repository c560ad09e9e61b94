"""Perceptron (Rosenblatt 1958, doi:10.1037/h0042519): a machine that learns weights from examples.

x (B, ...) float -> logits (B, classes), one weighted sum per class; with cross entropy this is softmax regression.
Differences from the paper: see the card.
"""

import dataclasses

from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, image
from zoo.fields import check, flatten


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture."""

    classes: int = 10

    def __post_init__(self) -> None:
        check(self)


class Perceptron(nn.Module):
    """x (B, ...) of any shape, flattened -> logits (B, classes). Weights start at zero: the loss is convex."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        return nn.Dense(self.cfg.classes, kernel_init=nn.initializers.zeros_init(), name="head")(flatten(x))


CARDS = [
    Card(
        name="perceptron",
        family="perceptron",
        year=1958,
        paper=Paper(
            title="The perceptron: a probabilistic model for information storage and organization in the brain",
            authors="F. Rosenblatt",
            venue="Psychological Review 65(6)",
            id="10.1037/h0042519",
        ),
        idea="The weights of a threshold unit are learned from examples instead of being designed.",
        module=Perceptron,
        config=Config(),
        inputs=image(28, 28, 1),
        output=(10,),
        params=7_850,
        flops=15_680,
        differences="Real-valued outputs, one per class, trained by gradient descent; the paper has binary threshold "
        "units behind a fixed random layer, and changes weights only after an error.",
        initial_values="The paper gives none: all start at 0, as the loss is convex.",
    )
]
