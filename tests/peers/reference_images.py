"""The published image networks that no library has: their usual code, with exactly its names, in plain PyTorch.

LeNet-5 of PyTorch's tutorials, the Q-networks of CleanRL and Stable-Baselines3, PyTorch's DCGAN example, the ResNet of
akamaster/pytorch_resnet_cifar10, and Google's ViT, whose own code is JAX's: here over its names.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def convolutions() -> list[nn.Module]:
    return [
        nn.Conv2d(4, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, 1),
        nn.ReLU(),
        nn.Flatten(),
    ]


class CleanRL(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.network = nn.Sequential(*convolutions(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, actions))

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class NatureCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(*convolutions())
        self.linear = nn.Sequential(nn.Linear(3136, 512), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.cnn(x))


class BaselinesQ(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.features_extractor, self.q_net = NatureCNN(), nn.Sequential(nn.Linear(512, actions))

    def forward(self, x: Tensor) -> Tensor:
        return self.q_net(self.features_extractor(x))


class Baselines(nn.Module):
    """The policy that Stable-Baselines3 saves: the network and its target."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.q_net, self.q_net_target = BaselinesQ(actions), BaselinesQ(actions)

    def forward(self, x: Tensor) -> Tensor:
        return self.q_net(x)


class Generator(nn.Module):
    def __init__(self, latent: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, 1, 0, bias=False)]
        for before, after in zip(widths, (*widths[1:], 3), strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z[:, :, None, None])


class Discriminator(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x).flatten()


class CifarBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.stride, self.grow = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grow:
            # That code puts half of the new channels before the old ones and half behind.
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.grow // 2, self.grow // 2))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inputs = 16
        for stage, width in enumerate((16, 32, 64)):
            layer = []
            for block in range(blocks):
                layer.append(CifarBlock(inputs, width, 2 if stage and not block else 1))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


def google_vit_arrays(
    patch: int, width: int, depth: int, heads: int, size: int, classes: int, seed: int
) -> dict[str, Tensor]:
    """Random arrays with the names and shapes of github.com/google-research/vision_transformer, in float32."""
    draw, head = torch.Generator().manual_seed(seed), width // heads

    def normal(*shape: int, std: float) -> Tensor:
        return std * torch.randn(shape, generator=draw)

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}/scale": 1 + normal(width, std=0.3), f"{name}/bias": normal(width, std=0.3)}

    def dense(name: str, *shape: int, inputs: int, outputs: tuple[int, ...]) -> dict[str, Tensor]:
        return {f"{name}/kernel": normal(*shape, std=inputs**-0.5), f"{name}/bias": normal(*outputs, std=0.1)}

    pixels = patch * patch * 3
    arrays = {
        "cls": normal(1, 1, width, std=1.0),
        "Transformer/posembed_input/pos_embedding": normal(1, (size // patch) ** 2 + 1, width, std=1.0),
        **dense("embedding", patch, patch, 3, width, inputs=pixels, outputs=(width,)),
        **dense("head", width, classes, inputs=width, outputs=(classes,)),
        **norm("Transformer/encoder_norm"),
    }
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for name in ("query", "key", "value"):
            arrays |= dense(f"{attention}/{name}", width, heads, head, inputs=width, outputs=(heads, head))
        arrays |= dense(f"{attention}/out", heads, head, width, inputs=width, outputs=(width,))
        arrays |= dense(f"{block}/MlpBlock_3/Dense_0", width, 4 * width, inputs=width, outputs=(4 * width,))
        arrays |= dense(f"{block}/MlpBlock_3/Dense_1", 4 * width, width, inputs=4 * width, outputs=(width,))
        arrays |= norm(f"{block}/LayerNorm_0") | norm(f"{block}/LayerNorm_2")
    return arrays


def google_vit(arrays: dict[str, Tensor], x: Tensor, depth: int) -> dict[str, Tensor]:
    """x (B, H, W, C) double -> "output" (B, classes) and "norm" (B, T, D), in float64: JAX's default GELU (tanh)."""
    a = {name: array.double() for name, array in arrays.items()}

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], a[f"{name}/scale"], a[f"{name}/bias"], eps=1e-6)

    kernel = a["embedding/kernel"]
    b, h, w, c = x.shape
    p = kernel.shape[0]
    cut = x.reshape(b, h // p, p, w // p, p, c)
    x = torch.einsum("bhpwqc,pqcd->bhwd", cut, kernel).flatten(1, 2) + a["embedding/bias"]
    x = torch.cat([a["cls"].expand(b, -1, -1), x], 1) + a["Transformer/posembed_input/pos_embedding"]
    for i in range(depth):
        block = f"Transformer/encoderblock_{i}"
        attention, mlp = f"{block}/MultiHeadDotProductAttention_1", f"{block}/MlpBlock_3"
        y = norm(x, f"{block}/LayerNorm_0")
        q, k, v = (
            torch.einsum("btd,dhe->bhte", y, a[f"{attention}/{n}/kernel"]) + a[f"{attention}/{n}/bias"][:, None]
            for n in ("query", "key", "value")
        )
        y = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        x = x + torch.einsum("bhte,hed->btd", y, a[f"{attention}/out/kernel"]) + a[f"{attention}/out/bias"]
        y = norm(x, f"{block}/LayerNorm_2") @ a[f"{mlp}/Dense_0/kernel"] + a[f"{mlp}/Dense_0/bias"]
        x = x + F.gelu(y, approximate="tanh") @ a[f"{mlp}/Dense_1/kernel"] + a[f"{mlp}/Dense_1/bias"]
    x = norm(x, "Transformer/encoder_norm")
    y = x[:, 0]
    if "pre_logits/kernel" in a:
        y = torch.tanh(y @ a["pre_logits/kernel"] + a["pre_logits/bias"])
    return {"output": y @ a["head/kernel"] + a["head/bias"], "norm": x}
