"""Early stopping: end a run when validation no longer improves, and keep its best State.

Goodfellow, Bengio and Courville 2016, "Deep Learning", algorithm 7.1. With several replicas each keeps its own best
State and stops when its own patience is exhausted; from then on its State no longer changes. The run ends with the last
of them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from train.core import State
from train.loop.replicas import ReplicaSet
from train.loop.summary import Results, Stops, is_finite


@dataclasses.dataclass
class Standing:
    """The best evaluation of one replica so far."""

    best_step: int
    validation: Results  # at the best step
    since: int = 0  # evaluations without improvement since then
    stopped_at_step: int | None = None  # None: it still learns


class Record(NamedTuple):
    """The state of early stopping, as a checkpoint saves it."""

    standings: list[dict[str, Any]]  # JSON, one for each replica; empty where early stopping is off
    best: State | None  # None where it is the State that the checkpoint saves anyway


class EarlyStopping:
    """Compares the replicas of a run with their best so far, at each evaluation.

    patience: a replica stops after this many evaluations in a row without improvement; None turns early stopping off,
    and the run keeps its last State. score: of a validation, higher is better.
    """

    def __init__(
        self, patience: int | None, replicas: ReplicaSet, score: Callable[[Mapping[str, float]], float]
    ) -> None:
        self.patience, self.replicas, self._score = patience, replicas, score
        self.standings: list[Standing] = []  # empty before the first evaluation
        self.best: State | None = None  # of each replica the State at its best step

    @property
    def active(self) -> np.ndarray | None:
        """Which replicas still learn, (replicas,) bool; None where early stopping is off."""
        if self.patience is None:
            return None
        if not self.standings:
            return np.ones(len(self.replicas.members), bool)
        return np.array([standing.stopped_at_step is None for standing in self.standings])

    @property
    def over(self) -> bool:
        """Whether every replica has stopped."""
        active = self.active
        return active is not None and not active.any()

    def update(self, state: State, step: int, validation: list[Results]) -> list[Results]:
        """Take an evaluation into account, and return the validation of the State that each replica has now.

        It is `validation`, except for replicas that stopped earlier: those keep that of their best State. A tie is no
        improvement, and the score of a replica that is not finite never is.
        """
        if self.patience is None:
            return validation
        if not self.standings:
            self.standings = [Standing(step, dict(results)) for results in validation]
            improved = [True] * len(validation)
        else:
            pairs = zip(self.standings, validation, strict=True)
            improved = [self._update_one(standing, results, step) for standing, results in pairs]
        if any(improved):
            self._keep(state, improved)
        return [
            results if standing.stopped_at_step in (None, step) else standing.validation
            for standing, results in zip(self.standings, validation, strict=True)
        ]

    def finish(self, state: State, step: int, validation: list[Results]) -> tuple[State, list[Results]]:
        """End the run at `step` and return (state, validation) of what it keeps: the best of each replica.

        Where early stopping is off these are the `state` and the `validation` passed in.
        """
        if self.patience is None or self.best is None:
            return state, validation
        for standing in self.standings:
            standing.stopped_at_step = standing.stopped_at_step or step
        return self.best, [standing.validation for standing in self.standings]

    def stops(self) -> list[Stops]:
        """Return where each replica stopped; [] where early stopping is off."""
        return [Stops(standing.best_step, standing.stopped_at_step or 0) for standing in self.standings]

    def record(self, state: State) -> Record:
        """Return what a checkpoint of `state` must save in order to resume."""
        best = None if self.best is state else self.best
        return Record([dataclasses.asdict(standing) for standing in self.standings], best)

    def resume(self, standings: Sequence[Mapping[str, Any]], best: State) -> None:
        """Continue from a checkpoint, given its record and the best State of each replica."""
        self.standings = [Standing(**standing) for standing in standings]
        self.best = best

    def take(self, replicas: ReplicaSet, numbers: Sequence[int]) -> "EarlyStopping":
        """Return the early stopping of the replicas with these `numbers`, which `replicas` holds alone."""
        taken = EarlyStopping(self.patience, replicas, self._score)
        if self.best is not None:
            states = self.replicas.each(self.best)
            taken.resume(
                [dataclasses.asdict(self.standings[i]) for i in numbers], replicas.join([states[i] for i in numbers])
            )
        return taken

    def _update_one(self, standing: Standing, results: Results, step: int) -> bool:
        """Update the standing of one replica and return whether it improved."""
        if standing.stopped_at_step is not None:
            return False
        if self._number(results) > self._number(standing.validation):
            standing.best_step, standing.validation, standing.since = step, dict(results), 0
            return True
        standing.since += 1
        if self.patience is not None and standing.since >= self.patience:
            standing.stopped_at_step = step
        return False

    def _keep(self, state: State, improved: Sequence[bool]) -> None:
        """Keep `state` of the replicas that improved as their best."""
        new = self.replicas.each(state)
        old = new if self.best is None else self.replicas.each(self.best)
        chosen = [new[number] if better else old[number] for number, better in enumerate(improved)]
        # A copy, because `state` is donated to the next chunk.
        self.best = jax.tree.map(jnp.copy, self.replicas.join(chosen))

    def _number(self, validation: Results) -> float:
        if not validation:  # of a replica that is not evaluated any more
            return -np.inf
        score = self._score(validation)
        return score if is_finite(validation) and np.isfinite(score) else -np.inf
