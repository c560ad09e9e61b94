"""Claim: the statement of a paper as arms that differ in one thing, a metric, and effects fixed before the run."""

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import train.metrics  # noqa: F401  fills the table of metrics
from train.config import Experiment, metrics, override, sweep
from train.config.metrics import DIRECTIONS, EVERYTHING, SHARE, Bounds, Direction
from train.loop.run import Run
from zoo.errors import UserError, unknown


@dataclasses.dataclass(frozen=True)
class Metric:
    """What the arms are compared by. `metric` lists the names that need no function."""

    name: str
    unit: str = ""  # "share" is printed in percent
    better: Direction = "lower"
    of: Callable[[Run], Sequence[float | None]] | None = None  # a finished run -> one value per seed
    measures: str = dataclasses.field(default="", compare=False)  # the metric in `train.metrics` whose bounds it has


def metric(name: str) -> Metric:
    """Return the metric with this name, which is read from the files of a run.

    "test accuracy", "validation loss": a metric of a split after the last step, from the summary.
    "train loss": the mean over the steps since the last evaluation but one, measured during training.
    "steps to reach train accuracy 0.75": the first step at which it is reached, at the resolution of a chunk or an
    evaluation. A run that never reaches it, or diverges, counts with its length, which can only shrink an effect.
    "mean validation return": the mean over all evaluations of the run, which also rewards fast learning.
    Raises UserError for any other name, and for a metric that has no direction in `train.metrics`.
    """
    split, _, what = name.partition(" ")
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


@dataclasses.dataclass(frozen=True)
class Tune:
    """The tuning of an arm: it gets the best value of `sweep` (such as learning rates) in a shorter run of one seed."""

    sweep: tuple[str, ...]  # like Experiment.sweep: ("optim.lr=0.01,0.1",)
    steps: int
    by: str = "train loss"

    def __post_init__(self) -> None:
        if metric(self.by).name.startswith("test"):
            raise UserError(f"a claim must not tune on the test split: choose another metric than {self.by!r}")


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


@dataclasses.dataclass(frozen=True)
class FunctionArm:
    """An arm whose value is a function of the seed, without the training loop."""

    says: str
    value: Callable[[int], float | Outcome]
    smoke: Callable[[int], float | Outcome] | None = (
        None  # a smaller function for the tests; None: `value` is small enough
    )


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


Arm = TrainedArm | FunctionArm | RemeasuredArm | DerivedArm


@dataclasses.dataclass(frozen=True)
class Effect:
    """An effect that the paper states: `arm` is higher or lower than `against`, or than `margin` if that is None.

    kind: "difference" (arm - against) or "ratio" (arm / against, geometric mean over the seeds).
    margin: the least size of the effect in the paper; None: 0 for a difference, 1 for a ratio.
    """

    arm: str
    against: str | None
    expected: Direction
    says: str
    kind: Literal["difference", "ratio"] = "difference"
    margin: float | None = None

    @property
    def threshold(self) -> float:
        return self.margin if self.margin is not None else float(self.kind == "ratio")


@dataclasses.dataclass(frozen=True)
class Plot:
    """The plot of a claim.

    kind: "bars" (one for each arm), "curve" (the metric `of` against the step) or "points" (arms at positions on x).
    of: for "curve", a logged metric such as "train loss"; a FunctionArm returns its own curve.
    at: for "points", series -> (arm -> x). arms: the arms in the plot; empty: all.
    """

    kind: Literal["bars", "curve", "points"] = "bars"
    x: str = ""
    y: str = ""
    log_x: bool = False
    log_y: bool = False
    of: str = "train loss"
    at: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    arms: tuple[str, ...] = ()


