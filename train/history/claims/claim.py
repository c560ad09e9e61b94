"""Claim: the statement of a paper as arms that differ in one thing, a metric, and effects fixed before the run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from train.config import Experiment, override
from train.config.metrics import DIRECTIONS, EVERYTHING, SHARE, Bounds
from train.history.claims import arms
from train.history.claims.arms import (
    TUNING_SEED,
    Arm,
    DerivedArm,
    Difference,
    FunctionArm,
    MembersArm,
    Metric,
    RemeasuredArm,
    TrainedArm,
    bounds_in,
    coincide,
    metric,
)
from train.history.claims.differing import covered, differing
from train.history.claims.effects import Effect
from train.history.claims.failures import SEEDS, Fails
from zoo.errors import UserError, unknown

VARIES = (
    "initial weights",
    "order of batches",
    "labels drawn",
    "pre-training",
    "test set",
    "environment",
    "random draws",
    "moment of measurement",
)
"""What can differ between the seeds of an arm. An interval over seeds covers this and nothing else.

Where "pre-training" is named, each seed of an arm starts from the seed of its own number of the run in `starts`.
"""


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


FACTS = ("models", "algorithms", "metric", "effects", "plot", "budget", "reason", "smaller", "varies", "pilots")
"""Fields of a claim that may differ between its two settings."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """The claim of a paper in a form that can fail. Raises UserError where it refers to an arm that does not exist.

    The first effect is the headline, the sentence that the paper is known for: it alone decides the verdict. The
    others are told beside it.
    """

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
    )  # runs that arms start from: one for all seeds, or one for each where `varies` names "pre-training"
    alone: bool = False  # other processes would disturb its measurements
    reason: str = ""  # the likely reason where the claim does not hold
    fails: Fails | None = None  # when a seed has failed; None: no seed may
    saturated: float | None = None  # above such a mean of the metric a trained arm tells nothing: effects are undecided
    smaller: str = ""  # what is much smaller than the paper's: "117 thousand parameters for 65 million"
    varies: tuple[str, ...] | None = None  # some of VARIES; None: the usual ones, see `varying`
    pilots: str = ""  # how the setting was searched before this run, if it was
    sabotage: str = ""  # the winning arm of the headline with the mechanism taken out, which must lose the effect
    full: Mapping[str, Any] = dataclasses.field(
        default_factory=dict
    )  # overrides of all trained arms, closer to the paper
    full_arms: Mapping[str, Arm] = dataclasses.field(
        default_factory=dict
    )  # arms in `full` in place of those of the same name, and further ones
    full_starts: Mapping[str, Experiment] = dataclasses.field(default_factory=dict)  # runs that arms start from, so too
    full_seeds: int | None = None
    full_says: Mapping[str, str] = dataclasses.field(default_factory=dict)  # arm -> its text in `full`, if another
    full_facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # FACTS that `full` has instead

    def __post_init__(self) -> None:
        if not self.effects:
            raise UserError("a claim needs at least one effect")
        for effect in self.effects:
            self._check_effect(effect)
        for arm in (*self.arms.values(), *self.full_arms.values()):
            self._check_arm(arm)
        for name in self.full_starts:
            if name not in self.starts:
                raise unknown("start of the full setting", name, self.starts)
        if self.sabotaged is not None:
            self._demand(self.sabotage, "sabotage")
            self._check_effect(self.sabotaged)
        for name in self.full_says:
            self._demand(name, "text")
        for name in self.full_facts:
            if name not in FACTS:
                raise unknown("fact of the full setting", name, FACTS)
        for name in (*self.plot.arms, *(name for series in self.plot.at.values() for name in series)):
            self._demand(name, "plot")
        for name in self.varies or ():
            if name not in VARIES:
                raise unknown("thing that varies between seeds", name, VARIES)
        self._check_seeds()
        self.measured  # noqa: B018  raises for a wrong name

    def _demand(self, name: str, where: str) -> None:
        if name not in self.arms:
            raise unknown(f"arm of an {where}" if where[0] in "aeiou" else f"arm of a {where}", name, self.arms)

    def _check_effect(self, effect: Effect) -> None:
        self._demand(effect.arm, "effect")
        if isinstance(effect.against, str):
            self._demand(effect.against, "effect")
            if coincide(self.arms[effect.arm], self.arms[effect.against]):
                raise UserError(
                    f"the arms {effect.arm} and {effect.against} are one and the same run: nothing to compare"
                )
            if effect.differs is not None:
                self._check_differs(effect, effect.differs)
        if effect.expected not in DIRECTIONS:
            raise unknown("expected direction", effect.expected, DIRECTIONS)

    def _check_differs(self, effect: Effect, declared: tuple[str, ...]) -> None:
        """Raise UserError where the arms of an effect differ in other fields than `declared`."""
        if undeclared := [path for path in self.differing(effect) if not covered(path, declared)]:
            raise UserError(
                f"the effect {effect.says!r}: {effect.arm} and {effect.against} also differ in "
                f"{', '.join(undeclared)}: arms differ in one thing, and it declares {', '.join(declared) or 'none'}"
            )

    def _check_arm(self, arm: Arm) -> None:
        match arm:
            case TrainedArm(start=str(start)) if start not in self.starts:
                raise unknown("start of an arm", start, self.starts)
            case RemeasuredArm(of=name):
                self._demand(name, "measurement")
                if not isinstance(self.arms[name], TrainedArm):
                    raise UserError(f"only a trained arm can be measured again, and {name} is not trained")
            case MembersArm(of=of, like=like):
                for name in (of, like):
                    self._demand(name, "mean of members")
                    if not isinstance(self.arms[name], TrainedArm | RemeasuredArm):
                        raise UserError(f"{name} is no trained arm: only an ensemble of networks has members")
            case DerivedArm(of=names):
                for name in names:
                    self._demand(name, "derived figure")
                    if isinstance(self.arms[name], DerivedArm | MembersArm):
                        raise UserError(f"{name} is a derived arm: a derived arm needs arms that are not derived")
                if len({self._computed(name) for name in names if not self.is_exact(name)}) > 1:
                    raise UserError(
                        f"{' and '.join(names)} are not both trained: their seeds are not those of equal draws"
                    )

    def _check_seeds(self) -> None:
        if self.seeds < 1:
            raise UserError(f"seeds must be at least 1, not {self.seeds}")
        if self.fails is not None and self.seeds < SEEDS:
            raise UserError(f"a claim whose seeds can fail needs at least {SEEDS} seeds, not {self.seeds}")
        for name, arm in self.arms.items():
            if isinstance(arm, TrainedArm) and arm.experiment.seed + self.seeds > TUNING_SEED:
                raise UserError(f"the arm {name} has seeds from {TUNING_SEED:,} on, which are those of tuning")

    @property
    def measured(self) -> Metric:
        """The metric, with its direction and unit."""
        return metric(self.metric) if isinstance(self.metric, str) else self.metric

    @property
    def varying(self) -> tuple[str, ...]:
        """What varies between the seeds of an arm. By default the initial weights and the order of batches."""
        if self.varies is not None:
            return self.varies
        if any(isinstance(arm, TrainedArm) for arm in self.arms.values()):
            return VARIES[:2]
        return () if all(self.is_exact(name) for name in self.arms) else ("random draws",)

    def start_of(self, arm: TrainedArm, experiment: Experiment) -> Experiment | None:
        """Return the run that `experiment`, of an arm or of its tuning, starts from; None where it starts by itself.

        Where pre-training varies it has the same seeds, so that seed i starts from seed i.
        """
        if arm.start is None:
            return None
        start = self.starts[arm.start]
        if "pre-training" not in self.varying:
            return start
        return dataclasses.replace(start, seed=experiment.seed, seeds=experiment.seeds)

    def unit(self, name: str) -> str:
        """Return the unit of an arm's values. Most arms have that of the claim's metric."""
        match self.arms[name]:
            case RemeasuredArm(metric=other):
                return other.unit
            case DerivedArm(unit=str(own)) | FunctionArm(unit=str(own)):
                return own
            case MembersArm(of=of):
                return self.unit(of)
        return self.measured.unit

    def favours(self, effect: Effect) -> bool:
        """Whether the effect that the paper expects is to the credit of `arm`, and not of what it stands against."""
        arm = self.arms[effect.arm]
        own = arm.metric if isinstance(arm, RemeasuredArm) else self.measured
        return own.better == effect.expected

    def differing(self, effect: Effect) -> list[str]:
        """Return the fields, but for tuned ones, in which two trained arms of an effect differ."""
        one, other = (self._trained(str(name)) for name in (effect.arm, effect.against))
        return differing(one, other) if one and other else []

    def _trained(self, name: str) -> TrainedArm | None:
        """Return the trained arm of this name, or the one whose networks the arm of this name measures again."""
        match self.arms.get(name):
            case RemeasuredArm(of=of):
                return self._trained(of)
            case TrainedArm() as arm:
                return arm
        return None

    def demand_one_difference(self) -> None:
        """Raise UserError where the arms of an effect differ in several fields that it does not declare."""
        for effect in self.effects:
            paths = self.differing(effect)
            if effect.differs is None and len(paths) > 1:
                raise UserError(
                    f"the effect {effect.says!r}: {effect.arm} and {effect.against} differ in {len(paths)} fields, and "
                    f"arms differ in one thing: where these are one, it declares differs={tuple(paths)}"
                )

    @property
    def sabotaged(self) -> Effect | None:
        """The headline with the sabotaged arm in the place of the winning one; None where none is declared."""
        if not self.sabotage:
            return None
        effect = self.effects[0]
        first = self.favours(effect) or not isinstance(effect.against, str)
        changes = {"arm": self.sabotage} if first else {"against": self.sabotage}
        return dataclasses.replace(effect, says=f"without the mechanism: {effect.says}", differs=None, **changes)

    def related(self, name: str, other: str | float) -> bool:
        """Whether equal seeds of two arms stand for equal draws: not where one is trained and the other computed."""
        return not isinstance(other, str) or self._computed(name) == self._computed(other)

    def _computed(self, name: str) -> bool:
        """Whether an arm is computed by a function, or derived from such arms, and nothing is trained for it."""
        match self.arms[name]:
            case DerivedArm(of=names):
                return all(map(self._computed, names))
            case arm:
                return isinstance(arm, FunctionArm)

    def is_exact(self, name: str) -> bool:
        """Whether an arm has one value that depends on no seed."""
        match self.arms[name]:
            case DerivedArm(of=names):
                return all(map(self.is_exact, names))
            case FunctionArm(exact=exact):
                return exact
        return False

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

        `budget`, `reason`, `smaller` and `pilots` are of the small setting: without others in `full_facts`, the full
        one computes its budget and has none of the others.
        """
        claim = self
        if full:
            if not (self.full or self.full_arms or self.full_seeds):
                raise UserError("this claim has no full setting: it always runs in full")
            own = {**self.arms, **self.full_arms}
            own = {name: arms.changed(arm, self.full) for name, arm in own.items()}
            own |= {name: dataclasses.replace(own[name], says=says) for name, says in self.full_says.items()}
            starts = {name: override(one, self.full) for name, one in {**self.starts, **self.full_starts}.items()}
            facts = {"budget": "", "reason": "", "smaller": "", "pilots": "", **self.full_facts}
            claim = dataclasses.replace(claim, arms=own, starts=starts, seeds=self.full_seeds or self.seeds, **facts)
        return dataclasses.replace(claim, seeds=seeds) if seeds is not None else claim

    def small(self) -> "Claim":
        """Return a version for the tests: each arm is reduced to seconds by its own `smoke`, without tuning."""
        own = {name: arms.smoke(arm) for name, arm in self.arms.items()}
        effects = tuple(dataclasses.replace(effect, differs=None) for effect in self.effects)  # nothing is tuned
        starts = {name: override(experiment, experiment.smoke) for name, experiment in self.starts.items()}
        return dataclasses.replace(self, arms=own, starts=starts, effects=effects, seeds=min(self.seeds, 2), fails=None)


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
