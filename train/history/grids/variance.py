"""What a grid says: how much of the spread in log error goes with rows, columns, both together and seeds.

The analysis of variance of two ways, on the logarithm of each seed's test error. The four sums of squares add up to
the whole: of the means of rows, of columns, of what a cell has beyond its row and its column, and of seeds within
their cell. Intervals: seeds are drawn with replacement within each cell, always in the same way.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000
NOTHING = 1e-12  # a sum of squares that is rounding
PARTS = ("row", "column", "both", "seeds")


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the spread: its share, and the interval of 95 %."""

    share: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Best:
    """The best column of a row, or the best row of a column, by mean log error."""

    index: int
    sure: float  # share of the resamples in which it is the best


@dataclasses.dataclass(frozen=True)
class Analysis:
    """What the figures of a whole grid say."""

    parts: dict[str, Part]  # by PARTS
    best_column: tuple[Best, ...]  # of each row
    best_row: tuple[Best, ...]  # of each column


def log_errors(accuracies: Sequence[float], examples: int) -> list[float]:
    """Return the logarithm of each error; where there is none, that of half an example."""
    return [float(np.log(max(1 - accuracy, 0.5 / examples))) for accuracy in accuracies]


def analyse(values: np.ndarray) -> Analysis:
    """Analyse log errors, (rows, columns, seeds)."""
    chosen = np.random.default_rng(0).integers(values.shape[-1], size=(RESAMPLES, *values.shape))
    drawn = np.take_along_axis(values[None], chosen, axis=-1)  # (RESAMPLES, rows, columns, seeds)
    shares, means = shares_of(values), drawn.mean(-1)
    low, high = np.quantile(shares_of(drawn), (0.025, 0.975), axis=0)
    parts = {name: Part(*map(float, (shares[i], low[i], high[i]))) for i, name in enumerate(PARTS)}
    own = values.mean(-1)
    return Analysis(parts, _best(own, means, 1), _best(own, means, 0))


def shares_of(values: np.ndarray) -> np.ndarray:
    """Return the shares of rows, columns, both together and seeds in the sum of squares of (..., rows, columns, seeds).

    They are (..., 4), and 0 where all values are equal.
    """
    cells = values.mean(-1)
    whole = cells.mean((-2, -1), keepdims=True)
    rows, columns = cells.mean(-1, keepdims=True) - whole, cells.mean(-2, keepdims=True) - whole
    *_, height, width, count = values.shape
    squares = [
        count * width * (rows**2).sum((-2, -1)),
        count * height * (columns**2).sum((-2, -1)),
        count * ((cells - whole - rows - columns) ** 2).sum((-2, -1)),
        ((values - cells[..., None]) ** 2).sum((-3, -2, -1)),
    ]
    total = sum(squares)
    return np.stack([square / np.where(total > NOTHING, total, 1) * (total > NOTHING) for square in squares], axis=-1)


def _best(means: np.ndarray, drawn: np.ndarray, axis: int) -> tuple[Best, ...]:
    """Return the best along an axis of means (rows, columns), and how often it is in drawn (resamples, ...)."""
    found = means.argmin(axis)
    often = (drawn.argmin(axis + 1) == found).mean(0)
    return tuple(Best(int(index), float(sure)) for index, sure in zip(found, often, strict=True))
