"""ResNet (He et al. 2015, arXiv:1512.03385): a block learns what to add to its input, so depth stops hurting.

x (B, H, W, C) float -> logits (B, classes). ImageNet nets: Table 1; CIFAR nets: section 4.2. The plain nets
are the same without shortcuts (Figure 3, middle).
Departs: see the cards.
"""

import dataclasses
import functools
from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper, image
from zoo.fields import check, demand, demand_images

# Variance 2 / fan-out: the backward case of the paper's reference [13].
HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `depths` and `widths` have one entry per stage; each stage after the first halves H and W."""

    depths: tuple[int, ...]  # blocks
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels; the stem has widths[0]
    bottleneck: bool = False  # 1x1, 3x3, 1x1 to four times the width, instead of two 3x3
    shortcut: Literal["A", "B", "none"] = "B"  # where the shape changes: zero-padded, projected; none: a plain net
    stride_in_3x3: bool = False  # "v1.5": a bottleneck strides on its 3x3 convolution, not on the first 1x1
    zero_init_last_scale: bool = False  # the last norm of a block starts at zero, so the block as the identity
    drop_path: float = 0.0  # stochastic depth: rate of the last block, rising linearly from near 0 at the first
    stem_kernel: int = 7
    stem_stride: int = 2
    stem_pool: bool = True  # 3x3 maximum, stride 2
    classes: int = 1000

    def __post_init__(self) -> None:
        check(self)
        if self.drop_path:  # of a plain net nothing would be left
            demand(self.shortcut != "none", "resnet", "drop_path", "0 in a net without shortcuts", self.drop_path)
        stages = len(self.depths)
        demand(stages > 0, "resnet", "depths", "one number per stage, at least one", self.depths)
        demand(len(self.widths) == stages, "resnet", "widths", f"{stages} numbers, as depths is", self.widths)
        if self.shortcut == "A":  # zeros can only be added
            demand(list(self.widths) == sorted(self.widths), "resnet", "widths", "rising for shortcut A", self.widths)


def norm(name: str, train: bool, zero: bool = False) -> nn.BatchNorm:
    """Batch normalization; its statistics move by 0.1 a step towards the batch's."""
    scale = nn.initializers.zeros_init() if zero else nn.initializers.ones_init()
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5, scale_init=scale, name=name)


class Block(nn.Module):
    """x (B, H, W, C) -> (B, H / stride, W / stride, width), four times the width for a bottleneck.

    `drop_path`: share of the examples, drawn anew in each step, for which a block in training is its shortcut alone
    (Huang et al. 2016, arXiv:1603.09382, eq. 2, who draw once for a whole batch).
    """

    cfg: Config
    width: int
    stride: int
    drop_path: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        width, stride = self.width, self.stride
        if self.cfg.bottleneck:
            first, second = (1, stride) if self.cfg.stride_in_3x3 else (stride, 1)
            plan = [(width, 1, first), (width, 3, second), (4 * width, 1, 1)]
        else:
            plan = [(width, 3, stride), (width, 3, 1)]  # (features, kernel, stride)
        y = x
        for i, (features, kernel, s) in enumerate(plan, start=1):
            last = i == len(plan)
            y = layers.Conv(features, kernel, s, kernel // 2, bias=False, kernel_init=HE, name=f"conv{i}")(y)
            y = norm(f"norm{i}", train, zero=last and self.cfg.zero_init_last_scale)(y)
            y = y if last else nn.relu(y)
        if self.cfg.shortcut == "none":
            return nn.relu(y)
        if self.drop_path:
            y = layers.DropPath(self.drop_path, name="path")(y, train=train)
        return nn.relu(y + self.shortcut(x, y.shape[-1], train))

    def shortcut(self, x: Array, features: int, train: bool) -> Array:
        """x brought to the block's output shape: itself, zero-padded (option A) or projected (option B)."""
        if self.stride == 1 and x.shape[-1] == features:
            return x
        if self.cfg.shortcut == "A":
            x = x[:, :: self.stride, :: self.stride]
            return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, features - x.shape[-1])))
        x = layers.Conv(features, 1, self.stride, 0, bias=False, kernel_init=HE, name="shortcut_conv")(x)
        return norm("shortcut_norm", train)(x)


