"""Effects: what a paper expects of two arms, and the verdict that follows from the values of their seeds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from train.config.metrics import Direction
from train.history.claims.failures import Failures, disagreement
from train.history.claims.values import Key, Values, constant
from train.metrics.statistics import difference_interval, mean_interval, unseen_rate
from zoo.errors import UserError

Verdict = Literal["holds", "contradicted", "too small to matter", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("holds", "contradicted", "too small to matter", "undecided")
KINDS = ("difference", "ratio")
SIGNS = 6  # pairs that must agree where only bounds are known: by chance all do in 1 of 64


@dataclasses.dataclass(frozen=True)
class Effect:
    """An effect that the paper states: `arm` is higher or lower than `against`, another arm or a number.

    kind: "difference" (arm - against) or "ratio" (arm / against, geometric mean over the seeds).
    margin: the smallest size that would count, from the paper's words or figures, without its sign: above 0 for a
    difference, in the unit of the metric, and above 1 for a ratio ("several times" is 2). It is required.
    differs: the fields in which the two trained arms may differ besides the tuned ones, where one thing is several
    fields: ("data.batch", "task.replay"). A part, such as "optim", stands for all its fields. None: one field.
    """

    arm: str
    against: str | float
    expected: Direction
    says: str
    kind: Literal["difference", "ratio"] = "difference"
    margin: float | None = None
    differs: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"the effect {self.says!r} is a difference or a ratio, not {self.kind!r}")
        zero = 1 if self.kind == "ratio" else 0
        if self.margin is None or not zero < self.margin < math.inf:
            has = "no margin" if self.margin is None else f"a margin of {self.margin:g}"
            raise UserError(
                f"the effect {self.says!r} has {has}: give the smallest size that would count in the paper, above "
                f"{zero} for a {self.kind}"
            )
        if self.kind == "ratio" and not isinstance(self.against, str) and self.against <= 0:
            raise UserError(f"the effect {self.says!r} is a ratio, so the number in `against` must be above 0")

    @property
    def least(self) -> float:
        """The smallest size that would count."""
        assert self.margin is not None, "checked when the effect was made"
        return self.margin

    def towards(self, low: float, high: float) -> tuple[float, float]:
        """Return an interval seen in the expected direction, in which a larger effect is a stronger one."""
        if self.expected == "higher":
            return low, high
        return (-high, -low) if self.kind == "difference" else (1 / high, 1 / low)

    def decide(self, low: float, high: float) -> Verdict:
        """Return the verdict that an interval gives; of an exact value both ends are that value."""
        low, high = self.towards(low, high)
        zero, opposite = (1.0, 1 / self.least) if self.kind == "ratio" else (0.0, -self.least)
        if low >= self.least:
            return "holds"
        if opposite < low and high < self.least:
            return "too small to matter"
        return "contradicted" if high < zero else "undecided"


class _Sample(NamedTuple):
    """The values of both arms that are compared."""

    first: list[float]
    second: list[float]
    paired: bool
    exact: bool = False  # neither depends on a seed
    only_at_least: tuple[bool, bool] = (False, False)  # whether an arm has values that are lower bounds


class _Estimate(NamedTuple):
    """An effect with its interval, or with a bound in its place."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: str = ""  # "at least" or "at most"
    verdict: Verdict = "undecided"
    why: str = ""  # it is undecided


def judge(
    effect: Effect,
    arms: Mapping[str, Values],
    unit: str = "",
    *,
    related: bool = True,
    failures: Mapping[str, Failures] | None = None,
    arm_is_better: bool = True,
) -> dict[str, Any]:
    """Return an effect as JSON: its value, its 95 % interval or its bound, and the verdict.

    related: whether equal seeds of the two arms stand for equal draws, so that they can be paired.
    failures: of each arm, where the claim says when a seed has failed; the effect is then that of all other seeds.
    arm_is_better: whether the paper's effect favours `arm`, by the direction of the metric.
    """
    first = arms[effect.arm]
    second = arms[effect.against] if isinstance(effect.against, str) else constant(effect.against)
    counted = [failures.get(name) if failures else None for name in (effect.arm, str(effect.against))]
    own, other = (found or Failures(frozenset(), 0) for found in counted)
    sample = _sample(first, second, related, own.keys, other.keys)
    found = _estimate(effect, sample)
    why = _doubts(effect, first, second, tell_lost=failures is None)
    if failures is not None and not why:
        favoured, less = (own, other) if arm_is_better == (found.verdict != "contradicted") else (other, own)
        why = disagreement(found.verdict, favoured, less)
    return {
        "says": effect.says,
        "arm": effect.arm,
        "against": effect.against,
        "expected": effect.expected,
        "kind": effect.kind,
        "unit": unit,
        "margin": effect.least,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "bound": found.bound,
        "exact": sample.exact,
        "paired": sample.paired,
        "seeds": [len(sample.first), len(sample.second)],
        "failures": [f.to_json(str(n)) for n, f in ((effect.arm, own), (effect.against, other)) if f.count],
        "unseen": unseen_rate(min(f.count for f in (own, other) if f.count)) if own.count or other.count else None,
        "verdict": "undecided" if why else found.verdict,
        "why": why or found.why,
    }


