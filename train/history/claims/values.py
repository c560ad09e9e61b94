"""Values: what an arm came to, seed by seed, and the values of arms that are computed from other arms."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from train.history.claims.arms import DerivedArm, MembersArm

Key = frozenset[int]
"""The seeds that a value is made of: one, or the members of an ensemble. Values with equal keys are paired."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line per seed: x (N,), and y (seeds, N), NaN where a value is missing."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True)
class Values:
    """The result of an arm."""

    seeds: tuple[int, ...]
    values: tuple[float | None, ...]  # one per seed; None where it is not finite
    seconds: float = 0.0
    remark: str = ""  # about diverged seeds and the tuned setting
    curve: Curve | None = None
    of: tuple[Key, ...] = ()  # the seeds that each value is made of; (): each is of its own seed
    censored: tuple[bool, ...] = ()  # which values are only lower bounds; (): none
    diverged: frozenset[int] = frozenset()  # seeds
    exact: bool = False  # there is one value, which depends on no seed
    doubt: str = ""  # why no effect of this arm can be decided, such as a rate at the end of its sweep

    def __post_init__(self) -> None:
        own = tuple(frozenset({seed}) for seed in self.seeds)
        object.__setattr__(self, "of", self.of or (own if not self.exact else (frozenset(),)))
        object.__setattr__(self, "censored", self.censored or (False,) * len(self.values))
        assert len(self.of) == len(self.values) == len(self.censored)

    def finite(self) -> dict[Key, float]:
        """Return key -> value for all finite values."""
        pairs = zip(self.of, self.values, strict=True)
        return {key: value for key, value in pairs if value is not None and math.isfinite(value)}

    def bounds(self) -> frozenset[Key]:
        """Return the keys of the values that are only lower bounds."""
        return frozenset(key for key, bound in zip(self.of, self.censored, strict=True) if bound)

    def lost(self) -> str:
        """Return how many values are missing, in words; "" where none is."""
        lost = len(self.values) - len(self.finite())
        return f"{lost} of {len(self.values)} seeds diverged or have no finite value" if lost else ""


def constant(value: float) -> Values:
    """Return the values of an arm that is a number."""
    return Values((), (value,), exact=True)


def derived(arm: DerivedArm | MembersArm, arms: Mapping[str, Values]) -> Values:
    """Compute the values of a derived arm; None for a value for which one of its arms has none."""
    return _members(arm, arms) if isinstance(arm, MembersArm) else _function(arm, arms)


def _function(arm: DerivedArm, arms: Mapping[str, Values]) -> Values:
    from_arms = [arms[name] for name in arm.of]
    sampled = [values for values in from_arms if not values.exact]
    keys = [key for key in sampled[0].of if all(key in other.of for other in sampled)] if sampled else [frozenset()]
    finite = [values.finite() for values in from_arms]

    def value(key: Key) -> float | None:
        given = [f.get(frozenset() if v.exact else key) for f, v in zip(finite, from_arms, strict=True)]
        return arm.value(*given) if None not in given else None

    return Values(
        tuple(min(key) for key in keys if key),
        tuple(map(value, keys)),
        of=tuple(keys),
        diverged=frozenset().union(*(values.diverged for values in from_arms)),
        exact=not sampled,
        doubt=_doubts([(name, arms[name]) for name in arm.of]),
    )


def _members(arm: MembersArm, arms: Mapping[str, Values]) -> Values:
    like, each = arms[arm.like], arms[arm.of].finite()

    def mean(key: Key) -> float | None:
        members = [each.get(frozenset({seed})) for seed in sorted(key)]
        found = [member for member in members if member is not None]
        return sum(found) / len(found) if found and len(found) == len(members) else None

    return Values(
        like.seeds,
        tuple(map(mean, like.of)),
        of=like.of,
        diverged=arms[arm.of].diverged | like.diverged,
        doubt=_doubts([(arm.of, arms[arm.of])]),
    )


def _doubts(named: list[tuple[str, Values]]) -> str:
    """Return why nothing made of these arms can be decided. What is made of a bound is not a bound."""
    doubts = [f"{name}: {values.doubt}" for name, values in named if values.doubt]
    doubts += [f"{name} has values that are only bounds" for name, values in named if any(values.censored)]
    return "; ".join(doubts)