FACTS = ("models", "algorithms", "effects", "plot", "budget", "reason")
"""Fields of a claim that may name figures of one setting."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """The claim of a paper in a form that can fail. Raises UserError where it refers to an arm that does not exist."""

    year: int
    paper: str  # with its figure or table: "He et al. 2015, Fig. 1 and Table 6"
    link: str
    says: str  # the claim in one sentence
    arms: Mapping[str, Arm]
    effects: tuple[Effect, ...]
    metric: str | Metric
    models: tuple[str, ...] = ()  # cards of the models in question
    algorithms: tuple[str, ...] = ()  # cards of the update rules, losses and activations in question
    seeds: int = 5
    seconds: float = 300  # estimated duration on two cores, used until a result is recorded
    plot: Plot = Plot()
    budget: str = ""  # the budget of every arm; empty: computed from the steps and batches of the trained arms
    starts: Mapping[str, Experiment] = dataclasses.field(
        default_factory=dict
    )  # runs that arms start from, each trained once
    alone: bool = False  # other processes would disturb its measurements
    reason: str = ""  # the likely reason where the claim does not hold or is undecided
    full: Mapping[str, Any] = dataclasses.field(
        default_factory=dict
    )  # overrides of all trained arms, closer to the paper
    full_arms: Mapping[str, Arm] = dataclasses.field(default_factory=dict)  # replacements of whole arms in `full`
    full_seeds: int | None = None
    full_says: Mapping[str, str] = dataclasses.field(default_factory=dict)  # arm -> its text in `full`, if another
    full_facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # FACTS that `full` has instead

    def __post_init__(self) -> None:
        if not self.effects:
            raise UserError("a claim needs at least one effect")
        for effect in self.effects:
            for name in (effect.arm, effect.against):
                if name is not None:
                    self._demand(name, "effect")
            if effect.against is None and effect.kind == "ratio":
                raise UserError(f"the effect {effect.says!r} is a ratio, so it needs an arm in `against`")
            if effect.against and _coincide(self.arms[effect.arm], self.arms[effect.against]):
                raise UserError(
                    f"the arms {effect.arm} and {effect.against} are one and the same run: nothing to compare"
                )
            if effect.expected not in DIRECTIONS:
                raise unknown("expected direction", effect.expected, DIRECTIONS)
        for arm in (*self.arms.values(), *self.full_arms.values()):
            self._check_arm(arm)
        for name in self.full_says:
            self._demand(name, "text")
        for name in self.full_facts:
            if name not in FACTS:
                raise unknown("fact of the full setting", name, FACTS)
        for name in (*self.plot.arms, *(name for series in self.plot.at.values() for name in series)):
            self._demand(name, "plot")
        if self.seeds < 1:
            raise UserError(f"seeds must be at least 1, not {self.seeds}")
        self.measured  # noqa: B018  raises for a wrong name

    def _demand(self, name: str, where: str) -> None:
        if name not in self.arms:
            raise unknown(f"arm of an {where}" if where[0] in "aeiou" else f"arm of a {where}", name, self.arms)

    def _check_arm(self, arm: Arm) -> None:
        match arm:
            case TrainedArm(start=str(start)) if start not in self.starts:
                raise unknown("start of an arm", start, self.starts)
            case RemeasuredArm(of=name):
                self._demand(name, "measurement")
                if not isinstance(self.arms[name], TrainedArm):
                    raise UserError(f"only a trained arm can be measured again, and {name} is not trained")
            case DerivedArm(of=names):
                for name in names:
                    self._demand(name, "derived figure")
                    if isinstance(self.arms[name], DerivedArm):
                        raise UserError(f"{name} is a derived arm: a derived arm needs arms that are not derived")
                if len({self._computed(name) for name in names}) > 1:
                    raise UserError(
                        f"{' and '.join(names)} are not both trained: their seeds are not those of equal draws"
                    )

    @property
    def measured(self) -> Metric:
        """The metric, with its direction and unit."""
        return metric(self.metric) if isinstance(self.metric, str) else self.metric

    def unit(self, name: str) -> str:
        """Return the unit of an arm's values. Most arms have that of the claim's metric."""
        match self.arms[name]:
            case RemeasuredArm(metric=other):
                return other.unit
            case DerivedArm(unit=str(own)):
                return own
        return self.measured.unit

    def related(self, name: str, other: str | None) -> bool:
        """Whether equal seeds of two arms stand for equal draws: not where one is trained and the other computed."""
        return other is None or self._computed(name) == self._computed(other)

    def _computed(self, name: str) -> bool:
        """Whether an arm is computed by a function, or derived from such arms, and nothing is trained for it."""
        match self.arms[name]:
            case DerivedArm(of=names):
                return self._computed(names[0])
            case arm:
                return isinstance(arm, FunctionArm)

    def bounds(self, name: str) -> Bounds:
        """The values that an arm can take: its interval ends there. A difference of shares can be negative."""
        arm, measures = self.arms[name], self.measured.measures
        if isinstance(arm, TrainedArm) and measures:
            return bounds_in(arm.experiment, measures)
        if isinstance(arm, Difference) or self.unit(name) != SHARE:
            return EVERYTHING
        return Bounds(0, 1)

    def at(self, *, full: bool = False, seeds: int | None = None) -> "Claim":
        """Return the claim at its `full` setting, or with another number of seeds.

        `budget` and `reason` are of the small setting: without others in `full_facts`, the full one computes its budget
        and knows no reason.
        """
        claim = self
        if full:
            if not (self.full or self.full_arms or self.full_seeds):
                raise UserError("this claim has no full setting: it always runs in full")
            arms = {name: self.full_arms.get(name, arm) for name, arm in self.arms.items()}
            arms = {name: _changed(arm, self.full) for name, arm in arms.items()}
            arms |= {name: dataclasses.replace(arms[name], says=says) for name, says in self.full_says.items()}
            starts = {name: override(experiment, self.full) for name, experiment in self.starts.items()}
            facts = {"budget": "", "reason": "", **self.full_facts}
            claim = dataclasses.replace(claim, arms=arms, starts=starts, seeds=self.full_seeds or self.seeds, **facts)
        return dataclasses.replace(claim, seeds=seeds) if seeds is not None else claim

    def small(self) -> "Claim":
        """Return a version for the tests: each arm is reduced to seconds by its own `smoke`, without tuning."""
        arms = {name: _smoke(arm) for name, arm in self.arms.items()}
        starts = {name: override(experiment, experiment.smoke) for name, experiment in self.starts.items()}
        return dataclasses.replace(self, arms=arms, starts=starts, seeds=min(self.seeds, 2))


def bounds_in(experiment: Experiment, name: str) -> Bounds:
    """The values of a metric in runs of an experiment; an environment with another time limit has its own."""
    own_limit = getattr(experiment.data, "time_limit", None) is not None
    return metrics.bounds(name, None if own_limit else experiment.data.name)


def _coincide(one: Arm, other: Arm) -> bool:
    """Whether two arms are trained in the same way."""
    return (
        isinstance(one, TrainedArm)
        and isinstance(other, TrainedArm)
        and dataclasses.replace(one, says="") == dataclasses.replace(other, says="")
    )


def _changed(arm: Arm, changes: Mapping[str, Any]) -> Arm:
    if not isinstance(arm, TrainedArm):
        return arm
    return dataclasses.replace(arm, experiment=override(arm.experiment, changes))


def _smoke(arm: Arm) -> Arm:
    match arm:
        case TrainedArm(experiment=experiment, tune=tune):
            small = override(experiment, experiment.smoke)
            if tune is not None:  # its last setting stands for the best
                swept = dataclasses.replace(small, sweep=tune.sweep)
                small = sweep.with_setting(small, sweep.settings(swept)[-1])
            return dataclasses.replace(arm, experiment=small, tune=None)
        case FunctionArm(smoke=smoke) if smoke is not None:
            return dataclasses.replace(arm, value=smoke)
    return arm


def budget(claim: Claim) -> str:
    """Return the budget of the arms: "2,000 steps of 128 examples each", or ranges where the arms differ."""
    trained = [arm.experiment for arm in claim.arms.values() if isinstance(arm, TrainedArm)]
    if claim.budget or not trained:
        return claim.budget
    steps = sorted({experiment.steps for experiment in trained})
    batch = sorted({experiment.data.batch for experiment in trained})
    return f"{_range(steps)} steps of {_range(batch)} examples each"


def _range(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
