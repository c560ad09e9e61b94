"""DCGAN (Radford et al. 2015, arXiv:1511.06434): a pair of convolutional networks that trains stably.

z (B, Z) float -> images (B, H, W, C) between -1 and 1, and logits (B,): above 0 where an image is taken for real.
Generator: section 3 and Figure 1. Discriminator: the generator turned around, as in the authors' code
(github.com/Newmu/dcgan_code). Initial values: section 4, scales of the norms as in that code.
Departs: see the cards.
"""

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper
from zoo.fields import check, flatten
from zoo.gan import GAN, told
from zoo.layers import Conv
from zoo.transposed import ConvTranspose

NORMAL = nn.initializers.normal(0.02)


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture of both. The generator starts at base x base pixels and doubles them after each of `widths`;
    the discriminator goes the same way back.
    """

    widths: tuple[int, ...]  # channels of the generator before the image's own
    channels: int  # of the image
    base: int = 4
    kernel: int = 4
    latent: int = 100  # Z
    classes: int = 0  # of the labels that both networks are told; 0: none
    norm: Literal["batch", "layer"] = "batch"  # of the discriminator; layer: each image by itself, for WGAN-GP

    def __post_init__(self) -> None:
        check(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        size = self.base * 2 ** len(self.widths)
        return (size, size, self.channels)


def around_one(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    return 1 + NORMAL(key, shape, dtype)


def norm(name: str, train: bool) -> nn.BatchNorm:
    """Batch normalization; its statistics move by 0.1 a step towards the batch's."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, scale_init=around_one, name=name)


def layer_norm(name: str) -> nn.LayerNorm:
    """Over the places and channels of each image (Gulrajani et al. 2017, arXiv:1704.00028, section 4)."""
    return nn.LayerNorm(1e-5, reduction_axes=(1, 2, 3), feature_axes=-1, scale_init=around_one, name=name)


class Generator(nn.Module):
    """z (B, Z), labels (B,) int or None -> images (B, *shape) between -1 and 1."""

    cfg: Config

    @nn.compact
    def __call__(self, z: Array, labels: Array | None, *, train: bool) -> Array:
        cfg = self.cfg
        x = told(z, labels, cfg.classes)
        x = nn.Dense(cfg.base**2 * cfg.widths[0], use_bias=False, kernel_init=NORMAL, name="project")(x)
        x = x.reshape(-1, cfg.base, cfg.base, cfg.widths[0])
        x = nn.relu(norm("norm0", train)(x))
        for i, width in enumerate((*cfg.widths[1:], cfg.channels), start=1):
            x = ConvTranspose(width, cfg.kernel, 2, bias=False, kernel_init=NORMAL, name=f"conv{i}")(x)
            if i < len(cfg.widths):
                x = nn.relu(norm(f"norm{i}", train)(x))
        return nn.tanh(x)


class Discriminator(nn.Module):
    """Images (B, *shape), labels (B,) int or None -> logits (B,). A label is a plane of ones beside the channels."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, labels: Array | None, *, train: bool) -> Array:
        cfg = self.cfg
        x = told(x, labels, cfg.classes)
        for i, width in enumerate(reversed(cfg.widths)):
            x = Conv(width, cfg.kernel, 2, bias=False, kernel_init=NORMAL, name=f"conv{i}")(x)
            if i:
                x = (norm(f"norm{i}", train) if cfg.norm == "batch" else layer_norm(f"norm{i}"))(x)
            x = nn.leaky_relu(x, 0.2)
        return nn.Dense(1, use_bias=False, kernel_init=NORMAL, name="head")(flatten(x))[:, 0]


class DCGAN(GAN):
    """The pair, used as every `GAN`: z (B, Z) -> its images (B, *shape), between -1 and 1, and their logits (B,)."""

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


def _card(name: str, config: Config, params: int, flops: int, departs: str = "") -> Card:
    idea = "Strided convolutions, batch normalization and no fully connected hidden layers make GANs of images stable."
    inputs, output = {"z": ((config.latent,), jnp.float32)}, (config.shape, ())
    return Card(name, "dcgan", 2015, PAPER, idea, DCGAN, config, inputs, output, params, flops, departs, PARENTS)


PARENTS = {"gan": "a generator against a discriminator", "alexnet": "deep convolutional nets, now without pooling"}
SMALL = "Half the width and 4x4 kernels, as in PyTorch's widely used example (pytorch/examples, dcgan)"
CARDS = [
    _card("dcgan_28", Config((128, 64), 1, base=7), 898_304, 27_759_872, f"{SMALL}, two stages for 28 x 28."),
    _card("dcgan_32", Config((256, 128, 64), 3), 1_732_224, 71_081_984, f"{SMALL}, three stages for 32 x 32."),
    _card("dcgan_64", Config((512, 256, 128, 64), 3), 6_342_272, 416_890_880, f"{SMALL}."),
    _card("dcgan", Config((1024, 512, 256, 128), 3, kernel=5), 36_087_808, 2_559_213_568),
]
