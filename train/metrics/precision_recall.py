"""Precision and recall of generated images (Kynkäänniemi et al. 2019, arXiv 1904.06991, section 2).

A set of points is a region: the union of balls around the points, each reaching to the k-th nearest neighbour of its
centre in the set. Precision is the share of generated points inside the region of the real ones; recall is the reverse.
"""

from collections.abc import Iterator

import numpy as np

K = 3  # as in the paper
BLOCK = 500  # points at a time


def precision_recall(real: np.ndarray, made: np.ndarray, k: int = K) -> tuple[float, float]:
    """Return (precision, recall) of points (N, D), from 0 to 1.

    Both sets should have the same size, as larger sets have smaller balls; each needs more than k points.
    """
    return share_inside(made, real, k), share_inside(real, made, k)


def share_inside(points: np.ndarray, region: np.ndarray, k: int = K) -> float:
    """Return the share of `points` inside the region of the points `region` (equation 1)."""
    radii = np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _distances(region, region)])
    inside = [np.any(block <= radii[None], axis=1) for block in _distances(points, region)]
    return float(np.concatenate(inside).mean())


def _distances(points: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
    """Yield squared distances (BLOCK, others). In float64 each point is sure to be nearest to itself."""
    points, others = points.astype(np.float64), others.astype(np.float64)
    squares = np.square(others).sum(axis=1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        yield np.maximum(np.square(block).sum(axis=1)[:, None] + squares[None] - 2 * block @ others.T, 0)
