"""Initial kernels of another time than the network's own: every network with the initial values of 1986, say."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from zoo.errors import UserError, unknown

BY_FAN_IN: Mapping[str, Callable[[int, int], float]] = {
    "lecun": lambda ins, outs: 1 / ins,
    "glorot": lambda ins, outs: 2 / (ins + outs),
    "he": lambda ins, outs: 2 / ins,
}
"""Rule -> the variance of a kernel, given how many inputs reach an output, and how many outputs an input reaches."""
BY_SIZE = ("uniform", "normal")
"""Rules whose width stands behind their name: uniform_0.3 is uniform within 0.3, normal_0.01 has deviation 0.01."""


def check(rule: str) -> None:
    """Raise UserError for a rule that is not known. "" is none, the network's own initial values."""
    if rule:
        _parse(rule)


def redrawn(rule: str, params: Any, key: Array) -> Any:
    """Return `params` with every kernel of two or more axes drawn by `rule`; all others stay as they are.

    A kernel is (..., inputs, outputs), as those of nn.Dense and of convolutions are.
    """
    if not rule:
        return params
    leaves: Any = flatten_dict(params)
    kernels = sorted(path for path, leaf in leaves.items() if path[-1] == "kernel" and leaf.ndim >= 2)
    for path, own in zip(kernels, jax.random.split(key, len(kernels)), strict=True):
        leaves[path] = _draw(rule, own, leaves[path])
    return unflatten_dict(leaves)


def _draw(rule: str, key: Array, kernel: Array) -> Array:
    name, size = _parse(rule)
    if name == "uniform":
        return jax.random.uniform(key, kernel.shape, kernel.dtype, -size, size)
    if name in BY_FAN_IN:
        window = math.prod(kernel.shape[:-2])
        size = math.sqrt(BY_FAN_IN[name](window * kernel.shape[-2], window * kernel.shape[-1]))
    return size * jax.random.normal(key, kernel.shape, kernel.dtype)


def _parse(rule: str) -> tuple[str, float]:
    """Return the name of a rule, and the number behind it."""
    if rule in BY_FAN_IN:
        return rule, 0.0
    name, _, text = rule.partition("_")
    if name not in BY_SIZE:
        raise unknown("task.initial", rule, (*BY_FAN_IN, *(f"{name}_0.1" for name in BY_SIZE)))
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 0 < size < math.inf:
        raise UserError(f"task.initial {rule!r}: {name} needs a number above 0, such as '{name}_0.1'")
    return name, size
