"""Published networks with random weights: built by their own libraries, saved by their own functions, run in float64.

Batch statistics and the scales of norms are random too: at their initial 0 and 1 a wrong epsilon or a statistic in the
wrong place would not show. Biases are random for the same reason.
"""

import contextlib
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

# Published torchvision wheels are built for CUDA and find no operators beside the CPU build of PyTorch. Its models
# need none; it only has to find their names.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
with contextlib.suppress(RuntimeError):
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

BOUND = 1e-5
"""Largest relative error allowed: of the largest magnitude in an array, float32 here against float64 there."""


def randomized(model: nn.Module, seed: int = 0, faint: Sequence[str] = ()) -> nn.Module:
    """Every number of `model` drawn anew, in a range in which signals neither die nor grow; evaluation mode.

    faint: what these patterns of names match is a hundred times smaller. With it on all that adds to the stream of a
    Transformer the variances that its norms divide by are small, so that their epsilons count.
    """
    draw = torch.Generator().manual_seed(seed)

    def normal(array: torch.Tensor, std: float, mean: float = 0.0) -> None:
        array.data.copy_(mean + std * torch.randn(array.shape, generator=draw))

    for part in model.modules():
        for name, array in part.named_parameters(recurse=False):
            if "Norm" in type(part).__name__:
                normal(array, 0.3, mean=1.0 if name == "weight" else 0.0)
            elif array.ndim > 1:
                fan_in = array[0].numel() if not isinstance(part, nn.Embedding) else 1
                normal(array, fan_in**-0.5)
            else:
                normal(array, 0.1)
        for name, array in part.named_buffers(recurse=False):
            if name == "running_mean":
                normal(array, 0.2)
            elif name == "running_var":
                array.data.copy_(0.5 + torch.rand(array.shape, generator=draw))
    for name, array in model.named_parameters():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in faint):
            array.data *= 0.01
    return model.eval()


def saved(model: nn.Module, path: Path, rename: Callable[[str], str] = str) -> Path:
    """`state_dict` as a safetensors file, the way everyone converts one."""
    save_file({rename(name): array.clone().contiguous() for name, array in model.state_dict().items()}, path)
    return path


def nchw(x: np.ndarray) -> torch.Tensor:
    """(B, H, W, C) -> double (B, C, H, W)."""
    return torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def run(model: nn.Module, *inputs: Any, inside: Mapping[str, str] | None = None, **named: Any) -> dict[str, np.ndarray]:
    """The output of `model` in float64 as "output", and what the submodules `inside` made: {our path: their name}."""
    model, seen = model.double(), {}

    def keep(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            value = value.clone()  # the activation that follows may overwrite it
            seen[path] = (nhwc(value) if value.ndim == 4 else value).numpy()

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(path)) for path, name in (inside or {}).items()]
    with torch.no_grad():
        output = model(*inputs, **named)
    for hook in hooks:
        hook.remove()
    output = getattr(output, "logits", output)
    return {"output": output.numpy() if isinstance(output, torch.Tensor) else output, **seen}


def error(ours: Any, theirs: Any) -> float:
    """Largest difference, relative to the largest magnitude."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    assert np.abs(theirs - theirs[:1]).max() > 1e-2 * np.abs(theirs).max(), "the same for every example: shows nothing"
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def errors(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """Of every array that the reference gave."""
    return {path: error(ours[path], value) for path, value in theirs.items()}


def ours(loaded: Any, *inputs: np.ndarray) -> dict[str, Any]:
    """Output and everything inside, of a `zoo.load_model`."""
    import zoo

    output, inside = zoo.features(loaded.model, loaded.variables, *inputs)
    return {"output": output, **inside}


def images(size: int = 32, channels: int = 3, batch: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, size, size, channels)).astype(np.float32)
