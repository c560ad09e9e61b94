"""The arms of a claim: what is trained, computed, measured again or derived, and the metric that compares them."""

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import train.metrics  # noqa: F401  fills the table of metrics
from train.config import Experiment, metrics, override
from train.config.metrics import Bounds, Direction
from train.history.claims import tuned_settings
from train.loop.run import Run
from zoo.errors import UserError


class Measured(NamedTuple):
    """A value of a metric where a number alone does not say enough."""

    value: float | None  # None: it is not finite
    of: tuple[int, ...] | None = None  # seeds that it is made of, such as an ensemble's members; None: its own seed
    at_least: bool = False  # censored: the run ended before the true value was reached


@dataclasses.dataclass(frozen=True)
class Metric:
    """What the arms are compared by. `metric` lists the names that need no function."""

    name: str
    unit: str = ""  # "share" is printed in percent
    better: Direction = "lower"
    of: Callable[[Run], Sequence[float | Measured | None]] | None = None  # a finished run -> one value per seed
    measures: str = dataclasses.field(default="", compare=False)  # the metric in `train.metrics` whose bounds it has

    @property
    def counts_steps(self) -> bool:
        """Whether a value is the step at which a goal is reached, so that it can be censored."""
        return self.name.startswith("steps to reach ")


MEAN_LOG_LOSS = "mean log train loss"


def metric(name: str) -> Metric:
    """Return the metric with this name, which is read from the files of a run.

    "test accuracy", "validation loss": a metric of a split after the last step, from the summary.
    "train loss": the mean over the steps since the last evaluation but one, measured during training.
    "steps to reach train accuracy 0.75": the first step at which it is reached, at the resolution of a chunk or an
    evaluation. For a run that never reaches it, or diverges, the length of the run is only a lower bound of it.
    "mean validation return": the mean over all evaluations of the run, which also rewards fast learning.
    "mean log train loss": the mean over all steps of the logarithm of the loss, as if by the area under its curve on
    a logarithmic axis. The loss is the mean of each chunk.
    Raises UserError for any other name, and for a metric that has no direction in `train.metrics`.
    """
    split, _, what = name.partition(" ")
    if name == MEAN_LOG_LOSS:
        return Metric(name, "log nats", "lower")
    if found := re.fullmatch(r"steps to reach (?:train|validation) (\w+) -?[\d.]+", name):
        metrics.direction(found[1])
        return Metric(name, "steps", "lower")
    if found := re.fullmatch(r"mean validation (\w+)", name):
        return dataclasses.replace(metric(f"validation {found[1]}"), name=name)
    if split not in ("train", "validation", "test") or not re.fullmatch(r"\w+", what):
        raise UserError(
            f"{name!r} is not a metric of a claim: write it as 'test accuracy', 'train loss', 'validation loss' or "
            "'steps to reach train accuracy 0.75', or give a Metric with a function of the finished run"
        )
    return Metric(name, metrics.metric(what).unit, metrics.direction(what), measures=what)


TUNING_SEED = 10_000
"""The first seed of tuning. Seeds that are compared lie below it."""


@dataclasses.dataclass(frozen=True)
class Tune:
    """The tuning of an arm: it gets the value of `sweep` (such as learning rates) that is best in shorter runs.

    `sweep` is like Experiment.sweep: ("optim.lr=0.01,0.1",). A field that shapes the program, "model.dropout=0.3,0.5",
    can be tuned too, by runs of its own (see tuned_settings.py). The best value has the best mean of the metric `by`
    over seeds that are never compared. Where it is an end of the sweep, the sweep is extended (see tuning.py).
    """

    sweep: tuple[str, ...]
    steps: int
    by: str = "train loss"
    seeds: int = 3

    def __post_init__(self) -> None:
        if metric(self.by).name.startswith("test"):
            raise UserError(f"a claim must not tune on the test split: choose another metric than {self.by!r}")
        if self.seeds < 1:
            raise UserError(f"an arm is tuned by at least 1 seed, not {self.seeds}")
        for text in self.sweep:
            if "," not in text:
                raise UserError(f"the sweep of a Tune needs at least two values of each field, not {text!r}")


