"""ResNet (He et al. 2015, arXiv:1512.03385): a block learns what to add to its input, so depth stops hurting.

x (B, H, W, C) float -> logits (B, classes). ImageNet networks: Table 1; CIFAR networks: section 4.2. The plain
networks are the same without shortcuts (Figure 3, middle). Differences from the paper: see the cards.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.blocks import call_block
from zoo.cards import Card, Paper, image
from zoo.fields import check, require, require_images

# Variance 2 / fan-out keeps the variance of gradients through layers of ReLU (He et al., arXiv:1502.01852, eq. 14).
HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `depths` and `widths` have one entry per stage; each stage after the first halves H and W."""

    depths: tuple[int, ...]  # blocks
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels
    bottleneck: bool = False  # 1x1, 3x3, 1x1 to four times the width, instead of two 3x3
    shortcut: Literal["A", "B", "none"] = "B"  # where shapes change: zero-padded, projected; none: a plain network
    stride_in_3x3: bool = False  # "v1.5": a bottleneck strides on its 3x3 convolution, not on the first 1x1
    zero_init_last_scale: bool = False  # the last norm of a block starts at zero, so the block is the identity
    drop_path: float = 0.0  # stochastic depth: rate of the last block, rising linearly from near 0 at the first
    stem_kernel: int = 7
    stem_stride: int = 2
    stem_pool: bool = True  # 3x3 maximum, stride 2
    stem_width: int = 0  # channels, as in Hugging Face's `embedding_size`; 0: widths[0], as in the paper
    classes: int = 1000
    remat: bool = False  # in training, compute the inside of each block again for its gradient: less memory, more time

    def __post_init__(self) -> None:
        check(self)
        if self.zero_init_last_scale:  # without a shortcut every block would output zeros, and never learn
            require(
                self.shortcut != "none", "resnet", "zero_init_last_scale", "False in a network without shortcuts", True
            )
        if self.drop_path:  # a dropped block without a shortcut would output zeros
            require(self.shortcut != "none", "resnet", "drop_path", "0 in a network without shortcuts", self.drop_path)
        stages = len(self.depths)
        require(stages > 0, "resnet", "depths", "one number per stage, at least one", self.depths)
        require(len(self.widths) == stages, "resnet", "widths", f"{stages} numbers, like depths", self.widths)
        if self.shortcut == "A":  # zero padding can only add channels
            require(list(self.widths) == sorted(self.widths), "resnet", "widths", "rising for shortcut A", self.widths)
            most = self.widths[0] * (4 if self.bottleneck else 1)
            require(self.stem <= most, "resnet", "stem_width", f"at most {most} for shortcut A", self.stem_width)

    @property
    def stem(self) -> int:
        """The channels of the stem."""
        return self.stem_width or self.widths[0]


def batch_norm(name: str, train: bool, zero: bool = False) -> Callable[[Array], Array]:
    """Return batch normalization, with scales that start at one, or at zero."""
    scale = nn.initializers.zeros_init() if zero else nn.initializers.ones_init()
    return functools.partial(layers.batch_norm, train=train, scale_init=scale, name=name)


class Block(nn.Module):
    """x (B, H, W, C) -> (B, H / stride, W / stride, width), four times the width for a bottleneck.

    `drop_path` is the probability, for each example and training step, that only the shortcut is used (Huang et al.
    2016, arXiv:1603.09382, eq. 2; they draw once for the whole batch).
    """

    cfg: Config
    width: int
    stride: int
    drop_path: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        width, stride = self.width, self.stride
        # (features, kernel, stride) of each convolution
        if self.cfg.bottleneck:
            first, second = (1, stride) if self.cfg.stride_in_3x3 else (stride, 1)
            convolutions = [(width, 1, first), (width, 3, second), (4 * width, 1, 1)]
        else:
            convolutions = [(width, 3, stride), (width, 3, 1)]
        y = x
        for i, (features, kernel, step) in enumerate(convolutions, start=1):
            is_last = i == len(convolutions)
            y = layers.Conv(features, kernel, step, kernel // 2, bias=False, kernel_init=HE, name=f"conv{i}")(y)
            y = batch_norm(f"norm{i}", train, zero=is_last and self.cfg.zero_init_last_scale)(y)
            if not is_last:
                y = nn.relu(y)
        if self.cfg.shortcut == "none":
            return nn.relu(y)
        if self.drop_path:
            y = layers.DropPath(self.drop_path, name="path")(y, train=train)
        return nn.relu(y + self.match_shape(x, y.shape[-1], train))

    def match_shape(self, x: Array, features: int, train: bool) -> Array:
        """Return x in the block's output shape: unchanged, zero-padded (option A) or projected (option B)."""
        if self.stride == 1 and x.shape[-1] == features:
            return x
        if self.cfg.shortcut == "A":
            x = x[:, :: self.stride, :: self.stride]
            return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, features - x.shape[-1])))
        x = layers.Conv(features, 1, self.stride, 0, bias=False, kernel_init=HE, name="shortcut_conv")(x)
        return batch_norm("shortcut_norm", train)(x)


