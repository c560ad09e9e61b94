"""Mode coverage: which classes a generator produces, by the labels that a classifier predicts."""

from typing import NamedTuple

import numpy as np

LEAST = 0.1
"""A class is covered if its share of the generated images is at least this fraction of its share of the real ones."""


class Coverage(NamedTuple):
    """How many classes a generator covers."""

    classes: int  # covered
    of: int  # classes among the real images
    entropy: float  # of `shares`, in nats; at most log(number of classes)
    shares: tuple[float, ...]  # of each class among the generated images


def coverage(made: np.ndarray, real: np.ndarray, classes: int) -> Coverage:
    """Return the coverage, from predicted labels (N,) int of generated (`made`) and of real images."""
    shares, real_shares = (np.bincount(labels, minlength=classes) / len(labels) for labels in (made, real))
    covered = (shares >= LEAST * real_shares) & (real_shares > 0)
    present = shares[shares > 0]
    entropy = float(-(present * np.log(present)).sum())
    return Coverage(int(covered.sum()), int((real_shares > 0).sum()), max(entropy, 0.0), tuple(map(float, shares)))