class Stem(nn.Module):
    """x (B, H, W, C) -> (B, H', W', widths[0]): for ImageNet a quarter of H and W, for CIFAR the same."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        shape = {"kernel": cfg.stem_kernel, "stride": cfg.stem_stride, "padding": cfg.stem_kernel // 2}
        x = layers.Conv(cfg.widths[0], **shape, bias=False, kernel_init=HE, name="conv")(x)
        x = nn.relu(norm("norm", train)(x))
        return layers.max_pool(x, 3, 2, 1) if cfg.stem_pool else x


class ResNet(nn.Module):
    """x (B, H, W, C) of any size -> logits (B, classes). Collections: params, batch_stats. With `drop_path`
    training needs the rng "dropout"."""

    cfg: Config

    def setup(self) -> None:
        self.head = nn.Dense(self.cfg.classes)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.head(self.represent(x, train=train))

    @nn.compact
    def represent(self, x: Array, *, train: bool) -> Array:
        """x (B, H, W, C) -> features (B, D) before the head, the mean over all places."""
        demand_images(x, "resnet")
        x = Stem(self.cfg, name="stem")(x, train=train)
        for i, (depth, width) in enumerate(zip(self.cfg.depths, self.cfg.widths, strict=True)):
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                number = sum(self.cfg.depths[:i]) + j + 1  # of all, from 1: the paper's linear decay, its eq. 4
                rate = self.cfg.drop_path * number / sum(self.cfg.depths)
                x = Block(self.cfg, width, stride, rate, name=f"s{i}b{j}")(x, train=train)
        return x.mean((1, 2))


PAPER = Paper(
    title="Deep residual learning for image recognition",
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    venue="CVPR 2016",
    id="1512.03385",
)
RESIDUAL = "A block adds its output to its input, so that a deeper net can always do at least as well."
PLAIN = "The control: stacked 3x3 convolutions without shortcuts, which get worse with depth."
PROJECTS = 'Option B shortcuts (Table 3), as is usual; the paper\'s Table 2 has option A (shortcut="A").'


def imagenet(name: str, depths: tuple[int, ...], params: int, flops: int, **fields: object) -> Card:
    """A net of Table 1, for 224 x 224 and 1000 classes."""
    config = Config(depths, **fields)
    departs = "" if config.bottleneck or config.shortcut == "none" else PROJECTS
    return _card(name, config, image(224, 224, 3), params, flops, departs)


def cifar(name: str, blocks: int, params: int, flops: int, shortcut: Literal["A", "none"]) -> Card:
    """A net of section 4.2 for 32 x 32: three stages of `blocks` blocks, so 6 * blocks + 2 weight layers."""
    stem = {"stem_kernel": 3, "stem_stride": 1, "stem_pool": False}
    config = Config((blocks,) * 3, widths=(16, 32, 64), shortcut=shortcut, classes=10, **stem)
    said = {3: 270_000, 5: 460_000, 7: 660_000, 9: 850_000, 18: 1_700_000}[blocks] if shortcut == "A" else None
    return _card(name, config, image(32, 32, 3), params, flops, said=said)  # Table 6


def _card(
    name: str, config: Config, inputs: dict, params: int, flops: int, departs: str = "", said: int | None = None
) -> Card:
    idea = PLAIN if config.shortcut == "none" else RESIDUAL
    classes, parents = (config.classes,), {"alexnet": "deep convolutional nets of rectified units"}
    return Card(
        name, "resnet", 2015, PAPER, idea, ResNet, config, inputs, classes, params, flops, departs, parents, said
    )


deep = functools.partial(imagenet, bottleneck=True)
CARDS = [
    imagenet("resnet18", (2, 2, 2, 2), 11_689_512, 3_628_146_688),
    imagenet("resnet34", (3, 4, 6, 3), 21_797_672, 7_327_522_816),
    deep("resnet50", (3, 4, 6, 3), 25_557_032, 7_715_946_496),
    deep("resnet101", (3, 4, 23, 3), 44_549_160, 15_140_388_864),
    deep("resnet152", (3, 8, 36, 3), 60_192_808, 22_564_831_232),
    imagenet("plain18", (2, 2, 2, 2), 11_515_688, 3_589_611_520, shortcut="none"),
    imagenet("plain34", (3, 4, 6, 3), 21_623_848, 7_288_987_648, shortcut="none"),
    *(
        cifar(f"{kind}{6 * blocks + 2}", blocks, params, flops, shortcut)
        for kind, shortcut in (("resnet", "A"), ("plain", "none"))
        for blocks, params, flops in (
            (3, 269_722, 81_102_080),
            (5, 464_154, 137_725_184),
            (7, 658_586, 194_348_288),
            (9, 853_018, 250_971_392),
            (18, 1_727_962, 505_775_360),
        )
    ),
]
