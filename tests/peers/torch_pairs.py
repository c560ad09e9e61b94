"""The zoo's generators and discriminators in plain PyTorch: z (B, Z) -> images (B, C, H, W), images -> logits (B,)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LATENT = 100
DCGAN_28 = (128, 64)  # channels of the generator before those of the image


class Maxout(nn.Module):
    """x (B, I) -> (B, units), the largest of `pieces` linear functions."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(inputs, units * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


class Logit(nn.Module):
    """x (B, I) -> (B,)."""

    def __init__(self, inputs: int, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)[:, 0]


def gan_generator() -> nn.Module:
    return nn.Sequential(
        nn.Linear(LATENT, 1200),
        nn.ReLU(),
        nn.Linear(1200, 1200),
        nn.ReLU(),
        nn.Linear(1200, 784),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 28, 28)),
    )


def gan_discriminator() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(0.2),
        Maxout(784, 240, 5),
        nn.Dropout(0.5),
        Maxout(240, 240, 5),
        nn.Dropout(0.5),
        Logit(240, bias=True),
    )


def dcgan_generator(widths: tuple[int, ...] = DCGAN_28, base: int = 7) -> nn.Module:
    first = widths[0]
    layers = [nn.Linear(LATENT, first * base**2, bias=False), nn.Unflatten(1, (first, base, base))]
    for width, following in zip(widths, (*widths[1:], 1), strict=True):
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False)]
    return _small_weights(nn.Sequential(*layers, nn.Tanh()))


def dcgan_discriminator(widths: tuple[int, ...] = DCGAN_28[::-1], base: int = 7) -> nn.Module:
    layers, inputs = [], 1
    for i, width in enumerate(widths):
        layers.append(nn.Conv2d(inputs, width, 4, 2, 1, bias=False))
        if i > 0:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.LeakyReLU(0.2))
        inputs = width
    return _small_weights(nn.Sequential(*layers, nn.Flatten(), Logit(inputs * base**2, bias=False)))


def _small_weights(network: nn.Sequential) -> nn.Sequential:
    """Section 4 of the paper."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.02)
    return network


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], float]] = {  # generator, discriminator, low
    "gan": (gan_generator, gan_discriminator, 0.0),
    "dcgan_28": (dcgan_generator, dcgan_discriminator, -1.0),
}
"""The third entry is the smallest value of a pixel; the largest is 1."""


def pose(name: str, batch: int, channels_last: bool = False) -> list[tuple[nn.Module, Callable[[], Tensor]]]:
    """The two halves of a step on one random batch: discriminator and its loss, then generator and its loss.

    Both draw new noise at each step. The discriminator sees real and generated images as two batches.
    """
    build_generator, build_discriminator, low = MODELS[name]
    generator, discriminator = build_generator(), build_discriminator()
    real = low + (1 - low) * torch.rand(batch, 1, 28, 28)
    if channels_last:
        generator, discriminator = (
            network.to(memory_format=torch.channels_last) for network in (generator, discriminator)
        )
        real = real.to(memory_format=torch.channels_last)

    def noise() -> Tensor:
        return torch.randn(batch, LATENT) if low == 0 else 2 * torch.rand(batch, LATENT) - 1

    def discriminator_loss() -> Tensor:
        with torch.no_grad():
            fake = generator(noise())
        return F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake)).mean()

    def generator_loss() -> Tensor:
        return F.softplus(-discriminator(generator(noise()))).mean()

    return [(discriminator, discriminator_loss), (generator, generator_loss)]
