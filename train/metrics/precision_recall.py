"""Precision and recall of made images (Kynkäänniemi et al. 2019, arXiv 1904.06991, section 2).

A set of points stands for the region that the balls around them cover, each reaching to its k-th nearest neighbour in
the set. Precision: the share of made points in the region of the real ones. Recall: the other way round.
"""

from collections.abc import Iterator

import numpy as np

K = 3  # as the authors
BLOCK = 500  # points at a time


def precision_recall(real: np.ndarray, made: np.ndarray, k: int = K) -> tuple[float, float]:
    """(precision, recall) of points (N, D), from 0 to 1. Both sets should be of one size, as the balls shrink with it;
    each needs more than k points."""
    return share_inside(made, real, k), share_inside(real, made, k)


def share_inside(points: np.ndarray, region: np.ndarray, k: int = K) -> float:
    """Share of `points` within the region that the points of `region` stand for (equation 1)."""
    radii = np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _distances(region, region)])
    inside = [np.any(block <= radii[None], axis=1) for block in _distances(points, region)]
    return float(np.concatenate(inside).mean())


def _distances(points: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances (BLOCK, others), block by block; float64, so that a point's own is nearest to it."""
    points, others = points.astype(np.float64), others.astype(np.float64)
    squares = np.square(others).sum(axis=1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        yield np.maximum(np.square(block).sum(axis=1)[:, None] + squares[None] - 2 * block @ others.T, 0)
