"""Adapt weights to another input or task: number of channels, image size, a new head. All else is unchanged."""

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
    module: Any,
    layout: Layout,
    rules: Sequence[Rule],
    channels: int | None,
    size: Size | None,
    inputs: Mapping[str, Any],
) -> None:
    """Adapt, in place, the arrays that depend on the number of channels and on the image size.

    inputs: those of the weights, like `Card.inputs`; a table of 196 positions may be of 14x14 patches or of 7x28.
    """
    if channels is not None:
        path = _path(layout.first, rules, "channels", module)
        patch = getattr(module.cfg, "patch", None)
        if arrays[path].ndim == 2 and patch is None:
            raise UserError(f"{type(module).__name__} reads numbers here, and no images with channels")
        arrays[path] = with_channels(arrays[path], channels, patch)
    if size is not None:
        path = _path(layout.positions, rules, "size", module)
        height, width = pair(size)
        patch = module.cfg.patch
        if height % patch or width % patch:
            raise UserError(f"size {height}x{width} is not a multiple of the patch {patch}")
        old = tuple(side // patch for side in inputs["x"][0][:2])
        variables = {"params": {"positions": arrays[path]}}
        grid = (height // patch, width // patch)
        if grid != old:
            arrays[path] = resample_positions(variables, old, grid)["params"]["positions"]


def channels_of(arrays: Mapping[str, jax.Array], module: Any, layout: Layout, rules: Sequence[Rule]) -> int | None:
    """Return the number of channels of the images that these arrays read; None where they read none."""
    path = layout.first and next((rule.ours[0] for rule in rules if layout.first[0] in rule.theirs), None)
    if path is None:
        return None
    kernel = arrays[path]
    if kernel.ndim == 2:  # (patch * patch * C, F); of a network that reads numbers, (numbers, F)
        patch = getattr(module.cfg, "patch", None)
        return kernel.shape[0] // patch**2 if patch else None
    return kernel.shape[2]


def with_channels(kernel: jax.Array, channels: int, patch: int | None = None) -> jax.Array:
    """Adapt a first kernel (kh, kw, C, F), or (patch * patch * C, F), to images with another number of channels.

    For one channel the kernel is summed, so a grey image gives the output of three equal channels. For more channels it
    is repeated and scaled by C / channels, so equal channels give the output of the original ones.
    """
    if channels < 1:
        raise UserError(f"channels must be at least 1, not {channels}")
    shape = kernel.shape
    if patch is not None and kernel.ndim == 2:
        kernel = kernel.reshape(patch, patch, -1, shape[-1])
    before = kernel.shape[2]
    if channels == 1:
        kernel = kernel.sum(2, keepdims=True)
    elif channels != before:
        kernel = kernel[:, :, jnp.arange(channels) % before]
        weight = jnp.bincount(jnp.arange(channels) % before, length=before)  # how often each channel was used
        kernel = kernel / jnp.maximum(weight, 1)[jnp.arange(channels) % before][None, None, :, None]
        if channels < before:  # the remaining channels make up for the removed ones
            kernel = kernel * (before / channels)
    return kernel.reshape(-1, shape[-1]) if len(shape) == 2 else kernel


def fresh(
    module: nn.Module, inputs: Mapping[str, Any], paths: Sequence[str], seed: int, dtype: Any
) -> dict[str, jax.Array]:
    """Return the initial arrays of the model at `paths`. XLA removes the computation of all others."""

    def initialize(key: jax.Array) -> dict[str, jax.Array]:
        example: dict[str, Any] = {name: jnp.zeros((1, *shape), kind) for name, (shape, kind) in inputs.items()}
        flat: dict[str, Any] = flatten_dict(module.init(key, **example, train=False), sep="/")
        return {path: flat[path] for path in paths}

    arrays = jax.jit(initialize)(jax.random.key(seed))
    return {path: array.astype(dtype or array.dtype) for path, array in arrays.items()}


def pair(size: Size) -> tuple[int, int]:
    """Return (height, width) of a size that may be one integer for both."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def at_size(images: Images, size: Size) -> Images:
    """Return the preprocessing for another image size, with the cropped margin in proportion."""
    new = pair(size)
    resize = images.resize
    if isinstance(resize, int):
        resize = round(resize * min(new) / min(images.size))
    elif isinstance(resize, tuple):
        resize = (round(resize[0] * new[0] / images.size[0]), round(resize[1] * new[1] / images.size[1]))
    return dataclasses.replace(images, size=new, resize=resize)


def _path(array: tuple[str, int] | None, rules: Sequence[Rule], what: str, module: nn.Module) -> str:
    """Return our path of `array`, an entry of the layout; UserError if the layout has none."""
    path = array and next((rule.ours[0] for rule in rules if array[0] in rule.theirs), None)
    if path is None:  # the architecture has no such array, or not with these fields
        raise UserError(f"{type(module).__name__} cannot be adapted to another {what}")
    return path
