"""Weights made to fit another input or another task: channels, image size, a new head. The rest is kept as it is."""

import dataclasses
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

from zoo.errors import UserError
from zoo.vit import resample_positions
from zoo.weights.layout import Layout
from zoo.weights.preprocessing import Images
from zoo.weights.rules import Rule

Size = int | tuple[int, int]


def to_input(
    arrays: MutableMapping[str, jax.Array],
    module: nn.Module,
    layout: Layout,
    rules: Sequence[Rule],
    channels: int | None,
    size: Size | None,
) -> None:
    """Change the arrays, by path, that depend on the image: in place."""
    if channels is not None:
        path = _path(layout.first, rules, "channels", module)
        patch = getattr(module.cfg, "patch", None)
        arrays[path] = with_channels(arrays[path], channels, patch)
    if size is not None:
        path = _path(layout.positions, rules, "size", module)
        height, width = pair(size)
        patch, token = module.cfg.patch, module.cfg.pool == "token"
        if height % patch or width % patch:
            raise UserError(f"size {height}x{width} is no multiple of the patch {patch}")
        old = round((arrays[path].shape[1] - token) ** 0.5)
        variables = {"params": {"positions": arrays[path]}}
        grid = (height // patch, width // patch)
        if grid != (old, old):
            arrays[path] = resample_positions(variables, (old, old), grid)["params"]["positions"]


def with_channels(kernel: jax.Array, channels: int, patch: int | None = None) -> jax.Array:
    """A first kernel (kh, kw, C, F), or (patch * patch * C, F), for images of another number of channels.

    To one channel it is summed, so that a grey image gives what the same image in three equal channels gave. To more
    it is repeated and scaled by C / channels, so that equal channels give what one of them gave.
    """
    if channels < 1:
        raise UserError(f"channels must be at least 1, not {channels}")
    shape = kernel.shape
    if kernel.ndim == 2:
        kernel = kernel.reshape(patch, patch, -1, shape[-1])
    before = kernel.shape[2]
    if channels == 1:
        kernel = kernel.sum(2, keepdims=True)
    elif channels != before:
        kernel = kernel[:, :, jnp.arange(channels) % before]
        weight = jnp.bincount(jnp.arange(channels) % before, length=before)  # times each was taken
        kernel = kernel / jnp.maximum(weight, 1)[jnp.arange(channels) % before][None, None, :, None]
        if channels < before:  # what the channels that are gone gave goes to those that stay
            kernel = kernel * (before / channels)
    return kernel.reshape(-1, shape[-1]) if len(shape) == 2 else kernel


def fresh(
    module: nn.Module, inputs: Mapping[str, Any], paths: Sequence[str], seed: int, dtype: Any
) -> dict[str, jax.Array]:
    """The arrays at `paths` as the model itself begins them; XLA leaves out the rest of its beginning."""

    def some(key: jax.Array) -> dict[str, jax.Array]:
        example = {name: jnp.zeros((1, *shape), kind) for name, (shape, kind) in inputs.items()}
        flat = flatten_dict(module.init(key, **example, train=False), sep="/")
        return {path: flat[path] for path in paths}

    arrays = jax.jit(some)(jax.random.key(seed))
    return {path: array.astype(dtype or array.dtype) for path, array in arrays.items()}


def pair(size: Size) -> tuple[int, int]:
    """An integer stands for height and width."""
    return (size, size) if isinstance(size, int) else tuple(size)


def at_size(images: Images, size: Size) -> Images:
    """The preprocessing for another size, the margin that is cut off in proportion."""
    new = pair(size)
    resize = None if images.resize is None else round(images.resize * min(new) / min(images.size))
    return dataclasses.replace(images, size=new, resize=resize)


def _path(array: tuple[str, int] | None, rules: Sequence[Rule], what: str, module: nn.Module) -> str:
    if array is None:
        raise UserError(f"{type(module).__name__} cannot be fitted to another {what}")
    return next(rule.ours[0] for rule in rules if array[0] in rule.theirs)
