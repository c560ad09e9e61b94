"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015): a class for each pixel, learned from few annotated images.

x (B, H, W, C) float -> logits (B, H', W', classes), H' and W' smaller than H and W where convolutions are not padded.
Architecture: section 2 and Figure 1. Differences from the paper: see the cards.
"""

import dataclasses
from typing import Literal, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen.dtypes import promote_dtype
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper, image
from zoo.fields import check, require, require_images

Maps = TypeVar("Maps", Array, np.ndarray)
HE = nn.initializers.variance_scaling(2.0, "fan_in", "normal")  # section 3: deviation sqrt(2 / N), N inputs of a unit


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. Each of `depth` levels halves the image and doubles the features, of which the first has
    `width`.
    """

    width: int = 64
    depth: int = 4
    padding: Literal["valid", "same"] = "valid"  # of the 3x3 convolutions; valid: an output smaller than the image
    skips: bool = True  # concatenate the maps of the contracting path; without them nothing goes around the bottom
    dropout: float = 0.5  # at the end of the contracting path: on the maps of its last two levels
    classes: int = 2

    def __post_init__(self) -> None:
        check(self)


class UNet(nn.Module):
    """x (B, H, W, C) -> logits (B, H', W', classes). Training needs the rng "dropout".

    With padding "same", H and W are multiples of 2^depth, and H' = H. With "valid", each level's maps must have even
    sides: 572 pixels become 388.
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        require_images(x, "unet", smallest=2**cfg.depth)
        skipped = []
        for level in range(cfg.depth):
            x = self._two(x, cfg.width << level, f"down{level}")
            if level == cfg.depth - 1:
                x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout_down")(x)
            skipped.append(x)
            _require_even(x)
            x = layers.max_pool(x, 2, 2)
        x = self._two(x, cfg.width << cfg.depth, "bottom")
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout_bottom")(x)
        for level in reversed(range(cfg.depth)):
            x = UpConv(cfg.width << level, name=f"up{level}_conv")(x)
            if cfg.skips:
                x = jnp.concatenate([center(skipped[level], x.shape[1], x.shape[2]), x], axis=-1)
            x = self._two(x, cfg.width << level, f"up{level}")
        return layers.Conv(cfg.classes, 1, kernel_init=HE, name="head")(x)

    def _two(self, x: Array, features: int, name: str) -> Array:
        """Apply two 3x3 convolutions, each followed by a ReLU."""
        padding = "SAME" if self.cfg.padding == "same" else 0
        for number in (1, 2):
            x = nn.relu(layers.Conv(features, 3, padding=padding, kernel_init=HE, name=f"{name}_conv{number}")(x))
        return x


class UpConv(nn.Module):
    """A 2x2 convolution that doubles the image: x (B, H, W, C) -> (B, 2H, 2W, features).

    Each pixel becomes a square of four, which no other pixel reaches. So it is one product of matrices and a reshape,
    and a unit has C inputs.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        b, h, w, c = x.shape
        kernel = self.param("kernel", HE, (c, 4 * self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        x, kernel, bias = promote_dtype(x, kernel, bias)
        y = layers.single_matmul(x, kernel).reshape(b, h, w, 2, 2, self.features)
        return y.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, self.features) + bias.reshape(1, 1, 1, -1)


def center(x: Maps, height: int, width: int) -> Maps:
    """Return the middle of maps x (B, H, W, ...): (B, height, width, ...). An odd pixel is cut off below and right."""
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    return x[:, top : top + height, left : left + width]


def _require_even(x: Array) -> None:
    """Raise UserError for maps that pooling would not halve."""
    height, width = x.shape[1:3]
    require(
        height % 2 == 0 and width % 2 == 0 and min(height, width) > 0,
        "unet",
        "depth",
        "one whose every level has maps of even sides (with padding valid images of 572, 188 or 140 pixels fit 4)",
        f"one with maps of {height}x{width}",
    )


PAPER = Paper(
    title="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    authors="O. Ronneberger, P. Fischer, T. Brox",
    venue="MICCAI 2015",
    id="1505.04597",
)
PARENTS = {"alexnet": "convolution, pooling, rectified linear units"}
CARDS = [
    Card(
        name="unet",
        parents=PARENTS,
        family="unet",
        year=2015,
        paper=PAPER,
        idea="A contracting path finds what is in the image; skips carry where it is to the expanding path.",
        module=UNet,
        config=Config(),
        inputs=image(572, 572, 1),
        output=(388, 388, 2),
        params=31_030_658,
        flops=300_856_848_896,
        differences="None in the network. The paper does not say how much is dropped out: half of it, as in the "
        "authors' code. Weights of pixels by their distance to borders are not built.",
        initial_values="As in the paper, section 3: weights normal with deviation sqrt(2 / N). It gives no biases: 0.",
    ),
    Card(
        name="unet_mini",
        parents={"unet": "its layers, fewer and narrower"},
        family="unet",
        year=2015,
        paper=PAPER,
        idea="A U-Net for images of 16 to 64 pixels, with padded convolutions, so that every pixel gets its class.",
        module=UNet,
        config=Config(width=16, depth=2, padding="same", dropout=0.0, classes=11),
        inputs=image(32, 32, 1),
        output=(32, 32, 11),
        params=116_923,
        flops=49_938_432,
        differences="Not a network of the paper: two levels of 16 and 32 features in place of four from 64, padded "
        "convolutions, no dropout.",
        initial_values="As in the paper, section 3: weights normal with deviation sqrt(2 / N). It gives no biases: 0.",
    ),
]
