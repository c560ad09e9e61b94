"""DCGAN (Radford et al. 2015, arXiv:1511.06434): a GAN of two convolutional networks that trains stably.

z (B, Z) float -> images (B, H, W, C) between -1 and 1, and logits (B,), above 0 if an image is judged real.
Generator: section 3 and Figure 1. Discriminator: the generator in reverse, as in the authors' code
(github.com/Newmu/dcgan_code). Initial values: section 4; the scales of the norms are from that code. Differences from
the paper: see the cards.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper
from zoo.fields import check, flatten, require
from zoo.gan import GAN, append_labels
from zoo.layers import Conv
from zoo.transposed import ConvTranspose

NORMAL = nn.initializers.normal(0.02)


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture of both networks.

    The generator starts at base x base pixels and doubles the size after each of `widths`; the discriminator does the
    reverse.
    """

    widths: tuple[int, ...]  # channels of the generator before those of the image
    channels: int  # of the image
    base: int = 4
    kernel: int = 4
    latent: int = 100  # Z
    classes: int = 0  # number of labels that condition both networks; 0: unconditional
    norm: Literal["batch", "layer"] = "batch"  # in the discriminator; WGAN-GP needs "layer"

    def __post_init__(self) -> None:
        check(self)
        require(bool(self.widths), "dcgan", "widths", "at least one number", self.widths)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        size = self.base * 2 ** len(self.widths)
        return (size, size, self.channels)


def around_one(key: Array, shape: Any, dtype: Any = jnp.float32, out_sharding: Any = None) -> Array:
    """Initialize scales from normal(1, 0.02)."""
    return 1 + NORMAL(key, shape, dtype)


def batch_norm(name: str, train: bool) -> Callable[[Array], Array]:
    """Return batch normalization, with scales that start around one."""
    return partial(layers.batch_norm, train=train, scale_init=around_one, name=name)


def layer_norm(name: str) -> nn.LayerNorm:
    """Return a LayerNorm over all values of an image (Gulrajani et al. 2017, arXiv:1704.00028, section 4)."""
    return nn.LayerNorm(1e-5, reduction_axes=(1, 2, 3), feature_axes=-1, scale_init=around_one, name=name)


class Generator(nn.Module):
    """z (B, Z), labels (B,) int or None -> images (B, *shape) between -1 and 1."""

    cfg: Config

    @nn.compact
    def __call__(self, z: Array, labels: Array | None, *, train: bool) -> Array:
        cfg = self.cfg
        x = append_labels(z, labels, cfg.classes)
        x = nn.Dense(cfg.base**2 * cfg.widths[0], use_bias=False, kernel_init=NORMAL, name="project")(x)
        x = x.reshape(-1, cfg.base, cfg.base, cfg.widths[0])
        x = nn.relu(batch_norm("norm0", train)(x))
        for i, width in enumerate((*cfg.widths[1:], cfg.channels), start=1):
            x = ConvTranspose(width, cfg.kernel, 2, bias=False, kernel_init=NORMAL, name=f"conv{i}")(x)
            if i < len(cfg.widths):
                x = nn.relu(batch_norm(f"norm{i}", train)(x))
        return nn.tanh(x)


class Discriminator(nn.Module):
    """Images (B, *shape), labels (B,) int or None -> logits (B,). A label becomes an additional channel of ones."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, labels: Array | None, *, train: bool) -> Array:
        cfg = self.cfg
        x = append_labels(x, labels, cfg.classes)
        for i, width in enumerate(reversed(cfg.widths)):
            x = Conv(width, cfg.kernel, 2, bias=False, kernel_init=NORMAL, name=f"conv{i}")(x)
            if i > 0:
                norm = batch_norm(f"norm{i}", train) if cfg.norm == "batch" else layer_norm(f"norm{i}")
                x = norm(x)
            x = nn.leaky_relu(x, 0.2)
        return nn.Dense(1, use_bias=False, kernel_init=NORMAL, name="head")(flatten(x))[:, 0]


class DCGAN(GAN):
    """A `GAN` of convolutional networks: z (B, Z) -> images (B, *shape) between -1 and 1, and their logits (B,)."""

    RANGE: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    PRIOR: ClassVar[Literal["normal", "uniform"]] = "uniform"

    def setup(self) -> None:
        self.generator = Generator(self.cfg)
        self.discriminator = Discriminator(self.cfg)


PAPER = Paper(
    title="Unsupervised representation learning with deep convolutional generative adversarial networks",
    authors="A. Radford, L. Metz, S. Chintala",
    venue="ICLR 2016",
    id="1511.06434",
)


SMALL = "Half the width and 4x4 kernels, as in PyTorch's widely used example (pytorch/examples, dcgan)"


def _card(name: str, config: Config, *, params: int, flops: int, differences: str = "") -> Card:
    return Card(
        name=name,
        family="dcgan",
        year=2015,
        paper=PAPER,
        idea="Strided convolutions, batch normalization and no fully connected hidden layers make image GANs stable.",
        module=DCGAN,
        config=config,
        inputs={"z": ((config.latent,), jnp.float32)},
        output=(config.shape, ()),
        params=params,
        flops=flops,
        differences=differences,
        initial_values="As in the paper, section 4: weights normal with deviation 0.02; the scales of the norms normal "
        "around 1 with the same deviation, as in the authors' code.",
        parents={
            "gan": "a generator against a discriminator",
            "alexnet": "deep convolutional networks, now without pooling",
        },
    )


CARDS = [
    _card(
        "dcgan_28",
        Config(widths=(128, 64), channels=1, base=7),
        params=898_304,
        flops=27_759_872,
        differences=f"{SMALL}, two stages for 28 x 28.",
    ),
    _card(
        "dcgan_32",
        Config(widths=(256, 128, 64), channels=3),
        params=1_732_224,
        flops=71_081_984,
        differences=f"{SMALL}, three stages for 32 x 32.",
    ),
    _card(
        "dcgan_64",
        Config(widths=(512, 256, 128, 64), channels=3),
        params=6_342_272,
        flops=416_890_880,
        differences=f"{SMALL}.",
    ),
    _card(
        "dcgan",
        Config(widths=(1024, 512, 256, 128), channels=3, kernel=5),
        params=36_087_808,
        flops=2_559_213_568,
    ),
]
