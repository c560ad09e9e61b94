"""AlexNet (Krizhevsky, Sutskever & Hinton, NIPS 2012): a large convolutional network, trained on GPUs, wins ImageNet.

x (B, H, W, C) float -> logits (B, classes). `AlexNet`: section 3 and Figure 2; `OneTower`: the variant of 2014
(arXiv:1404.5997) as in torchvision; `Cifar`: the four-layer network of Figure 1. Differences from the papers: see the
cards. Sections are those of the NIPS paper; its reprint of 2017 (doi:10.1145/3065386) numbers them otherwise.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper, image
from zoo.fields import ACTIVATIONS, Activation, check, flatten, require, require_images

GAUSSIAN = nn.initializers.normal(0.01)  # section 5, for every weight
ONES = nn.initializers.ones_init()  # section 5: biases that give the ReLUs positive inputs at the start
ZEROS = nn.initializers.zeros_init()


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. All but `hidden` and `classes` is something that the paper itself compares."""

    towers: int = 2  # groups of convolutions 2, 4 and 5: one per GPU (section 3.2)
    response_norm: bool = True  # section 3.3
    overlap: bool = True  # pooling windows of 3 x 3 with stride 2; otherwise 2 x 2 (section 3.4)
    dropout: float = 0.5  # on the outputs of the first two fully connected layers (section 4.2)
    hidden: int = 4096  # units of each of these two layers
    classes: int = 1000

    def __post_init__(self) -> None:
        check(self)
        require(32 % self.towers == 0, "alexnet", "towers", "a divisor of 32", self.towers)  # divides all features


