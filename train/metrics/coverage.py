"""Which classes a generator makes, by a classifier's labels: a generator that has lost some makes few of them."""

from typing import NamedTuple

import numpy as np

LEAST = 0.1
"""A class counts as made when its share of the made images is at least this part of its share of the real ones."""


class Coverage(NamedTuple):
    """classes: made, of those that real images have; entropy: of the shares, in nats, at most log(number of classes);
    shares: of each class among the made images."""

    classes: int
    of: int
    entropy: float
    shares: tuple[float, ...]


def coverage(made: np.ndarray, real: np.ndarray, classes: int) -> Coverage:
    """From predicted labels (N,) int of made and of real images."""
    shares, wanted = (np.bincount(labels, minlength=classes) / len(labels) for labels in (made, real))
    covered = (shares >= LEAST * wanted) & (wanted > 0)
    present = shares[shares > 0]
    entropy = float(-(present * np.log(present)).sum())
    return Coverage(int(covered.sum()), int((wanted > 0).sum()), max(entropy, 0.0), tuple(map(float, shares)))