@dataclasses.dataclass(frozen=True)
class TrainedArm:
    """An arm that is trained; all its seeds are replicas of one run."""

    says: str
    experiment: Experiment
    tune: Tune | None = None
    start: str | None = None  # name of the run in the claim's `starts` whose parameters it starts from


class Outcome(NamedTuple):
    """The result of a FunctionArm for one seed: its value, and optionally a curve for the plot."""

    value: float
    x: Sequence[float] = ()
    y: Sequence[float] = ()
    at_least: bool = False  # censored: the value is only a lower bound of the true one
    doubt: str = ""  # why no effect of the arm can be decided, such as a rate at the end of what was tried


@dataclasses.dataclass(frozen=True)
class FunctionArm:
    """An arm whose value is a function of the seed, without the training loop."""

    says: str
    value: Callable[[int], float | Outcome]
    smoke: Callable[[int], float | Outcome] | None = (
        None  # a smaller function for the tests; None: `value` is small enough
    )
    exact: bool = False  # the value does not depend on the seed: it is computed once, for seed 0
    unit: str | None = None  # like Metric.unit; None: that of the claim's metric


@dataclasses.dataclass(frozen=True)
class RemeasuredArm:
    """The networks of another arm, measured by another metric, such as on shifted images."""

    says: str
    of: str  # name of a TrainedArm
    metric: Metric


@dataclasses.dataclass(frozen=True)
class DerivedArm:
    """A value that is computed from other arms for each seed, such as a difference or a fitted exponent."""

    says: str
    of: tuple[str, ...]  # names of arms that are not derived themselves
    value: Callable[..., float]  # called with the value of each of them, in this order, for the same seed
    unit: str | None = None  # like Metric.unit; None: that of the claim's metric


class Difference(DerivedArm):
    """The difference of two arms for each seed: first - second."""

    def __init__(self, says: str, first: str, second: str) -> None:
        super().__init__(says, (first, second), operator.sub)


@dataclasses.dataclass(frozen=True)
class MembersArm:
    """For each value of the arm `like`, such as an ensemble's, the mean of its members in the arm `of`.

    An ensemble is fairly compared with this mean. One of its members alone is better or worse by chance.
    """

    says: str
    of: str  # name of the arm that has a value for each member
    like: str  # name of the arm whose values are made of several seeds


Arm = TrainedArm | FunctionArm | RemeasuredArm | DerivedArm | MembersArm


def sources(arm: Arm) -> tuple[str, ...]:
    """Return the names of the arms that an arm is made of; () for one that is trained or computed."""
    match arm:
        case RemeasuredArm(of=of):
            return (of,)
        case MembersArm(of=of, like=like):
            return (of, like)
        case DerivedArm(of=names):
            return names
    return ()


def bounds_in(experiment: Experiment, name: str) -> Bounds:
    """The values of a metric in runs of an experiment; an environment with another time limit has its own."""
    own_limit = getattr(experiment.data, "time_limit", None) is not None
    return metrics.bounds(name, None if own_limit else experiment.data.name)


def coincide(one: Arm, other: Arm) -> bool:
    """Whether two arms are trained in the same way."""
    return (
        isinstance(one, TrainedArm)
        and isinstance(other, TrainedArm)
        and dataclasses.replace(one, says="") == dataclasses.replace(other, says="")
    )


def changed(arm: Arm, changes: Mapping[str, Any]) -> Arm:
    """Return a trained arm with overrides of its experiment; any other arm as it is."""
    if not isinstance(arm, TrainedArm):
        return arm
    return dataclasses.replace(arm, experiment=override(arm.experiment, changes))


def smoke(arm: Arm) -> Arm:
    """Return an arm that takes seconds, without tuning."""
    match arm:
        case TrainedArm(experiment=experiment, tune=tune):
            small = override(experiment, experiment.smoke)
            if tune is not None:  # its last setting stands for the best
                small = tuned_settings.with_setting(small, tuned_settings.last(small, tune.sweep))
            return dataclasses.replace(arm, experiment=small, tune=None)
        case FunctionArm(smoke=smaller) if smaller is not None:
            return dataclasses.replace(arm, value=smaller)
    return arm
