"""LeCun et al. 1989 (doi:10.1162/neco.1989.1.4.541): back-propagation through shared weights reads zip codes.

x (B, H, W, C) float -> outputs (B, classes) in the range of their activation. Layers: section 3 and Figure 3.
Differences from the paper: see the card.
"""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array

from zoo.cards import Card, Paper, image
from zoo.convolution import convolution, is_tuned, plain_convolution
from zoo.fields import ACTIVATIONS, Activation, check, flatten, require_images

PLANES, WINDOW, STRIDE = 12, 5, 2
BACKGROUND = -1.0
"""The level of paper, with which images and planes are continued over their borders."""
SEEN = (range(0, 8), range(4, 12), (0, 1, 2, 3, 8, 9, 10, 11))
"""The planes of H1 that each third of the planes of H2 sees: eight of twelve, and every plane of H1 is seen by two."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture."""

    activation: Activation = "tanh"
    output: Literal["activation", "plain"] = "activation"  # plain: logits, for a softmax
    dropout: float = 0.0  # rate at which the 30 units of H3 are dropped in training; not in the paper
    classes: int = 10

    def __post_init__(self) -> None:
        check(self)


def paper_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Initialize a kernel (..., inputs, outputs), uniform within 2.4 / fan-in."""
    bound = 2.4 / math.prod(shape[:-1])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


class Planes(nn.Module):
    """Feature maps x (B, H, W, C) -> (B, H/2, W/2, 12): shared kernels, and a bias for each unit.

    seen: the channels of x that each equal part of the planes sees, as many for each.
    """

    seen: tuple[tuple[int, ...], ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        margin = WINDOW // 2
        x = jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)), constant_values=BACKGROUND)
        kernel = self.param("kernel", paper_init, (WINDOW, WINDOW, len(self.seen[0]), PLANES), jnp.float32)
        x, kernel = promote_dtype(x, kernel)
        apply = convolution if is_tuned() else plain_convolution
        valid = ((0, 0), (0, 0))
        parts = zip(self.seen, jnp.split(kernel, len(self.seen), -1), strict=True)
        maps = [apply(x[..., list(own)], part, (STRIDE, STRIDE), valid) for own, part in parts]
        y = jnp.concatenate(maps, -1)
        bias = self.param("bias", nn.initializers.zeros_init(), y.shape[1:], jnp.float32)
        return y + bias[None].astype(y.dtype)


class LeCun1989(nn.Module):
    """x (B, H, W, C) -> outputs (B, classes). Shapes at line ends are for 16 x 16.

    Training with dropout needs the rng "dropout".
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require_images(x, "lecun1989", smallest=4)
        act = ACTIVATIONS[self.cfg.activation]
        x = act(Planes((tuple(range(x.shape[-1])),), name="h1")(x))  # (B, 8, 8, 12)
        x = act(Planes(tuple(map(tuple, SEEN)), name="h2")(x))  # (B, 4, 4, 12)
        x = act(nn.Dense(30, kernel_init=paper_init, name="h3")(flatten(x)))
        x = nn.Dropout(self.cfg.dropout, deterministic=not train, name="dropout")(x)
        y = nn.Dense(self.cfg.classes, kernel_init=paper_init, name="head")(x)
        return y if self.cfg.output == "plain" else act(y)


CARDS = [
    Card(
        name="lecun1989",
        parents={"mlp": "back-propagation"},
        paper_params=9_760,
        family="lecun1989",
        year=1989,
        paper=Paper(
            title="Backpropagation applied to handwritten zip code recognition",
            authors="Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard, L. D. Jackel",
            venue="Neural Computation 1(4)",
            id="10.1162/neco.1989.1.4.541",
        ),
        idea="Detectors of local features whose weights are shared over the image, learned and not designed.",
        module=LeCun1989,
        config=Config(),
        inputs=image(16, 16, 1),
        output=(10,),
        params=9_760,
        flops=127_320,
        differences="Which eight of the twelve planes of H1 each plane of H2 sees is not in the paper: here each third "
        "of H2 leaves out another third of H1. The paper's units are a scaled hyperbolic tangent without its two "
        "constants; here it is tanh.",
        initial_values="As in the paper: weights uniform within 2.4 / fan-in. Whether it means the square root of the "
        "fan-in is an open question among those who have built it again. Biases start at 0.",
    )
]
