"""FCN (Long, Shelhamer and Darrell 2014, arXiv:1411.4038): dense layers that slide over an image give a map of classes.

x (B, H, W, C) float -> logits (B, H, W, classes), on the trunk of VGG-16. FCN-32s enlarges the coarse map at once;
FCN-16s and FCN-8s first add what earlier, finer maps say (section 4.2). Differences from the paper: see the cards.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.cards import Card, Paper, image
from zoo.fields import check, require, require_images
from zoo.transposed import ConvTranspose
from zoo.vgg import GLOROT, Trunk

ZEROS = nn.initializers.zeros_init()  # section 4.3, for the layers that score classes


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. Each of the trunk's stages halves the maps."""

    depths: tuple[int, ...] = (2, 2, 3, 3, 3)  # convolutions of each stage of the trunk
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)  # features of each stage
    fused: int = 0  # earlier pooled maps that are scored too and added: 0 is FCN-32s, 1 FCN-16s, 2 FCN-8s
    kernel: int = 7  # side of the first dense layer, as a convolution
    hidden: int = 4096  # features of the two dense layers
    dropout: float = 0.5  # on their outputs
    classes: int = 21

    def __post_init__(self) -> None:
        check(self)
        alike = len(self.widths) == len(self.depths) > 0
        require(alike, "fcn", "widths", f"{len(self.depths)} numbers, like depths", self.widths)
        fits = self.fused < len(self.depths)
        require(fits, "fcn", "fused", f"below the {len(self.depths)} stages of the trunk", self.fused)


class FCN(nn.Module):
    """x (B, H, W, C), H and W multiples of 2^stages -> logits (B, H, W, classes). Training needs the rng "dropout"."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        cfg = self.cfg
        stages = len(cfg.depths)
        require_images(x, "fcn", smallest=2**stages)
        _require_multiple(x, 2**stages)
        found = Trunk(cfg.depths, cfg.widths, name="trunk").stages(x, train=train)
        pooled = [stage.pooled for stage in found]
        y = pooled[-1]
        for number, kernel in ((6, cfg.kernel), (7, 1)):
            y = nn.relu(layers.Conv(cfg.hidden, kernel, kernel_init=GLOROT, name=f"fc{number}")(y))
            y = nn.Dropout(cfg.dropout, deterministic=not train, name=f"dropout{number}")(y)
        y = self._score(y, "head")
        for stage in range(stages - 1, stages - 1 - cfg.fused, -1):
            y = ConvTranspose(cfg.classes, 4, 2, bias=False, kernel_init=bilinear, name=f"up{stage}")(y)
            y = y + self._score(pooled[stage - 1], f"head{stage}")
        return enlarged(y, x.shape[1], x.shape[2])

    def _score(self, x: Array, name: str) -> Array:
        """Return a score of each class at each place."""
        return layers.Conv(self.cfg.classes, 1, kernel_init=ZEROS, name=name)(x)


def enlarged(x: Array, height: int, width: int) -> Array:
    """Enlarge maps x (B, H, W, C) to (B, height, width, C) by linear interpolation: two products of matrices.

    `jax.image.resize` computes the same, and is not converted to ONNX for a batch of any size.
    """

    def weights(old: int, new: int) -> Array:
        """Return how much of each old pixel is in each new one, (new, old); each row sums to 1."""
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return jnp.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)[None])), x.dtype)

    return jnp.einsum("ph,qw,bhwc->bpqc", weights(x.shape[1], height), weights(x.shape[2], width), x)


def bilinear(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Return the kernel (4, 4, C, C) of a transposed convolution that doubles each map by linear interpolation."""
    del key
    side = np.array([0.25, 0.75, 0.75, 0.25])
    return jnp.asarray(np.multiply.outer(np.outer(side, side), np.eye(shape[2], shape[3])), dtype)


def _require_multiple(x: Array, step: int) -> None:
    """Raise UserError for an image that the trunk does not halve evenly."""
    height, width = x.shape[1:3]
    even = height % step == 0 and width % step == 0
    require(even, "fcn", "images", f"of sides that are multiples of {step} pixels", f"{height}x{width}")


PAPER = Paper(
    title="Fully convolutional networks for semantic segmentation",
    authors="J. Long, E. Shelhamer, T. Darrell",
    venue="CVPR 2015",
    id="1411.4038",
)
DIFFERENCES = (
    "The last enlargement, fixed in the paper too, interpolates and has no parameters. Maps are padded to their size, "
    "where the authors' code pads the image by 100 pixels and crops. Images have sides that are multiples of 32."
)
INITIAL = (
    "As in the paper, section 4.3: scores start at 0, enlargements at bilinear interpolation. Its trunk and dense "
    "layers come from a trained VGG-16; without such weights they start as VGG's do."
)


def _card(name: str, fused: int, params: int, flops: int) -> Card:
    return Card(
        name=name,
        parents={"vgg16": "its trunk, and its dense layers as convolutions"},
        family="fcn",
        year=2014,
        paper=PAPER,
        idea="A classifier made convolutional gives a class for each place; earlier maps add where the borders are.",
        module=FCN,
        config=Config(fused=fused),
        inputs=image(224, 224, 3),
        output=(224, 224, 21),
        params=params,
        flops=flops,
        paper_params=134_000_000,
        differences=DIFFERENCES,
        initial_values=INITIAL,
    )


CARDS = [
    _card("fcn32s", 0, 134_346_581, 42_431_594_688),
    _card("fcn16s", 1, 134_364_410, 42_452_635_680),
    _card("fcn8s", 2, 134_376_863, 42_498_866_592),
    Card(
        name="fcn_mini",
        parents={"fcn8s": "its layers, fewer and narrower"},
        family="fcn",
        year=2014,
        paper=PAPER,
        idea="An FCN for images of 16 to 64 pixels: three stages in place of five.",
        module=FCN,
        config=Config((1, 1, 2), (16, 32, 64), fused=2, kernel=3, hidden=128, dropout=0.0, classes=11),
        inputs=image(32, 32, 1),
        output=(32, 32, 11),
        params=156_433,
        flops=13_646_336,
        differences="Not a network of the paper. Its strides are 8, 4 and 2 (fused=0, 1, 2) where the paper's are 32, "
        "16 and 8. " + DIFFERENCES.partition(" Images")[0],
        initial_values=INITIAL,
    ),
]
