"""Generate images with a trained generator."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.algorithms.averages import evaluation_variables
from train.core import State, devices
from zoo.errors import UserError

BLOCK = 100  # images per call; a smaller last block is filled up, so that one program is compiled


class Generator(NamedTuple):
    """The variables of a trained generator."""

    params: Any
    statistics: Any  # of its batch normalization, by collection


def variables(state: State) -> Generator:
    """Return the generator's parameters and batch statistics: their averages, if the optimizer keeps them.

    With several processes it is a collective: each generates for itself.
    """
    own = devices.gathered(evaluation_variables(state, "gen"))
    return Generator(own.pop("params"), own)


def latents(model: nn.Module, seed: int, count: int) -> Array:
    """Sample latents (count, Z) from the model's prior. Other counts give other latents, also in the first rows."""
    return model.prior(jax.random.key(seed), count)


def labels(model: nn.Module, count: int, label: int | None = None) -> np.ndarray | None:
    """Return (count,) int32: `label` repeated, or the classes in turn; None for an unconditional model.

    Raises UserError for a label that the model was not told.
    """
    classes = model.cfg.classes
    if label is not None and not 0 <= label < classes:
        allowed = f"from 0 to {classes - 1}" if classes else "None for an unconditional model"
        raise UserError(f"label must be {allowed}, not {label}")
    if not classes:
        return None
    return np.full(count, label, np.int32) if label is not None else np.arange(count, dtype=np.int32) % classes


def make(model: nn.Module, generator: Generator, z: Array, labels: np.ndarray | None = None) -> np.ndarray:
    """Generate images (N, H, W, C) float32 in [0, 1] from latents z (N, Z) and labels (N,) or None.

    In evaluation mode: batch normalization uses its running averages, so an image does not depend on the others.
    """
    out = []
    for start in range(0, len(z), BLOCK):
        rows = np.minimum(np.arange(start, start + BLOCK), len(z) - 1)
        block = _make(model, generator, z[rows], None if labels is None else jnp.asarray(labels[rows]))
        out.append(np.asarray(block)[: len(z) - start])
    return np.concatenate(out)


@partial(jax.jit, static_argnums=0)
def _make(model: nn.Module, generator: Generator, z: Array, labels: Array | None) -> Array:
    low, high = model.RANGE
    collections = {"params": generator.params, **generator.statistics}
    variables = {collection: {"generator": tree} for collection, tree in collections.items()}
    images = model.apply(variables, z, labels, method="generate", train=False)
    return (images - low) / (high - low)


def bytes_of(images: np.ndarray) -> np.ndarray:
    """Convert images in [0, 1] to uint8, as in an image file. NaN, of a diverged generator, is black."""
    return np.round(np.nan_to_num(images) * 255).astype(np.uint8)


def between(model: nn.Module, ends: Array, steps: int) -> Array:
    """Interpolate from each latent of ends (N, Z) to the next, both included. Returns (N - 1, steps, Z).

    The interpolation is linear for a uniform prior and spherical for a normal one: a line between two normal samples
    passes close to the origin, where hardly any samples are (White 2016, arXiv 1609.04468, section 2.1).
    """
    a, b, share = ends[:-1, None], ends[1:, None], jnp.linspace(0, 1, steps)[None, :, None]
    if model.PRIOR == "uniform":
        return (1 - share) * a + share * b
    cosine = jnp.sum(_unit(a) * _unit(b), axis=-1, keepdims=True)
    angle = jnp.maximum(jnp.arccos(jnp.clip(cosine, -1, 1)), 1e-4)
    return (jnp.sin((1 - share) * angle) * a + jnp.sin(share * angle) * b) / jnp.sin(angle)


def _unit(x: Array) -> Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)
