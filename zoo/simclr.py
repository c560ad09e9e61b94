"""SimCLR (Chen et al. 2020, arXiv:2002.05709): an encoder learns without labels to match two views of the same image.

x (B, H, W, C) float -> projections (B, P), which the loss compares; `represent` returns the features that are kept.
Architecture: section 2.1. Projection head: the authors' code (github.com/google-research/simclr), which normalizes both
layers. Differences from the paper: see the cards.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from flax.core import FrozenDict
from jax import Array

from zoo import cards, resnet, vit
from zoo.cards import Card, Paper, image
from zoo.fields import require
from zoo.layers import batch_norm

ENCODERS: Mapping[str, Card] = cards.catalogue([resnet, vit])
"""All models that can be an encoder, by name: those with a method `represent`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture: an encoder from the zoo and a projection head.

    Raises UserError if the zoo has no such encoder, or the encoder no such field.
    """

    encoder: str = "resnet50"
    fields: Mapping[str, Any] = FrozenDict()  # changes to the encoder's Config; `classes` has no effect here
    widths: tuple[int, ...] = (2048, 128)  # of the projection head; the last is P

    def __post_init__(self) -> None:
        require(isinstance(self.fields, Mapping), "simclr", "fields", "fields of the encoder", self.fields)
        require(isinstance(self.widths, tuple), "simclr", "widths", "a tuple of positive integers", self.widths)
        # Values read from JSON are lists where the Config has tuples.
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in self.fields.items()}
        object.__setattr__(self, "fields", FrozenDict(fields))  # hashable, as a module's fields must be
        self.make_encoder()
        counts = all(isinstance(width, int) and width > 0 for width in self.widths)
        require(bool(self.widths) and counts, "simclr", "widths", "a tuple of positive integers", self.widths)

    def make_encoder(self) -> nn.Module:
        """Build the encoder, with its fields changed."""
        return cards.find(ENCODERS, self.encoder).make(**self.fields)


class Projection(nn.Module):
    """Features (B, D) -> (B, widths[-1]): linear layers with batch normalization, and ReLUs between them.

    The last normalization has a scale but no bias.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        for i, width in enumerate(self.widths, start=1):
            last = i == len(self.widths)
            x = nn.Dense(width, use_bias=False, kernel_init=nn.initializers.normal(0.01), name=f"dense{i}")(x)
            x = batch_norm(x, train=train, use_bias=not last, name=f"norm{i}")
            if not last:
                x = nn.relu(x)
        return x


class SimCLR(nn.Module):
    """x (B, H, W, C) -> projections (B, P). Collections: params, batch_stats.

    Parameters: "encoder", without the encoder's own head, and "head". Training an encoder that has dropout needs the
    rng "dropout".
    """

    cfg: Config

    def setup(self) -> None:
        self.encoder: Any = self.cfg.make_encoder()
        self.head = Projection(self.cfg.widths)

    def __call__(self, x: Array, *, train: bool) -> Array:
        h = self.represent(x, train=train)
        return self.head(h, train=train)

    def represent(self, x: Array, *, train: bool) -> Array:
        """Return the features (B, D) before the projection head, which the paper calls h."""
        return self.encoder.represent(x, train=train)


PAPER = Paper(
    title="A simple framework for contrastive learning of visual representations",
    authors="T. Chen, S. Kornblith, M. Norouzi, G. Hinton",
    venue="ICML 2020",
    id="2002.05709",
)


HEAD = "Both layers of the head are normalized, as in the authors' code; the paper's formula has no normalization."
CIFAR = {"stem_kernel": 3, "stem_stride": 1, "stem_pool": False}  # appendix B.9


def _card(name: str, config: Config, *, size: int, params: int, flops: int, differences: str = "") -> Card:
    return Card(
        name=name,
        family="simclr",
        year=2020,
        paper=PAPER,
        idea="Two random views of an image are trained to have similar projections; no labels, no memory bank.",
        module=SimCLR,
        config=config,
        inputs=image(size, size, 3),
        output=config.widths[-1:],
        params=params,
        flops=flops,
        differences=f"{differences} {HEAD}".lstrip(),
        initial_values="The paper gives none: convolutions have He's variance by fan-out, where the authors' code has "
        "variance 1 / fan-in; the head's weights are normal with deviation 0.01, as there. In that code the last scale "
        "of a block starts at 0, as in simclr_resnet50 here, and with zero_init_last_scale in the others.",
        parents={"resnet50": "the encoder"},
    )


CARDS = [
    _card(
        "simclr_resnet50",
        Config(encoder="resnet50", fields={"stride_in_3x3": True, "zero_init_last_scale": True}),
        size=224,
        params=27_968_704,
        flops=8_183_185_408,
    ),
    _card(
        "simclr_resnet20",
        Config(encoder="resnet20", widths=(64, 64)),
        size=32,
        params=277_456,
        flops=81_117_184,
        differences="Not in the paper: the CIFAR-10 network of He et al. 2015, section 4.2, as a small encoder.",
    ),
    _card(
        "simclr_resnet18_cifar",
        Config(encoder="resnet18", fields=CIFAR, widths=(512, 128)),
        size=32,
        params=11_497_664,
        flops=1_111_490_560,
        differences="Appendix B.9 with ResNet-18 instead of ResNet-50.",
    ),
    _card(
        "simclr_resnet18",
        Config(encoder="resnet18", widths=(512, 128)),
        size=224,
        params=11_505_344,
        flops=3_627_778_048,
        differences="ResNet-18, which the paper compares in Figure 7, instead of ResNet-50.",
    ),
]