class Stem(nn.Module):
    """x (B, H, W, C) -> (B, H', W', cfg.stem): a quarter of H and W for ImageNet, the same H and W for CIFAR."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        kernel, stride = cfg.stem_kernel, cfg.stem_stride
        x = layers.Conv(cfg.stem, kernel, stride, kernel // 2, bias=False, kernel_init=HE, name="conv")(x)
        x = nn.relu(batch_norm("norm", train)(x))
        return layers.max_pool(x, 3, 2, 1) if cfg.stem_pool else x


class ResNet(nn.Module):
    """x (B, H, W, C) of any size -> logits (B, classes). Collections: params, batch_stats.

    Training with `drop_path` needs the rng "dropout".
    """

    cfg: Config

    def setup(self) -> None:
        self.head = nn.Dense(self.cfg.classes)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.head(self.represent(x, train=train))

    @nn.compact
    def represent(self, x: Array, *, train: bool) -> Array:
        """Return the features (B, D) before the head: the mean over all positions of the last feature map."""
        require_images(x, "resnet")
        x = Stem(self.cfg, name="stem")(x, train=train)
        number = 0  # of blocks so far
        for i, (depth, width) in enumerate(zip(self.cfg.depths, self.cfg.widths, strict=True)):
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                number += 1
                rate = self.cfg.drop_path * number / sum(self.cfg.depths)  # linear decay, Huang et al. eq. 4
                block = Block(self.cfg, width, stride, rate, name=f"s{i}b{j}")
                x = call_block(block, x, remat=self.cfg.remat, train=train)
        return x.mean((1, 2))


PAPER = Paper(
    title="Deep residual learning for image recognition",
    authors="K. He, X. Zhang, S. Ren, J. Sun",
    venue="CVPR 2016",
    id="1512.03385",
)
RESIDUAL = "A block adds its output to its input, so that a deeper network can always do at least as well."
PLAIN = "The control: stacked 3x3 convolutions without shortcuts, which get worse with depth."
OPTION_B = 'Option B shortcuts (Table 3), as in common use; the paper\'s Table 2 has option A (shortcut="A").'


def imagenet(name: str, depths: tuple[int, ...], *, params: int, flops: int, **fields: Any) -> Card:
    """Return the card of a network in Table 1, for 224 x 224 and 1000 classes."""
    config = Config(depths, **fields)
    differences = "" if config.bottleneck or config.shortcut == "none" else OPTION_B
    return _card(name, config, size=224, params=params, flops=flops, differences=differences)


def cifar(blocks: int, *, shortcut: Literal["A", "none"], params: int, flops: int) -> Card:
    """Return the card of a network in section 4.2: three stages of `blocks` blocks, 6 * blocks + 2 weight layers."""
    config = Config(
        depths=(blocks,) * 3,
        widths=(16, 32, 64),
        shortcut=shortcut,
        stem_kernel=3,
        stem_stride=1,
        stem_pool=False,
        classes=10,
    )
    kind = "plain" if shortcut == "none" else "resnet"
    table6 = {3: 270_000, 5: 460_000, 7: 660_000, 9: 850_000, 18: 1_700_000}
    paper_params = None if shortcut == "none" else table6[blocks]
    return _card(f"{kind}{6 * blocks + 2}", config, size=32, params=params, flops=flops, paper_params=paper_params)


def _card(
    name: str,
    config: Config,
    *,
    size: int,
    params: int,
    flops: int,
    differences: str = "",
    paper_params: int | None = None,
) -> Card:
    return Card(
        name=name,
        family="resnet",
        year=2015,
        paper=PAPER,
        idea=PLAIN if config.shortcut == "none" else RESIDUAL,
        module=ResNet,
        config=config,
        inputs=image(size, size, 3),
        output=(config.classes,),
        params=params,
        flops=flops,
        differences=differences,
        parents={"alexnet": "deep convolutional networks of rectified linear units"},
        paper_params=paper_params,
        initial_values="As in the paper, section 3.4, which takes those of He et al. (arXiv:1502.01852): convolutions "
        "have their variance by fan-out, which that paper allows as well as fan-in. The last layer is LeCun normal.",
    )


CARDS = [
    imagenet("resnet18", (2, 2, 2, 2), params=11_689_512, flops=3_628_146_688),
    imagenet("resnet34", (3, 4, 6, 3), params=21_797_672, flops=7_327_522_816),
    imagenet("resnet50", (3, 4, 6, 3), bottleneck=True, params=25_557_032, flops=7_715_946_496),
    imagenet("resnet101", (3, 4, 23, 3), bottleneck=True, params=44_549_160, flops=15_140_388_864),
    imagenet("resnet152", (3, 8, 36, 3), bottleneck=True, params=60_192_808, flops=22_564_831_232),
    imagenet("plain18", (2, 2, 2, 2), shortcut="none", params=11_515_688, flops=3_589_611_520),
    imagenet("plain34", (3, 4, 6, 3), shortcut="none", params=21_623_848, flops=7_288_987_648),
    *(
        cifar(blocks, shortcut=shortcut, params=params, flops=flops)
        for shortcut in ("A", "none")
        for blocks, params, flops in (
            (3, 269_722, 81_102_080),
            (5, 464_154, 137_725_184),
            (7, 658_586, 194_348_288),
            (9, 853_018, 250_971_392),
            (18, 1_727_962, 505_775_360),
        )
    ),
]
