"""A few numbers as one: mean, interquartile mean, and how far either is to be trusted (Agarwal et al. 2021,
arXiv:2108.13264, section 4.1, who ask for this in place of the mean of a few seeds alone). All intervals are of 95 %.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit  # of what scipy.stats has too, and that takes a second to import

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
    low, high = np.quantile(statistic(_resamples(values)), (0.025, 0.975))
    return float(low), float(high)


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """Standard deviation of a sample of at least two, and Student's interval of its mean: (deviation, low, high)."""
    values = np.asarray(values, np.float64)
    deviation, average = float(values.std(ddof=1)) if np.ptp(values) else 0.0, float(values.mean())
    half = float(stdtrit(values.size - 1, 0.975)) * deviation / values.size**0.5
    return deviation, average - half, average + half


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the mean of at least two values, such as the differences of two arms seed by seed.

    The bootstrap's expanded percentiles (Hesterberg 2014, arXiv:1411.5279, section 3.3), and no narrower than
    Student's: three values have ten different resamples, whose means reach no further than the extremes seen, so
    that no choice of percentiles makes 95 % of them.
    """
    _, low, high = student(values)
    least, most = np.quantile(_resamples(values).mean(-1), _expanded(len(values)))
    return min(low, float(least)), max(high, float(most))


def difference_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Of mean(first) - mean(second), two samples of at least two that have nothing in common: as `mean_interval`, with
    Welch's form of Student's.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    value = float(first.mean() - second.mean())
    parts = [sample.var(ddof=1) / sample.size for sample in (first, second)]
    half, total = 0.0, sum(parts)
    if total > 0:
        freedom = total**2 / sum(p**2 / (s.size - 1) for p, s in zip(parts, (first, second), strict=True))
        half = float(stdtrit(freedom, 0.975)) * total**0.5
    drawn = _resamples(first).mean(-1) - _resamples(second, seed=1).mean(-1)
    least, most = np.quantile(drawn, _expanded(min(first.size, second.size)))
    return min(value - half, float(least)), max(value + half, float(most))


def _resamples(values: Sequence[float], seed: int = 0) -> np.ndarray:
    """(RESAMPLES, N): as many values drawn with replacement, always the same draws."""
    values = np.asarray(values, np.float64)
    return values[np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))]


def _expanded(count: int) -> tuple[float, float]:
    """The two shares whose quantiles make up for how much narrower than Student's the bootstrap is for few values."""
    share = float(ndtr(stdtrit(count - 1, 0.025) * (count / (count - 1)) ** 0.5))
    return share, 1 - share


def spread(values: Sequence[float]) -> Spread:
    """All of it; of a single value the interval is that value."""
    values = np.asarray(values, np.float64)
    return Spread(float(values.mean()), float(interquartile_mean(values)), *bootstrap(values))
