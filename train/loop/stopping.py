"""Early stopping: a run ends when validation has not improved for a while, and what it leaves is its best State.

Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.1. Of several replicas each keeps its own best State
and stands still, as it was then, once its own patience is out; the run ends with the last of them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train.core import State
from train.loop.replicas import ReplicaSet


@dataclasses.dataclass
class Standing:
    """How far one member has come."""

    best_step: int
    validation: dict[str, float]  # there
    since: int = 0  # evaluations without improvement after it
    stopped_at_step: int | None = None


class Stopping:
    """Judges the members of `team` at each evaluation; higher `score` of a validation is better.

    patience: evaluations in a row without improvement after which a member stops; None: none ever does, and the State
    that a run leaves is its last.
    """

    def __init__(self, patience: int | None, team: ReplicaSet, score: Callable[[Mapping[str, float]], float]) -> None:
        self.patience, self.team, self._score = patience, team, score
        self.standings: list[Standing] = []  # empty before the first evaluation
        self.best: State | None = None  # of each member that at its best step

    @property
    def active(self) -> np.ndarray | None:
        """(members,) bool: which still learn; None where nothing is judged."""
        if self.patience is None:
            return None
        stopped = [one.stopped_at_step is not None for one in self.standings]
        return ~np.array(stopped or [False] * len(self.team.members))

    @property
    def over(self) -> bool:
        """Whether no member learns any more."""
        return self.patience is not None and not self.active.any()

    def look(self, state: State, step: int, validation: Sequence[dict[str, float]]) -> list[dict[str, float]]:
        """Take note of an evaluation; `validation` again, of members that had stopped before that of their best State.

        A tie is no improvement, nor is a score that is not a number.
        """
        if self.patience is None:
            return list(validation)
        if not self.standings:
            self.standings = [Standing(step, dict(found)) for found in validation]
            improved = [True] * len(validation)
        else:
            improved = [self._judge(*each, step) for each in zip(self.standings, validation, strict=True)]
        if any(improved):
            mine, old = self.team.each(state), self.team.each(state if self.best is None else self.best)
            chosen = [new if better else kept for new, kept, better in zip(mine, old, improved, strict=True)]
            # A copy: the State is given away to the next chunk.
            self.best = jax.tree.map(jnp.copy, self.team.join(chosen))
        return [
            found if one.stopped_at_step in (None, step) else one.validation
            for one, found in zip(self.standings, validation, strict=True)
        ]

    def _judge(self, one: Standing, found: dict[str, float], step: int) -> bool:
        """Whether this member is better than it ever was."""
        if one.stopped_at_step is not None:
            return False
        if self._number(found) > self._number(one.validation):
            one.best_step, one.validation, one.since = step, dict(found), 0
            return True
        one.since += 1
        if one.since >= self.patience:
            one.stopped_at_step = step
        return False

    def _number(self, validation: Mapping[str, float]) -> float:
        return float(np.nan_to_num(self._score(validation), nan=-np.inf))

    def end(self, state: State, step: int, validation: list[dict[str, float]]) -> tuple[State, list[dict[str, float]]]:
        """What the run leaves, and its validation: of each member the best State, or without patience the last."""
        if self.patience is None:
            return state, validation
        for one in self.standings:
            one.stopped_at_step = one.stopped_at_step or step
        return self.best, [one.validation for one in self.standings]

    def facts(self) -> list[dict[str, Any]]:
        """For the summary, of each member: {"best_step", "stopped_at_step"}; empty without patience."""
        return [{"best_step": one.best_step, "stopped_at_step": one.stopped_at_step} for one in self.standings]

    def record(self) -> list[dict[str, Any]]:
        """For a checkpoint: JSON."""
        return [dataclasses.asdict(one) for one in self.standings]

    def recall(self, record: Sequence[Mapping[str, Any]], best: State | None) -> None:
        """Go on where a checkpoint left off, with its `record` and its best State."""
        self.standings, self.best = [Standing(**one) for one in record], best
