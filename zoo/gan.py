"""GAN (Goodfellow et al. 2014, arXiv:1406.2661): a generator learns by deceiving a discriminator that learns to tell.

z (B, Z) float -> images (B, H, W, C) between 0 and 1, and logits (B,): above 0 where an image is taken for real.
Sizes: `mnist.yaml` of the authors' code (github.com/goodfeli/adversarial). Labels: Mirza and Osindero 2014
(arXiv:1411.1784).
Departs: see the card.
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper
from zoo.errors import UserError
from zoo.fields import check, flatten


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture of both. The dropouts act on the inputs of the discriminator's layers."""

    shape: tuple[int, ...] = (28, 28, 1)  # of an image
    latent: int = 100  # Z
    widths: tuple[int, ...] = (1200, 1200)  # hidden units of the generator, z to image
    units: tuple[int, ...] = (240, 240)  # maxout units of the discriminator, image to logit
    pieces: int = 5  # linear functions of which a maxout unit takes the largest; 1: rectified linear units instead
    input_dropout: float = 0.2  # of pixels
    dropout: float = 0.5  # of hidden units
    classes: int = 0  # of the labels that both networks are told; 0: none

    def __post_init__(self) -> None:
        check(self)


def uniform(bound: float) -> nn.initializers.Initializer:
    """Uniform between -bound and bound."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def told(x: Array, labels: Array | None, classes: int) -> Array:
    """x (B, ..., C) with `classes` more channels, 1 in that of the label (B,) int and 0 in the others; or x as it is.

    UserError for labels without classes, and for classes without labels.
    """
    if (labels is None) != (classes == 0):
        raise UserError(f"gan: classes is {classes}, so labels must be {'given' if classes else 'left out'}")
    if labels is None:
        return x
    hot = jax.nn.one_hot(labels, classes, dtype=x.dtype)
    hot = hot.reshape(len(x), *(1,) * (x.ndim - 2), classes)
    return jnp.concatenate([x, jnp.broadcast_to(hot, (*x.shape[:-1], classes))], axis=-1)


class Generator(nn.Module):
    """z (B, Z), labels (B,) int or None -> images (B, *shape) between 0 and 1."""

    cfg: Config

    @nn.compact
    def __call__(self, z: Array, labels: Array | None, *, train: bool) -> Array:
        x = told(z, labels, self.cfg.classes)
        for i, width in enumerate(self.cfg.widths):
            x = nn.relu(nn.Dense(width, kernel_init=uniform(0.05), name=f"hidden{i}")(x))
        x = nn.Dense(math.prod(self.cfg.shape), kernel_init=uniform(0.05), name="pixels")(x)
        return nn.sigmoid(x).reshape(-1, *self.cfg.shape)


class Discriminator(nn.Module):
    """Images (B, *shape), labels (B,) int or None -> logits (B,)."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, labels: Array | None, *, train: bool) -> Array:
        cfg = self.cfg
        x = told(flatten(x), labels, cfg.classes)
        for i, units in enumerate(cfg.units):
            x = nn.Dropout(cfg.dropout if i else cfg.input_dropout, deterministic=not train, name=f"dropout{i}")(x)
            x = nn.Dense(units * cfg.pieces, kernel_init=uniform(0.005), name=f"hidden{i}")(x)
            x = x.reshape(-1, units, cfg.pieces).max(axis=-1) if cfg.pieces > 1 else nn.relu(x)
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(x)
        return nn.Dense(1, kernel_init=uniform(0.005), name="head")(x)[:, 0]


class GAN(nn.Module):
    """The pair: z (B, Z) -> its images (B, *shape) and their logits (B,). Collections: params, {"generator": ...,
    "discriminator": ...}, and for a DCGAN batch_stats, likewise.

    `generate` and `discriminate` are the two networks; each needs its own part of the variables only. Dropout, in
    training, needs the rng "dropout". UserError for an input of the wrong shape, and for labels that do not go with
    `classes`.
    """

    cfg: Any
    RANGE: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of a pixel, made or real
    PRIOR: ClassVar[Literal["normal", "uniform"]] = "normal"  # standard, or between -1 and 1

    def setup(self) -> None:
        self.generator = Generator(self.cfg)
        self.discriminator = Discriminator(self.cfg)

    def __call__(self, z: Array, labels: Array | None = None, *, train: bool) -> tuple[Array, Array]:
        x = self.generate(z, labels, train=train)
        return x, self.discriminate(x, labels, train=train)

    def generate(self, z: Array, labels: Array | None = None, *, train: bool) -> Array:
        """z (B, Z), labels (B,) int where the networks are told -> images (B, *shape), pixels in `RANGE`."""
        _demand_shape(z, (self.cfg.latent,), "z")
        return self.generator(z, labels, train=train)

    def discriminate(self, x: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Images (B, *shape), pixels in `RANGE`, and labels as above -> logits (B,) of being real."""
        _demand_shape(x, self.cfg.shape, "images")
        return self.discriminator(x, labels, train=train)

    @nn.nowrap
    def prior(self, key: Array, batch: int) -> Array:
        """z (batch, Z) for `generate`, as the authors draw it: see `PRIOR`."""
        shape = (batch, self.cfg.latent)
        if self.PRIOR == "normal":
            return jax.random.normal(key, shape)
        return jax.random.uniform(key, shape, minval=-1, maxval=1)


def _demand_shape(x: Array, shape: tuple[int, ...], what: str) -> None:
    if x.shape[1:] != shape:
        raise UserError(f"gan: {what} must be of shape (batch, {', '.join(map(str, shape))}), not {x.shape}")


CARDS = [
    Card(
        name="gan",
        parents={"mlp": "two of it, against each other"},
        family="gan",
        year=2014,
        paper=Paper(
            title="Generative adversarial nets",
            authors="I. J. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville, "
            "Y. Bengio",
            venue="NeurIPS 2014",
            id="1406.2661",
        ),
        idea="A generator is trained against a discriminator alone: no likelihood, no labels, no Markov chain.",
        module=GAN,
        config=Config(),
        inputs={"z": ((100,), jnp.float32)},
        output=((28, 28, 1), ()),
        params=3_735_425,
        flops=7_459_680,
        departs="The generator's last biases start at 0; the authors' at the logits of the mean training image.",
    )
]
