"""VGG (Simonyan and Zisserman 2014, arXiv:1409.1556): depth from 3x3 convolutions alone, in stages between poolings.

x (B, H, W, C) float -> logits (B, classes). Configurations A, B, D and E of Table 1, with 11 to 19 layers of weights.
`Trunk` is the convolutional part by itself: other networks take the maps of its stages. Differences from the paper: see
the cards.
"""

import dataclasses
from typing import NamedTuple

from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.alexnet import adaptive_avg_pool
from zoo.cards import Card, Paper, image
from zoo.convolution import Padding
from zoo.fields import check, flatten, require, require_images

GLOROT = nn.initializers.xavier_uniform()  # section 3.1, found "after the paper submission"


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture."""

    depths: tuple[int, ...] = (2, 2, 3, 3, 3)  # convolutions of each stage, after which maps are halved
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)  # features of each stage
    kernel: int = 3  # side of every kernel; section 4.1 compares it with 5
    batch_norm: bool = False  # after each convolution, as in torchvision's vgg16_bn (arXiv:1502.03167)
    dropout: float = 0.5  # on the outputs of the first two fully connected layers
    hidden: int = 4096  # units of each of these two layers
    grid: int = 7  # side to which the last maps are averaged, if they have another
    classes: int = 1000
    deviation: float = 0.0  # standard deviation of Gaussian initial weights; 0: those of Glorot and Bengio

    def __post_init__(self) -> None:
        check(self)
        require(len(self.depths) > 0, "vgg", "depths", "one number per stage, at least one", self.depths)
        alike = len(self.widths) == len(self.depths)
        require(alike, "vgg", "widths", f"{len(self.depths)} numbers, like depths", self.widths)
        require(self.kernel % 2 == 1, "vgg", "kernel", "odd, so that maps keep their size", self.kernel)

    @property
    def smallest(self) -> int:
        """The smallest side of an image of which the last stage leaves a pixel."""
        return 2 ** len(self.depths)

    @property
    def initial(self) -> nn.initializers.Initializer:
        """What initial weights are drawn from."""
        return nn.initializers.normal(self.deviation) if self.deviation else GLOROT


class Stage(NamedTuple):
    """What a stage of the trunk makes of maps of H x W."""

    maps: Array  # (B, H, W, features), of the last convolution, rectified
    pooled: Array  # (B, H // 2, W // 2, features)


class Trunk(nn.Module):
    """The convolutions: x (B, H, W, C), H and W of at least 2^stages -> the pooled maps of the last stage.

    `stages` returns the maps of all of them. A VGG keeps the parameters under "trunk", from where another network can
    take them: variables["params"]["trunk"]["conv1_1"]. Collections: params, and batch_stats with `batch_norm`.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel: int = 3
    batch_norm: bool = False
    kernel_init: nn.initializers.Initializer = GLOROT
    border: Padding = "SAME"  # of the first convolution; all others keep the size of their maps

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.stages(x, train=train)[-1].pooled

    @nn.compact
    def stages(self, x: Array, *, train: bool) -> tuple[Stage, ...]:
        """Return what each stage makes, first to last: of a VGG-16 `maps` is conv3_3 and `pooled` pool3 at index 2."""
        found = []
        for i, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True), start=1):
            for j in range(1, depth + 1):
                padding = self.border if i == j == 1 else "SAME"
                conv = layers.Conv(
                    width, self.kernel, padding=padding, kernel_init=self.kernel_init, name=f"conv{i}_{j}"
                )
                x = conv(x)  # it has a bias before batch normalization too, as published weights do
                if self.batch_norm:
                    x = layers.batch_norm(x, train=train, name=f"norm{i}_{j}")
                x = nn.relu(x)
            found.append(Stage(x, layers.max_pool(x, 2, 2)))
            x = found[-1].pooled
        return tuple(found)


class VGG(nn.Module):
    """x (B, H, W, C), H and W of at least `cfg.smallest` -> logits (B, classes). Training needs the rng "dropout".

    Collections: params, and batch_stats with `batch_norm`.
    """

    cfg: Config

    def setup(self) -> None:
        self.head = nn.Dense(self.cfg.classes, kernel_init=self.cfg.initial)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.head(self.represent(x, train=train))

    @nn.compact
    def represent(self, x: Array, *, train: bool) -> Array:
        """Return the features (B, hidden) before the head, which appendix B takes to other data sets."""
        cfg = self.cfg
        require_images(x, "vgg", smallest=cfg.smallest)
        trunk = Trunk(cfg.depths, cfg.widths, cfg.kernel, cfg.batch_norm, cfg.initial, name="trunk")
        x = flatten(adaptive_avg_pool(trunk(x, train=train), cfg.grid))  # of 224 x 224 pixels (B, 7 * 7 * 512)
        for i in (6, 7):
            x = nn.relu(nn.Dense(cfg.hidden, kernel_init=cfg.initial, name=f"fc{i}")(x))
            x = nn.Dropout(cfg.dropout, deterministic=not train, name=f"dropout{i}")(x)
        return x


PAPER = Paper(
    title="Very deep convolutional networks for large-scale image recognition",
    authors="K. Simonyan, A. Zisserman",
    venue="ICLR 2015",
    id="1409.1556",
)
ANY_SIZE = (
    "None at 224x224. Maps of other sizes are averaged to 7x7, as in torchvision; the paper slides its dense layers "
    "over them and averages the scores."
)
MINI = (
    "Not in the paper: for images of 16 to 64 pixels. Pairs of 3x3 convolutions as in configuration B, in three stages "
    "instead of five, a half to a quarter of the features, two dense layers of 128 units. Maps of other sizes than 4x4 "
    "are averaged to 4x4."
)


def _card(
    name: str,
    config: Config,
    *,
    params: int,
    flops: int,
    size: int = 224,
    differences: str = ANY_SIZE,
    paper_params: int | None = None,
) -> Card:
    return Card(
        name=name,
        parents={"alexnet": "rectified linear units, max pooling, and dropout in two large fully connected layers"},
        family="vgg",
        year=2014,
        paper=PAPER,
        idea="Stacked 3x3 convolutions see as far as a large kernel with fewer weights: nets have 16 to 19 layers.",
        module=VGG,
        config=config,
        inputs=image(size, size, 3),
        output=(config.classes,),
        params=params,
        flops=flops,
        differences=differences,
        paper_params=paper_params,
        initial_values="As in the paper, section 3.1, by its later note: weights from the uniform distribution of "
        "Glorot and Bengio 2010, biases 0, and no pre-training. Before, its weights were normal with variance 0.01 "
        "(deviation=0.1; the logits of vgg11 then start near 2 million), and nets deeper than vgg11 began with the "
        "first four convolutions and the dense layers of a trained vgg11, which no recipe here does.",
    )


CARDS = [
    *(
        _card(name, Config(depths), params=params, flops=flops, paper_params=stated)
        for name, depths, params, flops, stated in (
            ("vgg11", (1, 1, 2, 2, 2), 132_863_336, 15_218_180_096, 133_000_000),
            ("vgg13", (2, 2, 2, 2, 2), 133_047_848, 22_616_932_352, 133_000_000),
            ("vgg16", (2, 2, 3, 3, 3), 138_357_544, 30_940_528_640, 138_000_000),
            ("vgg19", (2, 2, 4, 4, 4), 143_667_240, 39_264_124_928, 144_000_000),
        )
    ),
    _card(
        "vgg_mini",
        Config(depths=(2, 2, 2), widths=(32, 64, 64), hidden=128, grid=4, classes=10),
        params=288_426,
        flops=58_690_048,
        size=32,
        differences=MINI,
    ),
]
