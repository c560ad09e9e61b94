"""Claim: what a paper says, as arms that differ in one thing, a metric, and directions fixed before the run."""

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from train.config import Experiment, override
from train.loop.run import Run
from zoo.errors import UserError, unknown

Direction = Literal["higher", "lower"]
UNITS = {"accuracy": "share", "exact_match": "share", "loss": "nats", "return": "", "bleu": "", "perplexity": ""}
RISING = ("accuracy", "top5_accuracy", "exact_match", "return", "bleu", "chrf")


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is compared. The names that need no function are in `metric`."""

    name: str
    unit: str = ""  # "share" is printed in percent
    better: Direction = "lower"
    of: Callable[[Run], Sequence[float | None]] | None = None  # a finished run -> one value for each of its seeds


def metric(name: str) -> Metric:
    """The metric that a run's own files hold, by name:

    "test accuracy", "validation loss": any metric of a split, as the summary has it, after the last step;
    "train loss": the mean over the steps since the last evaluation but one, the network in training;
    "steps to reach train accuracy 0.75": the first step at which it is reached, in steps of a chunk or an evaluation;
    a run that never does, or diverges, counts as its length: less than the truth, so no effect is made larger;
    "mean validation return": the mean over all evaluations of the run, so that how soon it is reached counts as well.
    Raises UserError for any other name.
    """
    split, _, what = name.partition(" ")
    if re.fullmatch(r"steps to reach (train|validation) \w+ -?[\d.]+", name):
        return Metric(name, "steps", "lower")
    if found := re.fullmatch(r"mean validation (\w+)", name):
        return dataclasses.replace(metric(f"validation {found[1]}"), name=name)
    if split not in ("train", "validation", "test") or not re.fullmatch(r"\w+", what):
        raise UserError(
            f"{name!r} is no metric of a claim: write it as 'test accuracy', 'train loss', 'validation loss' or "
            "'steps to reach train accuracy 0.75', or give a Metric with a function of the finished run"
        )
    return Metric(name, UNITS.get(what, ""), "higher" if what in RISING else "lower")


@dataclasses.dataclass(frozen=True)
class Tune:
    """An arm's own learning rate (or what else): the best value of `sweep` in a shorter run with the first seed."""

    sweep: tuple[str, ...]  # as Experiment.sweep: ("optim.lr=0.01,0.1",)
    steps: int
    by: str = "train loss"

    def __post_init__(self) -> None:
        if metric(self.by).name.startswith("test"):
            raise UserError(f"a claim chooses nothing on the test split: tune by another metric than {self.by!r}")


@dataclasses.dataclass(frozen=True)
class TrainedArm:
    """An arm that the loop trains, all seeds as replicas of one run."""

    says: str
    experiment: Experiment
    tune: Tune | None = None
    start: str | None = None  # name in the claim's `starts`, of the run whose parameters it begins with


class Outcome(NamedTuple):
    """What a Computed arm finds with one seed: its value, and a curve to draw."""

    value: float
    x: Sequence[float] = ()
    y: Sequence[float] = ()


@dataclasses.dataclass(frozen=True)
class FunctionArm:
    """An arm that is a function of the seed, where the loop is not the point."""

    says: str
    value: Callable[[int], float | Outcome]
    smoke: Callable[[int], float | Outcome] | None = None  # a smaller one for the tests; None: it is small already


@dataclasses.dataclass(frozen=True)
class RemeasuredArm:
    """The networks of another arm under another metric, such as on shifted images."""

    says: str
    of: str  # a Trained arm
    metric: Metric


@dataclasses.dataclass(frozen=True)
class DerivedArm:
    """A figure made of other arms, seed by seed: a gap that can itself be compared, an exponent fitted to all."""

    says: str
    of: tuple[str, ...]  # arms that are not derived themselves
    value: Callable[..., float]  # of one value of each of them, in this order and of the same seed
    unit: str | None = None  # as Metric.unit; None: the claim's


class Difference(DerivedArm):
    """What lies between two arms, seed by seed: first - second."""

    def __init__(self, says: str, first: str, second: str) -> None:
        super().__init__(says, (first, second), operator.sub)


Arm = TrainedArm | FunctionArm | RemeasuredArm | DerivedArm