class AlexNet(nn.Module):
    """x (B, H, W, C), H and W of at least 64 -> logits (B, classes). Training needs the rng "dropout"."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require_images(x, "alexnet", smallest=64)
        towers = self.cfg.towers
        window = 3 if self.cfg.overlap else 2

        def conv(features: int, kernel: int, groups: int, bias: nn.initializers.Initializer, name: str) -> layers.Conv:
            return layers.Conv(
                features, kernel, padding="SAME", groups=groups, kernel_init=GAUSSIAN, bias_init=bias, name=name
            )

        # The paper says 224, but its 55 x 55 maps follow from 227 pixels. With 224 they need 2 pixels of padding.
        pad = [(p, p) for p in (0 if (size - 11) % 4 == 0 else 2 for size in x.shape[1:3])]
        x = nn.relu(layers.Conv(96, 11, 4, pad, kernel_init=GAUSSIAN, name="conv1")(x))  # (B, 55, 55, 96)
        x = layers.max_pool(self.normalize(x), window, 2)  # (B, 27, 27, 96)
        x = nn.relu(conv(256, 5, towers, ONES, "conv2")(x))
        x = layers.max_pool(self.normalize(x), window, 2)  # (B, 13, 13, 256)
        x = nn.relu(conv(384, 3, 1, ZEROS, "conv3")(x))
        x = nn.relu(conv(384, 3, towers, ONES, "conv4")(x))
        x = nn.relu(conv(256, 3, towers, ONES, "conv5")(x))
        x = flatten(layers.max_pool(x, window, 2))  # (B, 6 * 6 * 256)
        for i in (6, 7):
            x = nn.relu(nn.Dense(self.cfg.hidden, kernel_init=GAUSSIAN, bias_init=ONES, name=f"fc{i}")(x))
            x = nn.Dropout(self.cfg.dropout, deterministic=not train, name=f"dropout{i}")(x)
        return nn.Dense(self.cfg.classes, kernel_init=GAUSSIAN, name="head")(x)

    def normalize(self, x: Array) -> Array:
        """Apply local response normalization within each tower: the GPUs exchange nothing before convolution 3."""
        if not self.cfg.response_norm:
            return x
        b, h, w, c = x.shape
        y = x.reshape(b, h, w * self.cfg.towers, c // self.cfg.towers)  # channels of two towers are never neighbours
        return layers.local_response_norm(y, size=5, alpha=1e-4, beta=0.75, k=2.0).reshape(x.shape)


@dataclasses.dataclass(frozen=True)
class OneTowerConfig:
    """The architecture of 2014."""

    dropout: float = 0.5  # on the inputs of the first two fully connected layers
    hidden: int = 4096  # units of each of these two layers
    classes: int = 1000

    def __post_init__(self) -> None:
        check(self)


class OneTower(nn.Module):
    """x (B, H, W, C), H and W of at least 63 -> logits (B, classes). Training needs the rng "dropout"."""

    cfg: OneTowerConfig

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require_images(x, "alexnet_one_tower", smallest=63)
        x = nn.relu(layers.Conv(64, 11, 4, 2, name="conv1")(x))  # (B, 55, 55, 64)
        x = layers.max_pool(x, 3, 2)  # (B, 27, 27, 64)
        x = nn.relu(layers.Conv(192, 5, name="conv2")(x))
        x = layers.max_pool(x, 3, 2)  # (B, 13, 13, 192)
        for i, features in ((3, 384), (4, 256), (5, 256)):
            x = nn.relu(layers.Conv(features, 3, name=f"conv{i}")(x))
        x = flatten(adaptive_avg_pool(layers.max_pool(x, 3, 2), 6))  # (B, 6 * 6 * 256)
        for i in (6, 7):
            x = nn.Dropout(self.cfg.dropout, deterministic=not train, name=f"dropout{i}")(x)
            x = nn.relu(nn.Dense(self.cfg.hidden, name=f"fc{i}")(x))
        return nn.Dense(self.cfg.classes, name="head")(x)


def adaptive_avg_pool(x: Array, size: int) -> Array:
    """Average x (B, H, W, C) over a grid of size x size cells -> (B, size, size, C).

    The cells overlap if H or W is not a multiple of `size`.
    """

    def weights(length: int) -> Array:
        """Return the weight of each pixel in each cell, (size, length); each row sums to 1."""
        cell, pixel = np.arange(size)[:, None], np.arange(length)[None, :]
        inside = (pixel >= cell * length // size) & (pixel < -(-(cell + 1) * length // size))
        return jnp.asarray(inside / inside.sum(1, keepdims=True), x.dtype)

    if x.shape[1:3] == (size, size):
        return x
    return jnp.einsum("ph,qw,bhwc->bpqc", weights(x.shape[1]), weights(x.shape[2]), x)


@dataclasses.dataclass(frozen=True)
class CifarConfig:
    """The architecture of Figure 1, which compares activation="relu" with "tanh"."""

    activation: Activation = "relu"
    classes: int = 10
    bias: int = 0  # initial biases of convolution 2, which are 1 in section 5

    def __post_init__(self) -> None:
        check(self)


class Cifar(nn.Module):
    """x (B, H, W, C), H and W of at least 8 -> logits (B, classes). Three convolutions and a linear layer."""

    cfg: CifarConfig

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        require_images(x, "alexnet_cifar", smallest=8)
        act = ACTIVATIONS[self.cfg.activation]
        border = ((0, 1), (0, 1))  # pooling windows overlap, and the last one extends over the border
        bias = nn.initializers.constant(self.cfg.bias)
        x = layers.Conv(32, 5, name="conv1")(x)
        x = act(layers.max_pool(x, 3, 2, border))  # (B, 16, 16, 32)
        x = act(layers.Conv(32, 5, bias_init=bias, name="conv2")(x))
        x = layers.avg_pool(x, 3, 2, border)  # (B, 8, 8, 32)
        x = act(layers.Conv(64, 5, name="conv3")(x))
        x = layers.avg_pool(x, 3, 2, border)  # (B, 4, 4, 64)
        return nn.Dense(self.cfg.classes, name="head")(flatten(x))


PAPER = Paper(
    title="ImageNet classification with deep convolutional neural networks",
    authors="A. Krizhevsky, I. Sutskever, G. E. Hinton",
    venue="NIPS 2012",
    id="https://papers.nips.cc/paper_files/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html",
)
PARENTS = {"lenet5": "convolution, pooling, shared weights"}
CARDS = [
    Card(
        name="alexnet",
        parents=PARENTS,
        paper_params=60_000_000,
        family="alexnet",
        year=2012,
        paper=PAPER,
        idea="Size, rectified linear units, dropout and two GPUs let a convolutional network win ImageNet.",
        module=AlexNet,
        config=Config(),
        inputs=image(227, 227, 3),
        output=(1000,),
        params=60_965_224,
        flops=1_448_813_632,
        differences="None; but the authors' code of 2012, released in 2025, differs from the paper, which is followed "
        "here. There the first convolution is normalized and pooled before its ReLU, and a second normalization "
        "stands before the second pooling.",
        initial_values="As in the paper, section 5: weights normal with deviation 0.01; biases 1 in convolutions 2, 4, "
        "5 and the hidden dense layers, else 0. The authors' code has a deviation of 0.03 in convolutions 3, 4, 5.",
    ),
    Card(
        name="alexnet_cifar",
        parents=PARENTS,
        family="alexnet",
        year=2012,
        paper=PAPER,
        idea="Rectified linear units train several times faster than tanh units.",
        module=Cifar,
        config=CifarConfig(),
        inputs=image(32, 32, 3),
        output=(10,),
        params=89_578,
        flops=24_596_480,
        differences="The paper does not specify this network's layers; these are from the 18 % example in the authors' "
        "cuda-convnet, without its response normalization.",
        initial_values="Not the authors', whose example has fixed small deviations: weights are LeCun normal, "
        "biases 0.",
    ),
    Card(
        name="alexnet_one_tower",
        parents={"alexnet": "its layers, in one tower instead of two"},
        family="alexnet",
        year=2014,
        paper=Paper(
            title="One weird trick for parallelizing convolutional neural networks",
            authors="A. Krizhevsky",
            venue="arXiv",
            id="1404.5997",
        ),
        idea="One tower without response normalization: parallelism moves from the architecture to the program.",
        module=OneTower,
        config=OneTowerConfig(),
        inputs=image(224, 224, 3),
        output=(1000,),
        params=61_100_840,
        flops=1_428_376_960,
        differences="As in torchvision: convolution 4 has 256 features, dropout comes before the fully connected "
        "layers, and feature maps are averaged to 6x6 for other sizes.",
        initial_values="The paper gives none: weights are LeCun normal, biases 0.",
    ),
]
