"""What models share besides layers: checks of Config fields and inputs, and activations by name."""

import dataclasses
import functools
import math
import typing
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array
from jax.core import Tracer

from zoo.errors import Errors, UserError, unknown

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,  # slope 0.01 below zero
    "elu": nn.elu,
    "gelu": functools.partial(nn.gelu, approximate=False),
    "swish": nn.swish,
    "sigmoid": nn.sigmoid,
    "tanh": nn.tanh,
    "scaled_tanh": lambda x: 1.7159 * nn.tanh(2 / 3 * x),  # LeCun et al. 1998, appendix A
}
Gelu = Literal["exact", "tanh"]
GELU: dict[Gelu, Callable[[Array], Array]] = {
    "exact": ACTIVATIONS["gelu"],
    "tanh": functools.partial(nn.gelu, approximate=True),  # Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2
}
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "swish", "sigmoid", "tanh", "scaled_tanh"]


def check(config: Any) -> None:
    """Check every field of a Config against its annotation; raise UserError for all impossible values.

    Each Config's `__post_init__` calls it. An int must be positive, or 0 if 0 is the default. A float must be at least
    0 and below 1. A Literal must be one of its values. A tuple[int, ...] must contain positive integers.
    """
    family = type(config).__module__.rpartition(".")[2]
    hints = typing.get_type_hints(type(config))
    errors = Errors()
    for field in dataclasses.fields(config):
        with errors.kept():
            _check_field(family, field, hints[field.name], getattr(config, field.name))
    errors.report()


def _check_field(family: str, field: dataclasses.Field[Any], hint: Any, value: Any) -> None:
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            raise UserError(f"{family}: {unknown(field.name, value, typing.get_args(hint))}")
    elif hint is bool:
        require(isinstance(value, bool), family, field.name, "True or False", value)
    elif hint is int:
        zero = field.default == 0
        what = "a positive integer or 0" if zero else "a positive integer"
        require(_count(value, least=0 if zero else 1), family, field.name, what, value)
    elif hint is float:
        fraction = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
        require(fraction, family, field.name, "at least 0 and below 1", value)
    else:
        counts = isinstance(value, tuple) and all(map(_count, value))
        require(counts, family, field.name, "a tuple of positive integers", value)


def require(holds: bool, family: str, field: str, what: str, value: object) -> None:
    """Raise UserError "family: field must be what, not value" unless `holds`."""
    if not holds:
        raise UserError(f"{family}: {field} must be {what}, not {value!r}")


demand = require  # the old name


def require_images(x: Array, model: str, smallest: int = 1) -> None:
    """Raise UserError unless x is (B, H, W, C) with H and W of at least `smallest` pixels."""
    if x.ndim != 4:
        raise UserError(f"{model} takes images (batch, height, width, channels), not an array of shape {x.shape}")
    if min(x.shape[1:3]) < smallest:
        size = f"{x.shape[1]}x{x.shape[2]}"
        raise UserError(f"{model} needs images of at least {smallest}x{smallest} pixels, not {size}")


def require_tokens(tokens: Array, vocab: int, model: str, what: str = "tokens") -> None:
    """Raise UserError unless tokens are (B, T) whole numbers from 0 to vocab - 1.

    Inside jit numbers cannot be looked at, only shape and dtype. There an index beyond the table makes its row NaN, and
    a negative one counts from the end of the table.
    """
    if tokens.ndim != 2 or not jnp.issubdtype(tokens.dtype, jnp.integer):
        given = f"an array of shape {tokens.shape} and dtype {tokens.dtype}"
        raise UserError(f"{model} takes {what} (batch, length) of whole numbers, not {given}")
    require_range(tokens, vocab, model, what)


def require_range(numbers: Array, count: int, model: str, what: str) -> None:
    """Raise UserError unless whole numbers are from 0 to count - 1; inside jit they cannot be looked at."""
    if isinstance(numbers, Tracer) or not numbers.size:
        return
    held = np.asarray(numbers)  # of jax.numpy the smallest would be traced where jit closes over the numbers
    lowest, highest = held.min(), held.max()
    if lowest < 0 or highest >= count:
        raise UserError(f"{model}: {what} must be from 0 to {count - 1}, not {lowest if lowest < 0 else highest}")


def flatten(x: Array) -> Array:
    """Reshape x (B, ...) to (B, N)."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _count(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
