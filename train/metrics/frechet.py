"""Fréchet distance between the Gaussians fitted to two sets of points (Dowson and Landau 1982, equation 16).

In the features of Inception, trained on ImageNet, it is the FID (Heusel et al. 2017, arXiv 1706.08500). Here it is
computed from pixels, or from the features of a classifier of this zoo. Those values have another scale, and can only be
compared with values from the same features.
"""

import math
from typing import NamedTuple

import numpy as np

COMPONENTS = 64
"""The largest number of principal components of the pixels."""
SAMPLE = 2_000
"""The number of images from which the components are computed."""


class Gaussian(NamedTuple):
    """A normal distribution: mean (D,), covariance (D, D), float64."""

    mean: np.ndarray
    covariance: np.ndarray


def fitted(points: np.ndarray) -> Gaussian:
    """Fit a Gaussian to points (N, D) with the unbiased covariance; that of a single point is zero."""
    points = np.asarray(points, np.float64)
    mean = points.mean(axis=0)
    centred = points - mean[None]
    return Gaussian(mean, centred.T @ centred / max(len(points) - 1, 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Return d² = |mean_a - mean_b|² + tr(C_a + C_b - 2 (C_a C_b)^½), a squared distance as in the FID.

    The trace of (C_a C_b)^½ is the sum of the square roots of the eigenvalues of C_a^½ C_b C_a^½. That matrix is
    symmetric, so no square root of an asymmetric matrix is needed. The distance is NaN where a Gaussian is not finite,
    as that of a diverged network's images.
    """
    if not all(np.isfinite(part).all() for part in (*a, *b)):
        return math.nan
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[None]) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ b.covariance @ root)
    cross = np.sqrt(np.maximum(mixed, 0)).sum()
    means = np.square(a.mean - b.mean).sum()
    return float(means + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross)


class Pixels:
    """Projects images onto the principal components of the pixels of `images` (N, ...), values from 0 to 1."""

    def __init__(self, images: np.ndarray) -> None:
        flat = images.reshape(len(images), -1).astype(np.float64)
        self.mean = flat.mean(axis=0)
        _, _, directions = np.linalg.svd(flat - self.mean[None], full_matrices=False)
        self.directions = directions[:COMPONENTS].T

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the projections (N, components) of images (N, ...), values from 0 to 1."""
        return (images.reshape(len(images), -1) - self.mean[None]) @ self.directions