@dataclasses.dataclass(frozen=True)
class Effect:
    """A direction that the paper gives: `arm` is higher (or lower) than `against`, or than `margin` where that is None.

    kind: "difference" arm - against, or "ratio" arm / against (geometric mean over the seeds).
    margin: how large the paper has it at least; None: 0 for a difference, 1 for a ratio.
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
    """How the claim is drawn: "bars", a bar an arm; "curve", `of` against the step; "points", arms at places on x.

    of: "curve": a metric of the training or validation lines, such as "train loss"; arms that are Computed bring their
    own curve. at: "points": series -> (arm -> x). arms: which are drawn; empty: all.
    """

    kind: Literal["bars", "curve", "points"] = "bars"
    x: str = ""
    y: str = ""
    log_x: bool = False
    log_y: bool = False
    of: str = "train loss"
    at: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    arms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """A paper's claim in a form that can fail. Raises UserError where it names what it does not have."""

    year: int
    paper: str  # with its figure or table: "He et al. 2015, Fig. 1 and Table 6"
    link: str
    says: str  # in a sentence
    arms: Mapping[str, Arm]
    effects: tuple[Effect, ...]
    metric: str | Metric
    models: tuple[str, ...] = ()  # cards that it is about
    algorithms: tuple[str, ...] = ()  # cards of update rules, losses, activations
    seeds: int = 5
    seconds: float = 300  # about how long it takes on two cores, before anything is recorded
    plot: Plot = Plot()
    budget: str = ""  # what every arm is given; empty: made from the steps and batches of the trained ones
    starts: Mapping[str, Experiment] = dataclasses.field(
        default_factory=dict
    )  # runs that arms begin with, trained once
    alone: bool = False  # what it measures is disturbed by whatever runs beside it
    reason: str = ""  # where it was seen not to hold, or to stay undecided: the likely reason
    full: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # overrides of all trained arms, nearer the paper
    full_arms: Mapping[str, Arm] = dataclasses.field(default_factory=dict)  # arms that `full` replaces as a whole
    full_seeds: int | None = None

    def __post_init__(self) -> None:
        if not self.effects:
            raise UserError("a claim needs at least one effect")
        for effect in self.effects:
            for name in (effect.arm, effect.against):
                if name is not None:
                    self._demand(name, "effect")
            if effect.against is None and effect.kind == "ratio":
                raise UserError(f"the effect {effect.says!r} is a ratio to nothing: name the arm that it is against")
            if effect.expected not in ("higher", "lower"):
                raise unknown("expected direction", effect.expected, ("higher", "lower"))
        for arm in (*self.arms.values(), *self.full_arms.values()):
            self._check_arm(arm)
        for name in (*self.plot.arms, *(name for series in self.plot.at.values() for name in series)):
            self._demand(name, "plot")
        if self.seeds < 1:
            raise UserError(f"seeds must be at least 1, not {self.seeds}")
        self.measured  # noqa: B018  a wrong name is found here

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
                    raise UserError(f"only a trained arm can be measured again, and {name} is none")
            case DerivedArm(of=names):
                for name in names:
                    self._demand(name, "derived figure")
                    if isinstance(self.arms[name], DerivedArm):
                        raise UserError(f"{name} is derived itself: take arms that are not")

    @property
    def measured(self) -> Metric:
        """The metric, with its direction and unit."""
        return metric(self.metric) if isinstance(self.metric, str) else self.metric

    def unit(self, name: str) -> str:
        """Of an arm's values: most have the claim's."""
        match self.arms[name]:
            case RemeasuredArm(metric=other):
                return other.unit
            case DerivedArm(unit=str(own)):
                return own
        return self.measured.unit

    def at(self, *, full: bool = False, seeds: int | None = None) -> "Claim":
        """The claim as it is to be run: at its `full` setting, with another number of seeds."""
        claim = self
        if full:
            if not (self.full or self.full_arms or self.full_seeds):
                raise UserError("this claim has no full setting: what it runs is all of it")
            arms = {name: self.full_arms.get(name, arm) for name, arm in self.arms.items()}
            arms = {name: _changed(arm, self.full) for name, arm in arms.items()}
            starts = {name: override(experiment, self.full) for name, experiment in self.starts.items()}
            claim = dataclasses.replace(claim, arms=arms, starts=starts, seeds=self.full_seeds or self.seeds)
        return dataclasses.replace(claim, seeds=seeds) if seeds is not None else claim

    def small(self) -> "Claim":
        """The same claim, each arm shrunk to seconds by its own `smoke` and without tuning: what the tests run."""
        arms = {name: _smoke(arm) for name, arm in self.arms.items()}
        starts = {name: override(experiment, experiment.smoke) for name, experiment in self.starts.items()}
        return dataclasses.replace(self, arms=arms, starts=starts, seeds=min(self.seeds, 2))


def _changed(arm: Arm, changes: Mapping[str, Any]) -> Arm:
    if not isinstance(arm, TrainedArm):
        return arm
    return dataclasses.replace(arm, experiment=override(arm.experiment, changes))


def _smoke(arm: Arm) -> Arm:
    match arm:
        case TrainedArm(experiment=experiment):
            return dataclasses.replace(arm, experiment=override(experiment, experiment.smoke), tune=None)
        case FunctionArm(smoke=smoke) if smoke is not None:
            return dataclasses.replace(arm, value=smoke)
    return arm


def budget(claim: Claim) -> str:
    """What the arms were given: "2,000 steps of 128 examples each"; where they differ, from and to."""
    trained = [arm.experiment for arm in claim.arms.values() if isinstance(arm, TrainedArm)]
    if claim.budget or not trained:
        return claim.budget
    steps = sorted({experiment.steps for experiment in trained})
    batch = sorted({experiment.data.batch for experiment in trained})
    return f"{_range(steps)} steps of {_range(batch)} examples each"


def _range(values: Sequence[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
