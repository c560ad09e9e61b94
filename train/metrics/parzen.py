"""Parzen-window log-likelihood of images under a generator that has no density of its own.

Goodfellow et al. 2014 (arXiv 1406.2661, section 5), after Breuleux et al. 2011: put a Gaussian of standard deviation σ
on each of many samples, with pixels from 0 to 1. Choose σ from a grid on validation images, then evaluate on test
images. Theis et al. 2016 (arXiv 1511.01844) show that it says little about likelihood or image quality; it is here for
comparison with the values of 2014.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

GRID = np.logspace(-1, 0, 10)
"""Values of σ, as in the authors' code (github.com/goodfeli/adversarial, parzen_ll.py)."""
STEP = float(GRID[1] / GRID[0])
LIMIT = 40  # steps beyond an end of the grid, at most
BLOCK = 200  # images at a time


class Parzen(NamedTuple):
    """The Parzen-window estimate, in nats per image."""

    log_likelihood: float  # mean over test images
    standard_error: float  # of that mean
    sigma: float
    validation: dict[float, float]  # σ -> mean over validation images
    samples: int


def log_likelihoods(samples: np.ndarray, images: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Return log p(x) of each image for each σ, (sigmas, images) float64, in nats.

    p(x) = 1/n Σ_i N(x; sample_i, σ² I); samples and images (N, ...), values from 0 to 1.
    """
    flat, pixels = samples.reshape(len(samples), -1), images.reshape(len(images), -1)
    squares = jnp.asarray(np.square(flat, dtype=np.float64).sum(axis=1), jnp.float32)
    points, widths = jnp.asarray(flat, jnp.float32), jnp.asarray(sigmas, jnp.float32)
    blocks = []
    for start in range(0, len(pixels), BLOCK):
        block = pixels[start : start + BLOCK].astype(np.float32)
        padded = np.concatenate([block, np.zeros((BLOCK - len(block), block.shape[1]), np.float32)])
        exponents = np.asarray(_exponents(points, squares, padded, widths), np.float64)
        blocks.append(exponents[:, : len(block)])
    # The normalization of the Gaussians, for σ as float32 rounds it.
    scale = math.log(len(points)) + points.shape[1] * np.log(np.asarray(widths, np.float64) * math.sqrt(2 * math.pi))
    return np.concatenate(blocks, axis=1) - scale[:, None]


@jax.jit
def _exponents(points: Array, squares: Array, block: Array, sigmas: Array) -> Array:
    """Return log Σ_i exp(-|x - point_i|² / 2σ²) for each σ and each x of a block: (sigmas, block)."""
    product = jnp.matmul(block, points.T, precision="highest")
    distances = jnp.maximum(jnp.sum(jnp.square(block), axis=1)[:, None] + squares[None] - 2 * product, 0)
    return jax.lax.map(lambda sigma: jax.nn.logsumexp(-distances / (2 * sigma**2), axis=1), sigmas)


def choose_sigma(samples: np.ndarray, images: np.ndarray) -> dict[float, float]:
    """Return σ -> mean log-likelihood of `images`. If the best σ is at an end of the grid, the grid is extended."""
    found: dict[float, float] = {}
    grid = list(GRID)
    for _ in range(LIMIT):
        means = log_likelihoods(samples, images, np.array(grid)).mean(axis=1)
        found |= {float(sigma): float(mean) for sigma, mean in zip(grid, means, strict=True)}
        best = max(found, key=found.__getitem__)
        if min(found) < best < max(found):
            break
        grid = [best / STEP if best == min(found) else best * STEP]
    return dict(sorted(found.items()))


def parzen(samples: np.ndarray, validation: np.ndarray, test: np.ndarray) -> Parzen:
    """Return the estimate for `samples`, with σ chosen on `validation`; images (N, H, W, C), values from 0 to 1."""
    means = choose_sigma(samples, validation)
    sigma = max(means, key=means.__getitem__)
    values = log_likelihoods(samples, test, np.array([sigma]))[0]
    standard_error = float(values.std() / math.sqrt(len(values)))
    return Parzen(float(values.mean()), standard_error, sigma, means, len(samples))
