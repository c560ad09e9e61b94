"""The zoo's image models in plain PyTorch: x (B, C, H, W) -> logits (B, classes), and SimCLR's projections (B, P)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ScaledTanh(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


class Planes(nn.Module):
    """Twelve maps of half the size by 5x5 kernels and a bias for each unit; seen: the channels of each equal part."""

    def __init__(self, seen: tuple[tuple[int, ...], ...], side: int) -> None:
        super().__init__()
        self.seen = seen
        self.kernel = nn.Parameter(torch.randn(12, len(seen[0]), 5, 5) / 5)
        self.bias = nn.Parameter(torch.zeros(12, side, side))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (2, 2, 2, 2), value=-1.0)
        parts = zip(self.seen, self.kernel.chunk(len(self.seen)), strict=True)
        return torch.tanh(torch.cat([F.conv2d(x[:, list(own)], part, stride=2) for own, part in parts], 1) + self.bias)


def lecun1989() -> nn.Module:
    seen = (tuple(range(8)), tuple(range(4, 12)), (*range(4), *range(8, 12)))
    dense = (nn.Flatten(), nn.Linear(192, 30), nn.Tanh(), nn.Linear(30, 10), nn.Tanh())
    return nn.Sequential(Planes(((0,),), 8), Planes(seen, 4), *dense)


def lenet5() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        ScaledTanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        ScaledTanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        ScaledTanh(),
        nn.Linear(120, 84),
        ScaledTanh(),
        nn.Linear(84, 10),
    )


def alexnet_cifar() -> nn.Module:
    # ceil_mode lets the last window reach over the border, as in the zoo; its mean leaves the border out.
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.ReLU(),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )


def vgg_mini() -> nn.Module:
    layers, inputs = [], 3
    for width in (32, 64, 64):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        inputs = width
    dense = (nn.Linear(1024, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 128), nn.ReLU(), nn.Dropout())
    network = nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(128, 10))
    for module in network:
        if isinstance(module, nn.Linear | nn.Conv2d):  # with PyTorch's own values the signal dies in nine layers
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return network


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: zero-padded for CIFAR (option A), projected for ImageNet (B)."""

    def __init__(self, inputs: int, outputs: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.grow = stride, outputs - inputs
        self.project = None
        if project and self.grow:
            self.project = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.project is not None:
            x = self.project(x)
        elif self.grow:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grow))
        return F.relu(x + y)


def resnet(stem: list[nn.Module], blocks: int, widths: list[int], classes: int, project: bool) -> nn.Module:
    layers = [*stem, nn.BatchNorm2d(widths[0]), nn.ReLU()]
    if project:
        layers.append(nn.MaxPool2d(3, 2, 1))
    inputs = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(Block(inputs, width, 2 if stage and not block else 1, project))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


def resnet20() -> nn.Module:
    return resnet([nn.Conv2d(3, 16, 3, padding=1, bias=False)], 3, [16, 32, 64], 10, project=False)


