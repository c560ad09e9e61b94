"""The confusion matrix of a classifier, and what follows from it for each class."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from train.metrics.overlap import ious


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How many examples of each true class (row) were taken for each class (column).

    times: how often every example is counted, where the matrices of several replicas were added.
    """

    counts: np.ndarray  # integer (classes, classes)
    names: tuple[str, ...]  # of the classes
    times: int = 1

    @property
    def examples(self) -> np.ndarray:
        """The number of examples of each class, each counted once: integer (classes,)."""
        return self.counts.sum(1) // self.times

    @property
    def accuracy(self) -> np.ndarray:
        """The share of the examples of each class that were recognized: (classes,); NaN for a class without any."""
        total = self.counts.sum(1)
        return np.where(total > 0, self.counts.diagonal() / np.maximum(total, 1), np.nan)

    @property
    def iou(self) -> np.ndarray:
        """The intersection over union of each class, (classes,); see `train.metrics.overlap.ious`."""
        return ious(self.counts)

    def worst(self, most: int) -> list[int]:
        """Return the classes with the lowest accuracy, the lowest first; classes without examples are left out."""
        order = np.argsort(self.accuracy, kind="stable")  # NaN comes last
        return [int(i) for i in order[:most] if self.examples[i] > 0]

    def commonest(self, most: int) -> list[tuple[int, int, int]]:
        """Return (true class, predicted class, count) of the most frequent errors, the most frequent first."""
        errors = self.counts - np.diag(self.counts.diagonal())
        order = np.argsort(-errors, axis=None, kind="stable")[:most]
        rows, columns = np.unravel_index(order, errors.shape)
        found = [(int(row), int(column), int(errors[row, column])) for row, column in zip(rows, columns, strict=True)]
        return [error for error in found if error[2] > 0]


def added(matrices: Sequence[np.ndarray], names: tuple[str, ...], times: int) -> Confusion:
    """Return the sum of the matrices of several replicas, which count every example `times` times together."""
    return Confusion(np.sum(np.stack(matrices).astype(np.int64), axis=0), names, times)
