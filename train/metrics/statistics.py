"""Summary statistics of a few values: mean, interquartile mean, and their 95 % confidence intervals.

Agarwal et al. 2021 (arXiv:2108.13264, section 4.1) recommend these over the bare mean of a few seeds.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr, stdtrit  # scipy.stats has the same, but takes a second to import

RESAMPLES = 10_000
Z95 = 1.959964  # quantile 0.975 of the normal distribution
Values = Sequence[float] | np.ndarray


class Spread(NamedTuple):
    """Statistics of one value for each seed, or for each episode."""

    mean: float
    interquartile_mean: float
    low: float  # bootstrap interval of the interquartile mean
    high: float

    def __str__(self) -> str:
        return (
            f"mean {self.mean:.2f}, interquartile mean {self.interquartile_mean:.2f} "
            f"(95 % interval {self.low:.2f} to {self.high:.2f})"
        )


class StudentInterval(NamedTuple):
    """The standard deviation of a sample, and the interval of its mean."""

    deviation: float
    low: float
    high: float


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean along the last axis without the lowest and highest quarter: for 10 values, the middle 6."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(-1)


def bootstrap(
    values: Values, statistic: Callable[[np.ndarray], np.ndarray] = interquartile_mean
) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of `statistic` (along the last axis) over resamples, always the same."""
    low, high = np.quantile(statistic(_resamples(values)), (0.025, 0.975))
    return float(low), float(high)


def student(values: Values) -> StudentInterval:
    """Return the standard deviation of at least two values, and Student's interval of their mean."""
    sample = np.asarray(values, np.float64)
    # Rounding gives equal values a tiny deviation.
    deviation = float(sample.std(ddof=1)) if np.ptp(sample) else 0.0
    mean = float(sample.mean())
    half = float(stdtrit(sample.size - 1, 0.975)) * deviation / sample.size**0.5
    return StudentInterval(deviation, mean - half, mean + half)


def mean_interval(values: Values) -> tuple[float, float]:
    """Return the interval of the mean of at least two values, such as the differences of two arms seed by seed.

    It has the expanded percentiles of the bootstrap (Hesterberg 2014, arXiv:1411.5279, section 3.3) and is never
    narrower than Student's. For few values the bootstrap alone is too narrow: three values have ten different
    resamples, whose means lie between the smallest and the largest value.
    """
    _, low, high = student(values)
    least, most = np.quantile(_resamples(values).mean(-1), _expanded(len(values)))
    return min(low, float(least)), max(high, float(most))


def difference_interval(first: Values, second: Values) -> tuple[float, float]:
    """Return the interval of mean(first) - mean(second), for two independent samples of at least two values each.

    It is that of `mean_interval`, with Welch's interval in place of Student's.
    """
    samples = [np.asarray(values, np.float64) for values in (first, second)]
    value = float(samples[0].mean() - samples[1].mean())
    variances = [sample.var(ddof=1) / sample.size for sample in samples]  # of the two means
    half, total = 0.0, sum(variances)
    if total > 0:
        freedom = total**2 / sum(v**2 / (s.size - 1) for v, s in zip(variances, samples, strict=True))
        half = float(stdtrit(freedom, 0.975)) * total**0.5
    differences = _resamples(samples[0]).mean(-1) - _resamples(samples[1], seed=1).mean(-1)
    least, most = np.quantile(differences, _expanded(min(samples[0].size, samples[1].size)))
    return min(value - half, float(least)), max(value + half, float(most))


def grouped_interval(right: Sequence[Sequence[int]], examples: Sequence[int]) -> tuple[float, float]:
    """Return the interval of the mean accuracy of R replicas on examples that come in G groups.

    right: how many examples of each group every replica has right, (R, G). examples: of each group, (G,).

    Whole groups are drawn, since the examples of one group are right or wrong together, and with several replicas these
    are drawn too, independently: the percentiles of 2.5 % and 97.5 %. Few replicas differ less in a drawing than they
    do, so with several the interval is never narrower than Student's over them. Where all examples are right, or all
    are wrong, no drawing differs; then it is Wilson's, with a group as one example.
    """
    counts, sizes = np.asarray(right, np.int64), np.asarray(examples, np.int64)
    each = counts.sum(1) / sizes.sum()
    if (counts == sizes).all() or not counts.any():
        return wilson(float(each[0]), len(sizes))
    drawn = _draws(len(sizes))
    own = np.stack([row[drawn].sum(-1) for row in counts], axis=-1)  # (RESAMPLES, R)
    if len(each) > 1:
        own = np.take_along_axis(own, _draws(len(each), seed=1), axis=-1)
    low, high = np.quantile(own.mean(-1) / sizes[drawn].sum(-1), (0.025, 0.975))
    if len(each) == 1:
        return float(low), float(high)
    _, least, most = student(each)
    return max(0.0, min(float(low), least)), min(1.0, max(float(high), most))


def wilson(share: float, count: int, z: float = Z95) -> tuple[float, float]:
    """Return the interval of a binomial share in `count` trials (Wilson 1927). It is in [0, 1], unlike share ± z·σ."""
    center = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return max(0.0, (center - half) / scale), min(1.0, (center + half) / scale)


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a binomial share (Clopper and Pearson 1934); (0, 1) without a trial."""
    low = float(betaincinv(count, total - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, total - count, 0.975)) if count < total else 1.0
    return low, high


def unseen_rate(total: int) -> float:
    """Return the rate of failure of which `total` trials show none in 5 % of all cases: 0.31 for 8."""
    return 1 - 0.05 ** (1 / total)


def _resamples(values: Values, seed: int = 0) -> np.ndarray:
    """Return N values drawn with replacement, RESAMPLES times: (RESAMPLES, N). The draws are always the same."""
    sample = np.asarray(values, np.float64)
    return sample[_draws(len(sample), seed)]


def _draws(count: int, seed: int = 0) -> np.ndarray:
    """Return which of `count` things each resample holds, always the same: (RESAMPLES, count)."""
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))


def _expanded(count: int) -> tuple[float, float]:
    """Return the two quantiles that make the bootstrap of `count` values as wide as Student's interval."""
    share = float(ndtr(stdtrit(count - 1, 0.025) * (count / (count - 1)) ** 0.5))
    return share, 1 - share


def spread(values: Values) -> Spread:
    """Return all statistics of `values`. The interval of a single value is that value."""
    sample = np.asarray(values, np.float64)
    return Spread(float(sample.mean()), float(interquartile_mean(sample)), *bootstrap(sample))