def _sample(first: Values, second: Values, related: bool, gone: frozenset[Key], gone_too: frozenset[Key]) -> _Sample:
    """Return the values to compare, without those of failed seeds.

    They are paired where they are made of the same seeds. What is exact stands against each value of the other arm.
    """
    a = {key: value for key, value in first.finite().items() if key not in gone}
    b = {key: value for key, value in second.finite().items() if key not in gone_too}
    if first.exact and second.exact:
        return _Sample(list(a.values()), list(b.values()), True, exact=True)
    if second.exact and b:
        b = dict.fromkeys(a, next(iter(b.values())))
    elif first.exact and a:
        a = dict.fromkeys(b, next(iter(a.values())))
    common = [key for key in a if key in b]
    related = related or first.exact or second.exact
    paired = related and (len(common) >= 2 or len(common) == len(a) == len(b))
    keys = (common, common) if paired else (list(a), list(b))
    bounds = bool(first.bounds() & set(keys[0])), bool(second.bounds() & set(keys[1]))
    return _Sample([a[key] for key in keys[0]], [b[key] for key in keys[1]], paired, False, bounds)


def _estimate(effect: Effect, sample: _Sample) -> _Estimate:
    """Return the effect of a sample, its interval and its verdict."""
    a, b = np.asarray(sample.first, np.float64), np.asarray(sample.second, np.float64)
    if not a.size or not b.size:
        return _Estimate(why="an arm has no value")
    if effect.kind == "ratio" and min(a.min(), b.min()) <= 0:
        return _Estimate(why="a ratio needs values above 0")
    back = math.exp if effect.kind == "ratio" else float
    if effect.kind == "ratio":
        a, b = np.log(a), np.log(b)
    value = back(a.mean() - b.mean())
    if sample.exact:
        return _Estimate(value, verdict=effect.decide(value, value))
    if any(sample.only_at_least):
        return _bounded(effect, sample, value, [back(x) for x in a - b] if sample.paired else [])
    if min(a.size, b.size) < 2:
        return _Estimate(value, why="one seed has no interval")
    low, high = map(back, mean_interval(a - b) if sample.paired else difference_interval(a, b))
    return _Estimate(value, low, high, verdict=effect.decide(low, high))


def _bounded(effect: Effect, sample: _Sample, value: float, pairs: Sequence[float]) -> _Estimate:
    """Return an effect of which only a bound is known, decided by the sign of every pair, or not at all.

    A lower bound in `arm` makes the effect larger than it is seen, one in `against` smaller. It says something for the
    paper only where the true effect is the stronger one.
    """
    first, second = sample.only_at_least
    if first and second:
        return _Estimate(why="both arms have seeds that never reached the goal")
    if first != (effect.expected == "higher"):
        name = effect.arm if first else effect.against
        return _Estimate(why=f"{name} has seeds that never reached the goal, so the effect may be smaller")
    beyond = sum(effect.towards(pair, pair)[0] >= effect.least for pair in pairs)
    bound = "at least" if first else "at most"
    if beyond == len(pairs) >= SIGNS:
        return _Estimate(value, bound=bound, verdict="holds")
    why = f"only a bound is known, and {beyond} of {len(pairs)} pairs are beyond the margin: it takes all, and {SIGNS}"
    return _Estimate(value, bound=bound, why=why)


def _doubts(effect: Effect, first: Values, second: Values, *, tell_lost: bool) -> str:
    """Return why an effect cannot be decided whatever its interval is; "" where nothing stands against it."""
    named = ((effect.arm, first), (str(effect.against), second))
    found = [f"{name}: {values.doubt}" for name, values in named if values.doubt]
    if tell_lost:
        found += [f"{name}: {lost}" for name, values in named if (lost := values.lost())]
    return "; ".join(found)
