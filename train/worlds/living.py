"""Many copies of an environment side by side: acting in them, beginning anew where an episode has ended."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.worlds.environment import Environment

Values = Callable[[Array], Array]
"""Observations (N, ...) -> the value of each action (N, actions)."""


@struct.dataclass
class Living:
    """Where N environments stand. The leaves of `states` have a leading axis N."""

    states: Any
    observations: Array  # (N, ...)
    returns: Array  # (N,) float32: sum of the rewards of the episode so far
    lengths: Array  # (N,) int32: steps of the episode so far


class Transitions(NamedTuple):
    """One step of N environments; all that is learned from."""

    observations: Array  # (N, ...)
    actions: Array  # (N,) int32
    rewards: Array  # (N,) float32
    next_observations: Array  # (N, ...): of the same episode, also where it has ended
    terminated: Array  # (N,) bool; an episode that was only cut off has not terminated


class Ended(NamedTuple):
    """Which of N episodes ended with a step, and what they had come to."""

    done: Array  # (N,) bool
    returns: Array  # (N,) float32
    lengths: Array  # (N,) int32


def begin(env: Environment, keys: Array) -> Living:
    """One fresh environment for each of `keys` (N,)."""
    observations, states = jax.vmap(env.reset)(keys)
    return Living(states, observations, jnp.zeros(len(keys)), jnp.zeros(len(keys), jnp.int32))


def live(env: Environment, living: Living, actions: Array, key: Array) -> tuple[Living, Transitions, Ended]:
    """One step of each; an episode that ends gives way to a new one, of which nothing is in the transition."""
    count = len(actions)
    keys = jax.random.split(key, (2, count))
    states, step = jax.vmap(env.step)(keys[0], living.states, actions)
    done = step.terminated | step.truncated
    ended = Ended(done, living.returns + step.reward, living.lengths + 1)
    fresh = begin(env, keys[1])
    observations = choose(done, fresh.observations, step.observation)
    after = Living(
        choose(done, fresh.states, states),
        observations,
        jnp.where(done, 0, ended.returns),
        jnp.where(done, 0, ended.lengths),
    )
    seen = Transitions(living.observations, actions, step.reward, step.observation, step.terminated)
    return after, seen, ended


def choose(which: Array, these: Any, those: Any) -> Any:
    """Per environment, `these` where `which` (N,) holds, else `those`; trees with leading axes N."""

    def one(a: Array, b: Array) -> Array:
        return jnp.where(which.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(one, these, those)


def explore(values: Array, key: Array, epsilon: Array | float) -> Array:
    """(N,) int32: the best of each row of `values` (N, actions), with a chance of `epsilon` any action instead."""
    chance_key, action_key = jax.random.split(key)
    count, actions = values.shape
    anything = jax.random.randint(action_key, (count,), 0, actions)
    return jnp.where(jax.random.uniform(chance_key, (count,)) < epsilon, anything, values.argmax(-1).astype(jnp.int32))


def episodes(env: Environment, values: Values, keys: Array, epsilon: float) -> tuple[Array, Array]:
    """One whole episode for each of `keys` (N,), all at once: returns (N,) float32 and lengths (N,) int32.

    An episode is a function of its own key alone.
    """
    living = begin(env, jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys))

    def goes_on(carry: tuple[Living, Array]) -> Array:
        return carry[1].any()

    def step(carry: tuple[Living, Array]) -> tuple[Living, Array]:
        living, alive = carry
        living, _, done = one_step(env, values, living, keys, epsilon, alive)
        return living, alive & ~done

    living, _ = jax.lax.while_loop(goes_on, step, (living, jnp.ones(len(keys), bool)))
    return living.returns, living.lengths


def one_step(
    env: Environment, values: Values, living: Living, keys: Array, epsilon: float, alive: Array
) -> tuple[Living, Array, Array]:
    """One step of the episodes of `keys` that are `alive`: where they stand then, rewards (N,) and which have ended."""

    def draws(key: Array, time: Array) -> tuple[Array, Array]:
        step_key, act_key = jax.random.split(jax.random.fold_in(key, time + 1))
        return step_key, act_key

    step_keys, act_keys = jax.vmap(draws)(keys, living.lengths)
    actions = jax.vmap(lambda q, key: explore(q[None], key, epsilon)[0])(values(living.observations), act_keys)
    states, step = jax.vmap(env.step)(step_keys, living.states, actions)
    rewards = jnp.where(alive, step.reward, 0)
    after = Living(states, step.observation, living.returns + rewards, living.lengths + 1)
    return choose(alive, after, living), rewards, step.terminated | step.truncated
