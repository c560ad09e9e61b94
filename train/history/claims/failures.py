"""Failures: which seeds of an arm failed, how often each arm fails, and whether that agrees with an effect.

No interval of a mean tells of a failure that one seed in ten has: three seeds miss it in 73 % of all claims. So where
seeds can fail, two things are reported apart: how many failed, and the effect of those that did not.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from train.history.claims.arms import Arm, FunctionArm, TrainedArm, sources
from train.history.claims.values import Key, Values
from train.metrics.statistics import clopper_pearson
from zoo.errors import UserError

SEEDS = 8  # the fewest seeds of a claim whose seeds can fail


@dataclasses.dataclass(frozen=True)
class Fails:
    """When a seed has failed: its value of the claim's metric is beyond the threshold. A diverged seed always has.

    side: "above" or "below" the threshold. Without arguments only a diverged seed fails.
    """

    side: Literal["above", "below"] = "above"
    threshold: float = math.inf

    def __post_init__(self) -> None:
        if self.side not in ("above", "below"):
            raise UserError(f"a seed fails above or below a threshold, not {self.side!r}")

    def past(self, value: float) -> bool:
        return value > self.threshold if self.side == "above" else value < self.threshold


@dataclasses.dataclass(frozen=True)
class Failures:
    """The failed values of an arm."""

    keys: frozenset[Key]  # of the values that failed
    count: int  # of all values

    @property
    def share(self) -> float:
        return len(self.keys) / self.count if self.count else 0.0

    def to_json(self, name: str) -> dict[str, Any]:
        low, high = clopper_pearson(len(self.keys), self.count)
        return {"arm": name, "failed": len(self.keys), "of": self.count, "low": low, "high": high}


def count(arms: Mapping[str, Arm], values: Mapping[str, Values], fails: Fails) -> dict[str, Failures]:
    """Return the failures of each arm. A value made of another arm's seeds has failed where one of these has."""
    return {name: _of_arm(name, arms, values, fails) for name in arms}


def _of_arm(name: str, arms: Mapping[str, Arm], values: Mapping[str, Values], fails: Fails) -> Failures:
    arm, own = arms[name], values[name]
    if own.exact:
        return Failures(frozenset(), 0)
    there = own.finite()
    failed = {key for key in own.of if key not in there or key & own.diverged}
    if isinstance(arm, TrainedArm | FunctionArm):  # the threshold is one of the claim's metric
        failed |= {key for key, value in there.items() if fails.past(value)}
    for source in sources(arm):
        seeds = frozenset().union(*_of_arm(source, arms, values, fails).keys)
        failed |= {key for key in own.of if key & seeds}
    return Failures(frozenset(failed), len(own.of))


def disagreement(verdict: str, favoured: Failures, other: Failures) -> str:
    """Return why the failures do not agree with a verdict on the seeds that did not fail; "" where they do.

    favoured: of the arm that the verdict calls the better one. "Too small to matter" favours neither.
    """
    if verdict == "too small to matter":
        uneven = favoured.share != other.share
    else:
        uneven = verdict != "undecided" and favoured.share > other.share
    if not uneven:
        return ""
    less, more = sorted((favoured, other), key=lambda one: one.share)
    said = {"holds": "holds", "contradicted": "is contradicted"}.get(verdict, "is too small to matter")
    counts = f"{len(more.keys)} of {more.count} failed in one arm and {len(less.keys)} of {less.count} in the other"
    return f"of the seeds that did not fail it {said}, but {counts}"
