"""SimCLR (Chen et al. 2020, arXiv:2002.05709): an encoder learns without labels to tell views of one image from others.

x (B, H, W, C) float -> projections (B, P), compared by the loss; `represent` gives the features that one keeps.
Section 2.1; projection head: the authors' code (github.com/google-research/simclr), which normalizes both layers.
Departs: see the cards.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import linen as nn
from flax.core import FrozenDict
from jax import Array

from zoo import cards, resnet, vit
from zoo.cards import Card, Paper, image
from zoo.fields import demand

ENCODERS: Mapping[str, Card] = cards.catalogue([resnet, vit])
"""Every model that can be an encoder by name: those with a method `represent`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture: an encoder of the zoo and a projection head. UserError where the zoo has no such encoder, or
    the encoder no such field.
    """

    encoder: str = "resnet50"
    fields: Mapping[str, Any] = FrozenDict()  # of the encoder's Config, changed; its classes have no effect here
    widths: tuple[int, ...] = (2048, 128)  # of the projection head; the last is P

    def __post_init__(self) -> None:
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in self.fields.items()}  # from JSON
        object.__setattr__(self, "fields", FrozenDict(fields))  # hashable, as a module's fields must be
        self.make_encoder()
        counts = all(isinstance(width, int) and width > 0 for width in self.widths)
        demand(bool(self.widths) and counts, "simclr", "widths", "a tuple of positive integers", self.widths)

    def make_encoder(self) -> nn.Module:
        """The encoder with its fields."""
        return cards.find(ENCODERS, self.encoder).make(**self.fields)


class Projection(nn.Module):
    """Features (B, D) -> (B, widths[-1]): linear layers with batch normalization, rectified in between.

    The last normalization scales but does not shift.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        for i, width in enumerate(self.widths, start=1):
            last = i == len(self.widths)
            x = nn.Dense(width, use_bias=False, kernel_init=nn.initializers.normal(0.01), name=f"dense{i}")(x)
            norm = nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, use_bias=not last, name=f"norm{i}")
            x = norm(x) if last else nn.relu(norm(x))
        return x


class SimCLR(nn.Module):
    """x (B, H, W, C) -> projections (B, P). Parameters: "encoder", those of the encoder without its head, and "head".

    Collections: params, batch_stats. An encoder with dropout needs the rng "dropout" in training.
    """

    cfg: Config

    def setup(self) -> None:
        self.encoder = self.cfg.make_encoder()
        self.head = Projection(self.cfg.widths)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.head(self.represent(x, train=train), train=train)

    def represent(self, x: Array, *, train: bool) -> Array:
        """x (B, H, W, C) -> features (B, D) before the projection head: what the paper calls h."""
        return self.encoder.represent(x, train=train)


PAPER = Paper(
    title="A simple framework for contrastive learning of visual representations",
    authors="T. Chen, S. Kornblith, M. Norouzi, G. Hinton",
    venue="ICML 2020",
    id="2002.05709",
)


def _card(name: str, config: Config, size: int, params: int, flops: int, departs: str = "") -> Card:
    idea = "Two random views of an image must be nearest in a projection thrown away later; no labels, no memory bank."
    inputs, output = image(size, size, 3), config.widths[-1:]
    parents = {"resnet50": "the encoder"}
    return Card(name, "simclr", 2020, PAPER, idea, SimCLR, config, inputs, output, params, flops, departs, parents)


CIFAR = {"stem_kernel": 3, "stem_stride": 1, "stem_pool": False}  # appendix B.9
CARDS = [
    _card("simclr_resnet20", Config("resnet20", {}, (64, 64)), 32, 277_456, 81_117_184,
          "Not in the paper: the CIFAR-10 net of He et al. 2015, section 4.2, as a small encoder."),
    _card("simclr_resnet18_cifar", Config("resnet18", CIFAR, (512, 128)), 32, 11_497_664, 1_111_490_560,
          "Appendix B.9 with a ResNet-18 for its ResNet-50."),
    _card("simclr_resnet18", Config("resnet18", {}, (512, 128)), 224, 11_505_344, 3_627_778_048,
          "ResNet-18, which the paper compares in Figure 7, for its ResNet-50."),
    _card("simclr_resnet50", Config("resnet50", {"stride_in_3x3": True}), 224, 27_968_704, 8_183_185_408),
]  # fmt: skip
