"""Plays whole episodes with a trained agent: their returns, and one of them as a film."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.data.worlds import vector
from train.data.worlds.environment import Environment
from train.data.worlds.vector import as_input

QValues = Callable[[Any, Array], Array]
"""Parameters, observations (N, ...) -> the value of each action (N, actions)."""

FIRST = {"validation": 1_000, "test": 1_001, "play": 1_002}
LONGEST = 2_000  # steps of an episode that are kept of it as a film
PIECE = 100  # steps that are recorded at a time


@dataclasses.dataclass(frozen=True)
class Film:
    """The beginning of an episode, or all of it."""

    observations: np.ndarray  # (T, ...): what the agent saw before each step, and at last
    total: np.ndarray  # (T,) float32: the return so far
    ended: bool  # whether the last observation is that of the episode's end


def keys(what: str, seed: int, count: int) -> Array:
    """(count,): the keys of the episodes of "validation", "test" or "play"; no two of these share one."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), FIRST[what]), count)


def play(env: Environment, values: QValues, params: Any, keys: Array, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """One episode for each key, all at once: returns (N,) and lengths (N,)."""

    @jax.jit
    def run(params: Any, keys: Array) -> tuple[Array, Array]:
        return vector.episodes(env, lambda x: values(params, x), keys, epsilon)

    returns, lengths = run(params, keys)
    return np.asarray(returns), np.asarray(lengths)


def record(env: Environment, values: QValues, params: Any, key: Array, epsilon: float) -> Film:
    """The episode that `play` has for this key, seen."""

    players = vector.players(env, 1)

    @jax.jit
    def piece(params: Any, now: vector.VectorState, alive: Array) -> Any:
        def step(carry: Any, _: None) -> Any:
            now, alive = carry
            seen = (now.observations[0], now.returns[0], alive[0])
            now, done = players.step(lambda x: values(params, x), now, key[None], epsilon, alive)
            return (now, alive & ~done), seen

        return jax.lax.scan(step, (now, alive), length=PIECE)

    now, alive = jax.jit(players.begin)(key[None]), np.ones(1, bool)
    pieces = []
    while alive[0] and len(pieces) * PIECE < LONGEST:
        (now, alive), seen = piece(params, now, alive)
        pieces.append(jax.tree.map(np.asarray, seen))
    observations, total, going = jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)
    observations = np.concatenate([observations[going], np.asarray(now.observations)])
    total = np.concatenate([total[going], np.asarray(now.returns)])
    return Film(observations, total, not bool(alive[0]))


def q_values(model: nn.Module, precision: str = "float32") -> Callable[[Any, Array], Array]:
    """(parameters, observations (N, ...)) -> the value of each action (N, actions) float32."""

    def cast(leaf: Array) -> Array:
        return leaf.astype(precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    def values(params: Any, observations: Array) -> Array:
        params, x = jax.tree.map(cast, (params, as_input(observations)))
        return model.apply({"params": params}, x, train=False).astype(jnp.float32)

    return values
