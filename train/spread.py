"""A few numbers as one: mean, interquartile mean, and how far either is to be trusted (Agarwal et al. 2021,
arXiv:2108.13264, section 4.1, who ask for this in place of the mean of a few seeds alone).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000


class Spread(NamedTuple):
    """Of one number for each seed, or each episode."""

    mean: float
    interquartile_mean: float
    low: float  # the middle 95 % of the interquartile means of resamples
    high: float

    def __str__(self) -> str:
        return (
            f"mean {self.mean:.2f}, interquartile mean {self.interquartile_mean:.2f} "
            f"(95 % interval {self.low:.2f} to {self.high:.2f})"
        )


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean along the last axis without the lowest and the highest quarter, rounded down: of 10 values the middle 6."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(-1)


def bootstrap(
    values: Sequence[float], statistic: Callable[[np.ndarray], np.ndarray] = interquartile_mean
) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of `statistic` (along the last axis) over resamples (always the same)."""
    values = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(statistic(values[drawn]), (0.025, 0.975))
    return float(low), float(high)


def spread(values: Sequence[float]) -> Spread:
    """All of it; of a single value the interval is that value."""
    values = np.asarray(values, np.float64)
    return Spread(float(values.mean()), float(interquartile_mean(values)), *bootstrap(values))
