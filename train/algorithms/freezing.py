"""Freezing: parts of a network that stay still, their batch statistics included.

A frozen parameter has no gradient and no moments: it counts in no clipping norm, its NaN harms nothing, and XLA leaves
out the backward pass that only it would need. A layer of batch normalization all of whose parameters are frozen
normalizes with its running averages in training too, and they do not move.
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
    """Transformations in a row that see a number, 0, in place of each parameter that matches `patterns`.

    They keep no moments of it: each of their arrays is such a number too. Its update is 0. `average`, if any, comes
    last, and sees all parameters. The state is that of the transformations and of the average in one row.
    """

    patterns: tuple[str, ...]

    def __new__(
        cls,
        parts: Sequence[optax.GradientTransformation],
        patterns: Sequence[str],
        average: optax.GradientTransformationExtraArgs | None = None,
    ) -> "Freezing":
        inner = optax.chain(*parts)

        def init(params: Any) -> tuple[Any, ...]:
            state: Any = inner.init(without_frozen(patterns, params))
            return state if average is None else (*state, average.init(params))

        def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
            moving, some_params = (without_frozen(patterns, tree) for tree in (updates, params))
            some_state: Any = state[: len(parts)]
            moving, some_state = inner.update(moving, some_state, some_params, **extra)
            whole = jax.tree.map(
                lambda old, new: new if new.shape == old.shape else jnp.zeros_like(old), updates, moving
            )
            if average is None:
                return whole, some_state
            whole, average_state = average.update(whole, state[-1], params, **extra)
            return whole, (*some_state, average_state)

        self = super().__new__(cls, init, update)
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


def without_frozen(patterns: Sequence[str], tree: Any) -> Any:
    """Return parameters, or what is shaped like them, with a 0 () in place of each frozen array.

    The structure stays, and a 0 moves nothing: not the norm of all gradients, and not by way of NaN.
    """

    def one(path: Any, leaf: Array) -> Array:
        return jnp.zeros((), leaf.dtype) if is_frozen(patterns, path_of(path)) else leaf

    return jax.tree_util.tree_map_with_path(one, tree)


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
