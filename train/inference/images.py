"""Images that a trained generator makes, and what it makes them from."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.algorithms.averages import evaluation_params
from train.core import State

BLOCK = 100  # images made at a time; fewer are filled up, so that one program serves all


def variables(state: State) -> tuple[Any, Any]:
    """(parameters, batch statistics) of the generator, the parameters averaged if the optimizer keeps an average."""
    return evaluation_params(state, "gen"), state.vars["gen"]


def latents(model: nn.Module, seed: int, count: int) -> Array:
    """`count` draws from the model's prior, (count, Z): those of a smaller count are not among them."""
    return model.prior(jax.random.key(seed), count)


def labels(model: nn.Module, count: int, label: int | None = None) -> np.ndarray | None:
    """(count,) int32: all `label`, or the classes in turn; None for a model that is not told any."""
    classes = model.cfg.classes
    if not classes:
        return None
    return np.full(count, label, np.int32) if label is not None else np.arange(count, dtype=np.int32) % classes


def make(model: nn.Module, generator: tuple[Any, Any], z: Array, told: np.ndarray | None = None) -> np.ndarray:
    """z (N, Z), labels (N,) or None -> images (N, H, W, C) float32 between 0 and 1.

    Out of training: batch normalization uses the averages it has gathered, so an image does not depend on the others.
    """
    out = []
    for start in range(0, len(z), BLOCK):
        rows = np.minimum(np.arange(start, start + BLOCK), len(z) - 1)
        block = _make(model, generator, z[rows], None if told is None else jnp.asarray(told[rows]))
        out.append(np.asarray(block)[: len(z) - start])
    return np.concatenate(out)


@partial(jax.jit, static_argnums=0)
def _make(model: nn.Module, generator: tuple[Any, Any], z: Array, told: Array | None) -> Array:
    low, high = model.RANGE
    params, rest = generator
    variables = {collection: {"generator": tree} for collection, tree in {"params": params, **rest}.items()}
    made = model.apply(variables, z, told, method="generate", train=False)
    return (made - low) / (high - low)


def bytes_of(images: np.ndarray) -> np.ndarray:
    """Between 0 and 1 -> uint8, as an image file holds them."""
    return np.round(images * 255).astype(np.uint8)


def between(model: nn.Module, ends: Array, steps: int) -> Array:
    """ends (N, Z) -> (N - 1, steps, Z): from each to the next, both included.

    Straight where the prior fills a cube; along an arc where it is normal, as a straight way passes through the middle,
    where hardly any of its draws lie (White 2016, arXiv 1609.04468, section 2.1).
    """
    a, b, share = ends[:-1, None], ends[1:, None], jnp.linspace(0, 1, steps)[None, :, None]
    if model.PRIOR == "uniform":
        return (1 - share) * a + share * b
    cosine = jnp.sum(_unit(a) * _unit(b), axis=-1, keepdims=True)
    angle = jnp.maximum(jnp.arccos(jnp.clip(cosine, -1, 1)), 1e-4)
    return (jnp.sin((1 - share) * angle) * a + jnp.sin(share * angle) * b) / jnp.sin(angle)


def _unit(x: Array) -> Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)
