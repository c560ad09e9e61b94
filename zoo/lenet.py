"""LeNet-5 (LeCun et al. 1998, doi:10.1109/5.726791): a convolutional network, trained end to end, reads handwriting.

x (B, H, W, C) float -> logits (B, classes). Layers: section II.B and Figure 2; initial weights: appendix A. Differences
from the paper: see the card.
"""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper, image
from zoo.fields import ACTIVATIONS, Activation, check, flatten, require_images


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. The modern form is activation="relu", pooling="max"."""

    activation: Activation = "scaled_tanh"
    pooling: Literal["average", "max"] = "average"
    classes: int = 10

    def __post_init__(self) -> None:
        check(self)


def paper_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Initialize a kernel (..., inputs, outputs), uniform within 2.4 / fan-in (appendix A)."""
    bound = 2.4 / math.prod(shape[:-1])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class LeNet5(nn.Module):
    """x (B, H, W, C), H and W of at least 16 -> logits (B, classes). Shapes at line ends are for 32 x 32."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require_images(x, "lenet5", smallest=16)
        act = ACTIVATIONS[self.cfg.activation]
        pool = layers.max_pool if self.cfg.pooling == "max" else layers.avg_pool
        # The paper's range suits its scaled tanh; other activations learn faster when their inputs have variance 1.
        init = paper_init if self.cfg.activation == "scaled_tanh" else nn.initializers.lecun_normal()
        x = act(layers.Conv(6, 5, padding="VALID", kernel_init=init, name="c1")(x))  # (B, 28, 28, 6)
        x = pool(x, 2, 2)  # (B, 14, 14, 6)
        x = act(layers.Conv(16, 5, padding="VALID", kernel_init=init, name="c3")(x))  # (B, 10, 10, 16)
        x = pool(x, 2, 2)  # (B, 5, 5, 16)
        x = act(nn.Dense(120, kernel_init=init, name="c5")(flatten(x)))  # a 5x5 convolution of a 5x5 map
        x = act(nn.Dense(84, kernel_init=init, name="f6")(x))
        return nn.Dense(self.cfg.classes, kernel_init=init, name="head")(x)


CARDS = [
    Card(
        name="lenet5",
        parents={"lecun1989": "shared weights, learned by back-propagation"},
        paper_params=60_000,
        family="lenet",
        year=1998,
        paper=Paper(
            title="Gradient-based learning applied to document recognition",
            authors="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner",
            venue="Proceedings of the IEEE 86(11)",
            id="10.1109/5.726791",
        ),
        idea="Local receptive fields, shared weights and subsampling, all trained together from pixels to classes.",
        module=LeNet5,
        config=Config(),
        inputs=image(32, 32, 1),
        output=(10,),
        params=61_706,
        flops=833_040,
        differences="C3 is connected to all six maps of S2 (the paper connects them by a table); S2 and S4 are plain "
        "averages without trainable coefficients and nonlinearity; the output is linear and learns by a softmax's "
        "cross entropy, where the paper has Euclidean radial basis functions with fixed codes, and the criterion of "
        "its equations 8 and 9. Pixels have the range that the data are given; there paper is -0.1 and ink 1.175.",
        initial_values="As in the paper, appendix A: weights uniform within 2.4 / fan-in; biases start at 0.",
    )
]
