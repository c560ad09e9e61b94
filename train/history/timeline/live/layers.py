"""From a model and its variables to a list of layers, which one small interpreter (web/nets.js) computes.

A layer is a dict: "op" says which, its other entries are plain numbers and words. Arrays are left out of it: they go to
a Packer in the order in which the interpreter takes them. Normalization with running statistics is folded into
the convolution or dense layer in front of it, whose outputs it scales and shifts.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from train.history.timeline.live.packing import Packer
from zoo import alexnet, lenet, mlp, perceptron, resnet, vit
from zoo.convolution import Padding, pads, pair
from zoo.errors import UserError

Layer = dict[str, Any]
Shape = tuple[int, int, int]  # height, width, channels
NORM_EPSILON = 1e-5  # of `zoo.layers.batch_norm`


def layers_of(model: Any, variables: Mapping[str, Any], shape: Shape, packer: Packer) -> list[Layer]:
    """Return the layers from an image of `shape` to the logits. UserError for a model that has no such list."""
    for kind, build in BUILDERS.items():
        if type(model) is kind:
            net = _Net(variables, shape, packer)
            build(net, model.cfg)
            return net.layers
    names = ", ".join(sorted(kind.__module__.removeprefix("zoo.") for kind in BUILDERS))
    raise UserError(f"{type(model).__name__} cannot be shown live: the page computes networks of {names}")


class _Net:
    """The layers so far, and the shape of their output."""

    def __init__(self, variables: Mapping[str, Any], shape: Shape, packer: Packer) -> None:
        self.variables, self.packer = variables, packer
        self.layers: list[Layer] = []
        self.shape: tuple[int, ...] = shape

    def add(self, op: str, **facts: Any) -> None:
        self.layers.append({"op": op, **facts})

    def array(self, path: str, collection: str = "params") -> np.ndarray:
        found = self.variables[collection]
        for name in path.split("/"):
            found = found[name]
        return np.asarray(found, np.float32)

    def linear(self, path: str, norm: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Return kernel (..., outputs) and bias (outputs,) of a layer, with the normalization `norm` folded in."""
        kernel = self.array(f"{path}/kernel")
        own = functools.reduce(lambda tree, name: tree[name], path.split("/"), self.variables["params"])
        bias = self.array(f"{path}/bias") if "bias" in own else np.zeros(kernel.shape[-1], np.float32)
        if not norm:
            return kernel, bias
        scale = self.array(f"{norm}/scale") / np.sqrt(self.array(f"{norm}/var", "batch_stats") + NORM_EPSILON)
        mean, shift = self.array(f"{norm}/mean", "batch_stats"), self.array(f"{norm}/bias")
        return kernel * scale, (bias - mean) * scale + shift

    def dense(self, path: str, norm: str = "") -> None:
        """Apply a dense layer to the last axis."""
        kernel, bias = self.linear(path, norm)
        self.packer.weights(kernel.T, bias)
        self.add("dense", inputs=kernel.shape[0], outputs=kernel.shape[1])
        self.shape = (*self.shape[:-1], kernel.shape[1])

    def conv(self, path: str, stride: int = 1, padding: Padding = "SAME", norm: str = "") -> None:
        self.convolve(*self.linear(path, norm), stride, padding)

    def convolve(self, kernel: np.ndarray, bias: np.ndarray, stride: int, padding: Padding) -> None:
        """Apply a kernel (height, width, inputs, outputs)."""
        window, step = kernel.shape[:2], pair(stride)
        border = pads(padding, self.shape[:2], window, step)
        self.packer.weights(kernel.transpose(3, 0, 1, 2), bias)
        facts = {"kernel": list(window), "stride": list(step), "pad": [list(sides) for sides in border]}
        self.add("conv", inputs=kernel.shape[2], outputs=kernel.shape[3], **facts)
        self.shape = (*self._windows(window, step, border), kernel.shape[3])

    def pool(self, kind: str, window: int, stride: int, padding: Padding = 0) -> None:
        size, step = pair(window), pair(stride)
        border = pads(padding, self.shape[:2], size, step)
        facts = {"kernel": list(size), "stride": list(step), "pad": [list(sides) for sides in border]}
        self.add("pool", kind=kind, **facts)
        self.shape = (*self._windows(size, step, border), self.shape[2])

    def _windows(self, window: Sequence[int], stride: Sequence[int], border: Any) -> tuple[int, ...]:
        sizes = zip(self.shape[:2], window, stride, border, strict=True)
        return tuple((n + sum(sides) - size) // step + 1 for n, size, step, sides in sizes)

    def activation(self, name: str, **facts: Any) -> None:
        self.add("activation", name=name, **facts)

    def shows(self, name: str) -> None:
        """Give the maps of the last layer a name by which the page shows them."""
        self.layers[-1]["shows"] = name

    def flatten(self) -> None:
        self.add("flatten")
        self.shape = (int(np.prod(self.shape)),)

    def mean(self) -> None:
        """Take the mean over all axes but the last."""
        self.add("mean")
        self.shape = self.shape[-1:]

    def norm(self, path: str, epsilon: float) -> None:
        """Normalize over the last axis (LayerNorm)."""
        self.packer.floats(self.array(f"{path}/scale"))
        self.packer.floats(self.array(f"{path}/bias"))
        self.add("layer_norm", size=self.shape[-1], epsilon=epsilon)

    def branch(self, build: Callable[[], None]) -> list[Layer]:
        """Return the layers that `build` adds, out of the list."""
        kept, self.layers = self.layers, []
        build()
        made, self.layers = self.layers, kept
        return made

    def shortcut(self, main: Callable[[], None], side: Callable[[], None] = lambda: None) -> None:
        """Add the outputs of two branches with the same input; by default one of them is the input itself."""
        start = self.shape
        inner = self.branch(main)
        end, self.shape = self.shape, start
        around = self.branch(side)
        assert self.shape == end, f"{self.shape} is added to {end}"
        self.add("add", main=inner, side=around)


def _perceptron(net: _Net, cfg: perceptron.Config) -> None:
    net.flatten()
    net.dense("head")


def _mlp(net: _Net, cfg: mlp.Config) -> None:
    net.flatten()
    for i in range(len(cfg.widths)):
        net.dense(f"hidden{i}", norm=f"norm{i}" if cfg.batch_norm else "")
        net.activation(cfg.activation)
    net.dense("head")


def _lenet(net: _Net, cfg: lenet.Config) -> None:
    for conv, pool in (("c1", "S2"), ("c3", "S4")):
        net.conv(conv, padding="VALID")
        net.activation(cfg.activation)
        net.shows(conv.upper())
        net.pool(cfg.pooling, 2, 2)
        net.shows(pool)
    net.flatten()
    for name in ("c5", "f6"):
        net.dense(name)
        net.activation(cfg.activation)
    net.dense("head")


def _alexnet(net: _Net, cfg: alexnet.CifarConfig) -> None:
    border = ((0, 1), (0, 1))
    for number, kind in ((1, "max"), (2, "average"), (3, "average")):
        net.conv(f"conv{number}")
        if kind == "max":
            net.pool(kind, 3, 2, border)
        net.activation(cfg.activation)
        net.shows(f"conv{number}")
        if kind == "average":
            net.pool(kind, 3, 2, border)
    net.flatten()
    net.dense("head")


def _resnet(net: _Net, cfg: resnet.Config) -> None:
    net.conv("stem/conv", cfg.stem_stride, cfg.stem_kernel // 2, norm="stem/norm")
    net.activation("relu")
    if cfg.stem_pool:
        net.pool("max", 3, 2, 1)
    for stage, (depth, width) in enumerate(zip(cfg.depths, cfg.widths, strict=True)):
        for block in range(depth):
            _block(net, cfg, f"s{stage}b{block}", width, 2 if stage > 0 and block == 0 else 1)
    net.mean()
    net.dense("head")


def _block(net: _Net, cfg: resnet.Config, path: str, width: int, stride: int) -> None:
    first, second = (1, stride) if cfg.stride_in_3x3 else (stride, 1)
    steps = [(1, first), (3, second), (1, 1)] if cfg.bottleneck else [(3, stride), (3, 1)]
    outputs, changes = width * (4 if cfg.bottleneck else 1), stride > 1

    def main() -> None:
        for number, (kernel, step) in enumerate(steps, start=1):
            net.conv(f"{path}/conv{number}", step, kernel // 2, norm=f"{path}/norm{number}")
            if number < len(steps):
                net.activation("relu")

    def side() -> None:
        if not changes and net.shape[-1] == outputs:
            return
        if cfg.shortcut == "A":
            net.add("subsample", stride=stride, outputs=outputs)
            net.shape = (-(-net.shape[0] // stride), -(-net.shape[1] // stride), outputs)
        else:
            net.conv(f"{path}/shortcut_conv", stride, 0, norm=f"{path}/shortcut_norm")

    if cfg.shortcut == "none":
        main()
    else:
        net.shortcut(main, side)
    net.activation("relu")


def _vit(net: _Net, cfg: vit.Config) -> None:
    kernel, bias = net.linear("embed")
    net.convolve(kernel.reshape(cfg.patch, cfg.patch, net.shape[2], cfg.width), bias, cfg.patch, "VALID")
    tokens, token = net.shape[0] * net.shape[1], cfg.pool == "token"
    if cfg.positions == "sine":
        table = np.asarray(vit.sine_positions((net.shape[0], net.shape[1]), cfg.width))[0]
        table = np.concatenate([np.zeros((int(token), cfg.width), np.float32), table])
    else:
        table = net.array("positions")[0]
    if token:  # the class token only ever stands with its own position
        table = table.copy()
        table[0] += net.array("token")[0, 0]
    net.packer.floats(table)
    net.add("tokens", first=token, tokens=tokens + int(token), size=cfg.width)
    net.shape = (tokens + int(token), cfg.width)
    for i in range(cfg.depth):
        net.shortcut(functools.partial(_attend, net, cfg, f"block{i}"))
        net.shortcut(functools.partial(_feed_forward, net, cfg, f"block{i}"))
    net.norm("norm", cfg.norm_epsilon)
    net.add("first" if token else "mean")
    net.shape = (cfg.width,)
    if cfg.representation:
        net.dense("representation")
        net.activation("tanh")
    net.dense("head")


def _attend(net: _Net, cfg: vit.Config, path: str) -> None:
    net.norm(f"{path}/norm1", cfg.norm_epsilon)
    net.dense(f"{path}/attention/qkv")
    net.add("attention", heads=cfg.heads)
    net.shape = (net.shape[0], cfg.width)
    net.dense(f"{path}/attention/out")


def _feed_forward(net: _Net, cfg: vit.Config, path: str) -> None:
    net.norm(f"{path}/norm2", cfg.norm_epsilon)
    net.dense(f"{path}/mlp/up")
    net.activation("gelu" if cfg.gelu == "exact" else "gelu_tanh")
    net.dense(f"{path}/mlp/down")


BUILDERS: dict[type, Callable[[_Net, Any], None]] = {
    perceptron.Perceptron: _perceptron,
    mlp.MLP: _mlp,
    lenet.LeNet5: _lenet,
    alexnet.Cifar: _alexnet,
    resnet.ResNet: _resnet,
    vit.ViT: _vit,
}
