"""The table of metrics: what each one is called, in what unit, between which bounds, and which way is better.

The table is empty here. `train.metrics` enters the metrics of this project, and a user's own file enters its own with
`train.metrics.register`. Whatever prints, compares, bounds or scores a metric asks this table.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from train.config.registry import Registry
from zoo.errors import UserError

Direction = Literal["higher", "lower"]
DIRECTIONS: tuple[Direction, ...] = ("higher", "lower")
SHARE = "share"
"""The unit of a metric between 0 and 1 that is printed in percent."""


class Bounds(NamedTuple):
    """The values that a metric can take, both ends included; None where there is no end."""

    low: float | None = None
    high: float | None = None

    def contain(self, values: Sequence[float]) -> bool:
        """Whether every one of `values` lies inside."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return all(low <= value <= high for value in values)

    def clip(self, value: float) -> float:
        """The value inside the bounds that is nearest to `value`."""
        if self.low is not None:
            value = max(value, self.low)
        if self.high is not None:
            value = min(value, self.high)
        return value


EVERYTHING = Bounds()


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric. `better` is None for a metric that is printed and never scored or compared."""

    name: str
    better: Direction | None
    title: str = ""  # in prose; empty: the name with spaces
    unit: str = ""  # "share" is printed in percent
    bounds: Bounds = EVERYTHING  # on every data set
    digits: int = 4  # decimals that are printed

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name.replace("_", " "))
        if self.share and self.bounds == EVERYTHING:
            object.__setattr__(self, "bounds", Bounds(0, 1))

    @property
    def share(self) -> bool:
        """Whether the metric lies between 0 and 1 and is printed in percent."""
        return self.unit == SHARE

    def figure(self, value: float) -> str:
        """The value as people write it: a share in percent, everything else with the metric's own digits."""
        return f"{100 * value:.2f} %" if self.share else f"{value:.{self.digits}f}"


METRICS: Registry[Metric] = Registry("metric")
_BOUNDS: Registry[Bounds] = Registry("bound")  # "METRIC on DATA" -> bounds that hold on that data set only


def register_metric(metric: Metric) -> Metric:
    """Enter `metric` into the table and return it. Raises UserError for a taken name or an unknown direction."""
    if metric.better not in (*DIRECTIONS, None):
        raise UserError(
            f"the metric {metric.name!r} needs a direction: better='higher' or better='lower', not {metric.better!r} "
            "(better=None for a metric that is only printed)"
        )
    return METRICS.register(metric.name, metric)


def register_bounds(name: str, data: str, low: float | None, high: float | None) -> None:
    """Say that the metric called `name` lies between `low` and `high` on the data set or environment `data`."""
    _BOUNDS.register(f"{METRICS.find(name).name} on {data}", Bounds(low, high))


def metric(name: str) -> Metric:
    """Return the metric called `name`; raise UserError, which offers the nearest names, where there is none."""
    return METRICS.find(name)


def describe(name: str) -> Metric:
    """Return the metric called `name`, or for a name that is not in the table the best description there is.

    A name that ends with one in the table is printed like it: "untrained_knn_accuracy" is an accuracy of its own.
    Such a metric, like one of which nothing is known, has no direction.
    """
    if name in METRICS:
        return METRICS[name]
    endings = [known for known in METRICS if name.endswith(f"_{known}")]
    if not endings:
        return Metric(name, better=None)
    like = METRICS[max(endings, key=len)]
    title = f"{name.removesuffix(like.name).replace('_', ' ')}{like.title}"
    return dataclasses.replace(like, name=name, better=None, title=title)


def direction(name: str) -> Direction:
    """Which way is better. Raises UserError for an unknown metric and for one that has no direction."""
    better = metric(name).better
    if better is None:
        raise UserError(
            f"the metric {name!r} has no direction, so nothing can be scored or compared by it: "
            "register it with better='higher' or better='lower'"
        )
    return better


def score(name: str, value: float) -> float:
    """A number that is higher where the metric called `name` is better: `value`, or its negative."""
    return value if direction(name) == "higher" else -value


def title(name: str) -> str:
    """A metric's name in prose: bits_per_byte -> "bits per byte"."""
    return describe(name).title


def figure(name: str, value: float) -> str:
    """A metric's value as people write it."""
    return describe(name).figure(value)


def is_share(name: str) -> bool:
    """Whether the metric is printed in percent."""
    return describe(name).share


def bounds(name: str, data: str | None = None) -> Bounds:
    """The values that a metric can take, on the data set or environment `data` where that is known."""
    everywhere = describe(name).bounds
    return everywhere if data is None else _BOUNDS.get(f"{name} on {data}", everywhere)


def inside(name: str, interval: tuple[float, float], values: Sequence[float], data: str | None) -> tuple[float, float]:
    """Cut the interval of a mean at the bounds of its metric.

    values: what the interval was computed from. Where one of them lies outside of the bounds, these do not hold here
        (an environment with another time limit), and the interval stays as it is.
    """
    limits = bounds(name, data)
    if not limits.contain(values):
        return interval
    low, high = interval
    return limits.clip(low), limits.clip(high)
