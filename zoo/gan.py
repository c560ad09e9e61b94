"""GAN (Goodfellow et al. 2014, arXiv:1406.2661): a generator learns to deceive a discriminator.

z (B, Z) float -> images (B, H, W, C) between 0 and 1, and logits (B,), above 0 if an image is judged real.
Sizes: `mnist.yaml` in the authors' code (github.com/goodfeli/adversarial). Labels: Mirza and Osindero 2014
(arXiv:1411.1784). Differences from the paper: see the card.
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
from zoo.fields import check, flatten, require_range


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture of both networks. Dropout applies to the inputs of the discriminator's layers."""

    shape: tuple[int, ...] = (28, 28, 1)  # of an image
    latent: int = 100  # Z
    widths: tuple[int, ...] = (1200, 1200)  # hidden units of the generator, z to image
    units: tuple[int, ...] = (240, 240)  # maxout units of the discriminator, image to logit
    pieces: int = 5  # linear functions per maxout unit, which outputs the largest; 1: rectified linear units instead
    input_dropout: float = 0.2  # of pixels
    dropout: float = 0.5  # of hidden units
    classes: int = 0  # number of labels that condition both networks; 0: unconditional

    def __post_init__(self) -> None:
        check(self)


def uniform(bound: float) -> nn.initializers.Initializer:
    """Return an initializer, uniform between -bound and bound."""

    def init(key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def append_labels(x: Array, labels: Array | None, classes: int) -> Array:
    """Append `labels` (B,) int, one-hot encoded, to the channels of x (B, ..., C) -> (B, ..., C + classes).

    Without labels x is unchanged. Raises UserError for labels without classes, for classes without labels, and outside
    of jit for labels that are not from 0 to classes - 1. Inside, such a label is none: its channels are all 0.
    """
    if (labels is None) != (classes == 0):
        raise UserError(f"gan: classes is {classes}, so labels must be {'given' if classes else 'omitted'}")
    if labels is None:
        return x
    if labels.shape != x.shape[:1] or not jnp.issubdtype(labels.dtype, jnp.integer):
        given = f"an array of shape {labels.shape} and dtype {labels.dtype}"
        raise UserError(f"gan: labels must be ({len(x)},) whole numbers, not {given}")
    require_range(labels, classes, "gan", "labels")
    hot = jax.nn.one_hot(labels, classes, dtype=x.dtype)
    hot = hot.reshape(x.shape[0], *(1,) * (x.ndim - 2), classes)
    return jnp.concatenate([x, jnp.broadcast_to(hot, (*x.shape[:-1], classes))], axis=-1)


class Generator(nn.Module):
    """z (B, Z), labels (B,) int or None -> images (B, *shape) between 0 and 1."""

    cfg: Config

    @nn.compact
    def __call__(self, z: Array, labels: Array | None, *, train: bool) -> Array:
        x = append_labels(z, labels, self.cfg.classes)
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
        x = append_labels(flatten(x), labels, cfg.classes)
        for i, units in enumerate(cfg.units):
            x = nn.Dropout(cfg.dropout if i else cfg.input_dropout, deterministic=not train, name=f"dropout{i}")(x)
            x = nn.Dense(units * cfg.pieces, kernel_init=uniform(0.005), name=f"hidden{i}")(x)
            x = x.reshape(-1, units, cfg.pieces).max(axis=-1) if cfg.pieces > 1 else nn.relu(x)
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(x)
        return nn.Dense(1, kernel_init=uniform(0.005), name="head")(x)[:, 0]


class GAN(nn.Module):
    """Generator and discriminator: z (B, Z) -> generated images (B, *shape) and their logits (B,).

    `generate` and `discriminate` run one network each and need only its part of the variables. Collections: params,
    {"generator": ..., "discriminator": ...}, and batch_stats with the same keys for a DCGAN. Training with dropout
    needs the rng "dropout". Raises UserError for an input of the wrong shape, and if labels do not match `classes`.
    """

    cfg: Any
    RANGE: ClassVar[tuple[float, float]] = (0.0, 1.0)  # of pixels, real and generated
    PRIOR: ClassVar[Literal["normal", "uniform"]] = "normal"  # normal(0, 1) or uniform(-1, 1)

    def setup(self) -> None:
        self.generator: nn.Module = Generator(self.cfg)
        self.discriminator: nn.Module = Discriminator(self.cfg)

    def __call__(self, z: Array, labels: Array | None = None, *, train: bool) -> tuple[Array, Array]:
        x = self.generate(z, labels, train=train)
        return x, self.discriminate(x, labels, train=train)

    def generate(self, z: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Generate images (B, *shape), pixels in `RANGE`, from z (B, Z) and, if `classes` > 0, labels (B,) int."""
        _check_shape(z, (self.cfg.latent,), "z")
        return self.generator(z, labels, train=train)

    def discriminate(self, x: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Return the logits (B,) that images (B, *shape), pixels in `RANGE`, are real; labels as for `generate`."""
        _check_shape(x, self.cfg.shape, "images")
        return self.discriminator(x, labels, train=train)

    @nn.nowrap
    def prior(self, key: Array, batch: int) -> Array:
        """Draw z (batch, Z) for `generate` from the authors' distribution, `PRIOR`."""
        shape = (batch, self.cfg.latent)
        if self.PRIOR == "normal":
            return jax.random.normal(key, shape)
        return jax.random.uniform(key, shape, minval=-1, maxval=1)


def _check_shape(x: Array, shape: tuple[int, ...], what: str) -> None:
    if x.shape[1:] != shape:
        raise UserError(f"gan: {what} must have shape (batch, {', '.join(map(str, shape))}), not {x.shape}")


CARDS = [
    Card(
        name="gan",
        parents={"mlp": "two of them, trained against each other"},
        family="gan",
        year=2014,
        paper=Paper(
            title="Generative adversarial nets",
            authors="I. J. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville, "
            "Y. Bengio",
            venue="NeurIPS 2014",
            id="1406.2661",
        ),
        idea="A generator is trained only against a discriminator: no likelihood, no labels, no Markov chain.",
        module=GAN,
        config=Config(),
        inputs={"z": ((100,), jnp.float32)},
        output=((28, 28, 1), ()),
        params=3_735_425,
        flops=7_459_680,
        initial_values="As in the authors' code, mnist.yaml: weights uniform within 0.05 in the generator and 0.005 in "
        "the discriminator, biases 0; but the generator's output biases, which start there at the logits of the mean "
        "training image.",
    )
]