class SimCLR(nn.Module):
    """x (B, C, H, W) -> projections (B, 64): ResNet-20 without its head, two linear layers with batch normalization."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.encoder = resnet20()[:-1]
        last = nn.BatchNorm1d(width)
        last.register_parameter("bias", None)  # a scale alone
        self.head = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width, bias=False),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def nt_xent(projections: Tensor, temperature: float = 0.5) -> Tensor:
    """projections (2B, P), the two views of an image next to each other -> mean cross entropy of finding the other."""
    unit = F.normalize(projections, dim=1)
    count = len(unit)
    itself = torch.eye(count, dtype=torch.bool)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    return F.cross_entropy(similarity, torch.arange(count) ^ 1)


def resnet18() -> nn.Module:
    return resnet([nn.Conv2d(3, 64, 7, 2, 3, bias=False)], 2, [64, 128, 256, 512], 1000, project=True)


class ViT(nn.Module):
    """Pre-norm encoder over patches and a class token, learned positions."""

    def __init__(self, size: int, patch: int, width: int, depth: int, heads: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(
            width,
            heads,
            4 * width,
            dropout=0.0,
            activation="gelu",
            layer_norm_eps=1e-6,
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(width, eps=1e-6)
        self.encoder = nn.TransformerEncoder(layer, depth, norm, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


def vit_mini_patch4() -> nn.Module:
    return ViT(32, 4, 128, 6, 4, 10)


class UNet(nn.Module):
    """Two levels of padded convolutions; the logits of each pixel are the last axis."""

    def __init__(self, channels: int, width: int, depth: int, classes: int) -> None:
        super().__init__()
        sizes = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(two(a, b) for a, b in zip([channels, *sizes[:-1]], sizes, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * size, size, 2, 2) for size in sizes[-2::-1])
        self.join = nn.ModuleList(two(2 * size, size) for size in sizes[-2::-1])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skipped = []
        for number, down in enumerate(self.down):
            x = down(x if number == 0 else F.max_pool2d(x, 2))
            skipped.append(x)
        for up, join, own in zip(self.up, self.join, skipped[-2::-1], strict=True):
            x = join(torch.cat([own, up(x)], 1))
        return self.head(x)


def two(seen: int, features: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(seen, features, 3, padding=1), nn.ReLU(), nn.Conv2d(features, features, 3, padding=1), nn.ReLU()
    )


def unet_mini() -> nn.Module:
    return UNet(1, 16, 2, 11)


class FCN(nn.Module):
    """Three stages; the coarse scores are doubled twice, each time an earlier map is scored and added."""

    def __init__(self) -> None:
        super().__init__()
        conv = lambda a, b, size=3: nn.Sequential(nn.Conv2d(a, b, size, padding=size // 2), nn.ReLU())  # noqa: E731
        self.stages = nn.ModuleList([conv(1, 16), conv(16, 32), nn.Sequential(conv(32, 64), conv(64, 64))])
        self.dense = nn.Sequential(conv(64, 128), conv(128, 128, 1))
        self.scores = nn.ModuleList(nn.Conv2d(seen, 11, 1) for seen in (128, 32, 16))
        self.up = nn.ModuleList(nn.ConvTranspose2d(11, 11, 4, 2, 1, bias=False) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        pooled, size = [], x.shape[-2:]
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
            pooled.append(x)
        y = self.scores[0](self.dense(x))
        for up, score, own in zip(self.up, self.scores[1:], pooled[1::-1], strict=True):
            y = up(y) + score(own)
        return F.interpolate(y, size, mode="bilinear")


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], int]] = {  # builder, image (C, H, W), outputs
    "perceptron": (perceptron, (1, 28, 28), 10),
    "mlp": (mlp, (1, 28, 28), 10),
    "lecun1989": (lecun1989, (1, 16, 16), 10),
    "lenet5": (lenet5, (1, 32, 32), 10),
    "alexnet_cifar": (alexnet_cifar, (3, 32, 32), 10),
    "vgg_mini": (vgg_mini, (3, 32, 32), 10),
    "resnet20": (resnet20, (3, 32, 32), 10),
    "resnet18": (resnet18, (3, 224, 224), 1000),
    "vit_mini_patch4": (vit_mini_patch4, (3, 32, 32), 10),
    "simclr_resnet20": (SimCLR, (3, 32, 32), 64),
    "unet_mini": (unet_mini, (1, 32, 32), 11),
    "fcn_mini": (FCN, (1, 32, 32), 11),
}


def pose(name: str, batch: int, channels_last: bool = False) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The model, and its loss on one random batch; of SimCLR on two views of each image."""
    build, shape, classes = MODELS[name]
    model = build()
    x = torch.randn(2 * batch if build is SimCLR else batch, *shape)
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if build is SimCLR:
        return model, lambda: nt_xent(model(x))
    y = torch.randint(classes, (batch,))
    return model, lambda: F.cross_entropy(model(x), y)
