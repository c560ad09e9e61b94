"""Multi-layer perceptron (Rumelhart et al. 1986, doi:10.1038/323533a0): hidden units learn by back-propagation.

x (B, ...) float -> logits (B, classes). Widths of the card: the 784-300-100-10 network of LeCun et al. 1998, section
III. Differences from the paper: see the card.
"""

import dataclasses

from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, image
from zoo.fields import ACTIVATIONS, Activation, check, flatten
from zoo.layers import batch_norm


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture."""

    widths: tuple[int, ...] = (300, 100)  # units of each hidden layer, input to output
    activation: Activation = "relu"
    dropout: float = 0.0  # rate at which hidden units are dropped in training
    batch_norm: bool = False  # normalize each hidden unit over the batch before its activation (arXiv:1502.03167)
    classes: int = 10
    deviation: float = 0.0  # standard deviation of Gaussian initial weights; 0: LeCun normal

    def __post_init__(self) -> None:
        check(self)


class MLP(nn.Module):
    """x (B, ...) of any shape, flattened -> logits (B, classes). Training with dropout needs the rng "dropout".

    Collections: params, and batch_stats with `batch_norm`.
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        x = flatten(x)
        init = nn.initializers.normal(self.cfg.deviation) if self.cfg.deviation else nn.initializers.lecun_normal()
        for i, width in enumerate(self.cfg.widths):
            bias = not self.cfg.batch_norm  # batch normalization has its own
            x = nn.Dense(width, use_bias=bias, kernel_init=init, name=f"hidden{i}")(x)
            if self.cfg.batch_norm:
                x = batch_norm(x, train=train, name=f"norm{i}")
            x = ACTIVATIONS[self.cfg.activation](x)
            x = nn.Dropout(self.cfg.dropout, deterministic=not train, name=f"dropout{i}")(x)
        return nn.Dense(self.cfg.classes, kernel_init=init, name="head")(x)


CARDS = [
    Card(
        name="mlp",
        parents={"perceptron": "weighted sums, now in several layers"},
        family="mlp",
        year=1986,
        paper=Paper(
            title="Learning representations by back-propagating errors",
            authors="D. E. Rumelhart, G. E. Hinton, R. J. Williams",
            venue="Nature 323",
            id="10.1038/323533a0",
        ),
        idea="Back-propagation of errors teaches hidden units to represent features that nobody specified.",
        module=MLP,
        config=Config(),
        inputs=image(28, 28, 1),
        output=(10,),
        params=266_610,
        flops=532_400,
        differences="Rectified linear units and a softmax with cross entropy; the paper has logistic units "
        '(activation="sigmoid") and squared error. The size is that of LeCun et al. 1998, section III.',
        initial_values="Not the paper's, uniform within 0.3 (Figure 1): weights are LeCun normal, biases 0.",
    )
]
