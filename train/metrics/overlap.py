"""How well predicted regions cover the true ones, from a confusion matrix of pixels."""

import numpy as np


def ious(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class, (classes,): NaN for one that is neither there nor predicted.

    counts: integer (classes, classes), the pixels of each true class (row) that were taken for each class (column).
    """
    hit = counts.diagonal().astype(np.float64)
    union = counts.sum(0).astype(np.float64) + counts.sum(1) - hit
    return np.where(union > 0, hit / np.maximum(union, 1), np.nan)


def mean_iou(counts: np.ndarray) -> float:
    """Return the mean of `ious` over the classes that are there or predicted; NaN without a pixel."""
    found = ious(counts)
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def pixel_accuracy(counts: np.ndarray) -> float:
    """Return the share of the pixels that were taken for their class; NaN without a pixel."""
    total = counts.sum()
    return float(counts.diagonal().sum() / total) if total else float("nan")
