"""Freezing: parts of a network that stay still, their batch statistics included.

A frozen parameter has no gradient: it counts in no clipping norm, its NaN harms nothing, and XLA leaves out the
backward pass that only it would need. A layer of batch normalization all of whose parameters are frozen normalizes with
its running averages in training too, and they do not move.
"""

import contextlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms.parameters import path_of


class Freezing(optax.GradientTransformationExtraArgs):
    """`inner` with gradients of 0 for the parameters that match `patterns`. Its state is that of `inner`."""

    patterns: tuple[str, ...]

    def __new__(cls, inner: optax.GradientTransformation, patterns: Sequence[str]) -> "Freezing":
        extended = optax.with_extra_args_support(inner)

        def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
            return extended.update(zero_frozen(patterns, updates), state, params, **extra)

        self = super().__new__(cls, inner.init, update)
        self.patterns = tuple(patterns)
        return self


def patterns_of(tx: optax.GradientTransformation) -> tuple[str, ...]:
    """Return the patterns of what an optimizer freezes, also through an accumulation around it."""
    while (inner := getattr(tx, "inner", None)) is not None:
        tx = inner
    return tx.patterns if isinstance(tx, Freezing) else ()


def is_frozen(patterns: Sequence[str], name: str) -> bool:
    """Return whether a parameter, such as "block0/norm/scale", matches one of the shell patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def zero_frozen(patterns: Sequence[str], updates: Any) -> Any:
    """Return `updates` with zeros, not products with zero, for frozen parameters: NaN times 0 is NaN."""

    def one(path: Any, leaf: Array) -> Array:
        return jnp.zeros_like(leaf) if is_frozen(patterns, path_of(path)) else leaf

    return jax.tree_util.tree_map_with_path(one, updates)


def is_layer_frozen(patterns: Sequence[str], params: Any, layer: str) -> bool:
    """Return whether all parameters of a layer are frozen. One without parameters goes by the name of its mean."""
    names = [path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    own = [name for name in names if name.startswith(f"{layer}/")] or [f"{layer}/mean"]
    return all(is_frozen(patterns, name) for name in own)


@contextlib.contextmanager
def still_statistics(patterns: Sequence[str], params: Any, above: int = 0) -> Iterator[None]:
    """Apply a model within it: frozen batch normalization uses its running averages and leaves them as they are.

    params: of the network that `patterns` speak of. above: how many names the model has above that network.
    """
    if not patterns:
        yield
        return

    def call(call_layer: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        layer = context.module
        if not isinstance(layer, nn.BatchNorm) or context.method_name != "__call__" or layer.use_running_average:
            return call_layer(*args, **kwargs)
        if not is_layer_frozen(patterns, params, "/".join(layer.path[above:])):
            return call_layer(*args, **kwargs)
        # Whether a layer uses its averages is a field of it, so a copy with another value is applied.
        copy = layer.clone(parent=None, name=None, use_running_average=True)
        return copy.apply(dict(layer.variables), *args, **(kwargs | {"use_running_average": None}))

    with nn.intercept_methods(call):
        yield
