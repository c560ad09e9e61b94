"""Fréchet distance between the Gaussians fitted to two sets of points (Dowson and Landau 1982, equation 16).

In the features of Inception, trained on ImageNet, this is the FID (Heusel et al. 2017, arXiv 1706.08500). Here it is
measured in the pixels themselves, and in the features of classifiers of this zoo: figures of another scale, comparable
only with figures from the same features.
"""

from typing import NamedTuple

import numpy as np

COMPONENTS = 64
"""Principal components of the pixels that are compared, at most."""
SAMPLE = 2_000
"""Images from which those components are taken."""


class Gaussian(NamedTuple):
    """mean (D,), covariance (D, D), float64."""

    mean: np.ndarray
    covariance: np.ndarray


def fitted(points: np.ndarray) -> Gaussian:
    """The mean and the unbiased covariance of points (N, D), N at least 2."""
    points = np.asarray(points, np.float64)
    mean = points.mean(axis=0)
    off = points - mean[None]
    return Gaussian(mean, off.T @ off / (len(points) - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """d² = |mean_a - mean_b|² + tr(C_a + C_b - 2 (C_a C_b)^½), a squared length as in the FID.

    The trace of the root is that of the roots of the eigenvalues of C_a^½ C_b C_a^½, which is symmetric, so no root of
    a matrix that is not has to be found.
    """
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[None]) @ vectors.T
    mixed = np.linalg.eigvalsh(root @ b.covariance @ root)
    cross = np.sqrt(np.maximum(mixed, 0)).sum()
    means = np.square(a.mean - b.mean).sum()
    return float(means + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross)


class Pixels:
    """Images as points: their projections on the principal components of the pixels of `images` (N, ...), 0 to 1."""

    def __init__(self, images: np.ndarray) -> None:
        flat = images.reshape(len(images), -1).astype(np.float64)
        self.mean = flat.mean(axis=0)
        _, _, directions = np.linalg.svd(flat - self.mean[None], full_matrices=False)
        self.directions = directions[:COMPONENTS].T

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(N, ...) between 0 and 1 -> (N, components)."""
        return (images.reshape(len(images), -1) - self.mean[None]) @ self.directions
