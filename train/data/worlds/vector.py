"""Many copies of an environment side by side: acting in them, beginning anew where an episode has ended."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.data.worlds.environment import Environment, NativeVectorEnv

Values = Callable[[Array], Array]
"""Observations (N, ...) -> the value of each action (N, actions)."""


@struct.dataclass
class VectorState:
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


class VectorEnv(NamedTuple):
    """How N environments are lived in."""

    begin: Callable[[Array], VectorState]  # keys (N,) -> fresh environments
    live: Callable[[VectorState, Array, Array], tuple[VectorState, Transitions, Ended]]
    """One step of each, actions (N,) int32, noise (N, 4) uint32 random bits. An episode that ends gives way to a new
    one, of which nothing is in the transition."""


def crowd(env: Environment, count: int) -> VectorEnv:
    """`count` environments. Emulators are made anew by each call."""
    return _herd(env.herd(count)) if env.herd else VectorEnv(partial(_begin, env), partial(_live, env))


def _begin(env: Environment, keys: Array) -> VectorState:
    observations, states = jax.vmap(env.reset)(keys)
    return VectorState(states, observations, jnp.zeros(len(keys)), jnp.zeros(len(keys), jnp.int32))


def _live(
    env: Environment, living: VectorState, actions: Array, noise: Array
) -> tuple[VectorState, Transitions, Ended]:
    step_keys, reset_keys = (as_keys(noise[:, i : i + 2]) for i in (0, 2))
    states, step = jax.vmap(env.step)(step_keys, living.states, actions)
    done = step.terminated | step.truncated
    ended = Ended(done, living.returns + step.reward, living.lengths + 1)
    fresh = _begin(env, reset_keys)
    after = VectorState(
        choose(done, fresh.states, states),
        choose(done, fresh.observations, step.observation),
        jnp.where(done, 0, ended.returns),
        jnp.where(done, 0, ended.lengths),
    )
    seen = Transitions(living.observations, actions, step.reward, step.observation, step.terminated)
    return after, seen, ended


def _herd(herd: NativeVectorEnv) -> VectorEnv:
    """The step in which a herd shows how the next episode begins becomes a transition from the end of the last one,
    terminated and without a reward: that nothing follows an end is true, and each write stays of N transitions."""

    def begin(keys: Array) -> VectorState:
        observations, states = herd.begin(keys)
        return VectorState(states, observations, jnp.zeros(len(keys)), jnp.zeros(len(keys), jnp.int32))

    def live(living: VectorState, actions: Array, noise: Array) -> tuple[VectorState, Transitions, Ended]:
        states, observations, step, idle = herd.step(noise[:, 0], living.states, living.observations, actions)
        done = (step.terminated | step.truncated) & ~idle
        rewards = jnp.where(idle, 0, step.reward)
        ended = Ended(done, living.returns + rewards, living.lengths + ~idle)
        returns, lengths = (jnp.where(done, 0, each) for each in (ended.returns, ended.lengths))
        after = VectorState(states, step.observation, returns, lengths)
        return after, Transitions(observations, actions, rewards, step.observation, step.terminated | idle), ended

    return VectorEnv(begin, live)


def as_keys(bits: Array) -> Array:
    """(..., 2) uint32 -> (...) keys. One draw of bits for all keys of a step: on a CPU each `split` of a small key
    costs as much as a layer of a small network."""
    return jax.random.wrap_key_data(bits, impl="threefry2x32")


def below(bits: Array, count: Array | int) -> Array:
    """uint32 bits -> int32 from 0 to `count` - 1, `count` at most 2^16 unless float32 tells its numbers apart."""
    return jnp.minimum((unit(bits) * count).astype(jnp.int32), count - 1)


def unit(bits: Array) -> Array:
    """uint32 bits -> float32 from 0 to below 1, in steps of 2^-24."""
    return (bits >> 8).astype(jnp.float32) * 2**-24


def choose(which: Array, these: Any, those: Any) -> Any:
    """Per environment, `these` where `which` (N,) holds, else `those`; trees with leading axes N."""

    def one(a: Array, b: Array) -> Array:
        return jnp.where(which.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(one, these, those)


def explore(values: Array, noise: Array, epsilon: Array | float) -> Array:
    """(N,) int32: the best of each row of `values` (N, actions), with a chance of `epsilon` any action instead.

    noise: (N, 2) uint32 random bits.
    """
    anything = below(noise[:, 1], values.shape[-1])
    return jnp.where(unit(noise[:, 0]) < epsilon, anything, values.argmax(-1).astype(jnp.int32))


class Episodes(NamedTuple):
    """How single episodes are played, each a function of its own key alone (of emulators: of all keys together)."""

    begin: Callable[[Array], VectorState]  # keys (N,) -> where the episodes begin
    step: Callable[[Values, VectorState, Array, float, Array], tuple[VectorState, Array]]
    """values, where they stand, keys (N,), epsilon, which are alive (N,) -> where they stand, which end with it."""


def players(env: Environment, count: int) -> Episodes:
    """For `count` episodes at once."""
    together = crowd(env, count) if env.herd else None

    def bits(key: Array, time: Array) -> Array:
        return jax.random.bits(jax.random.fold_in(key, time + 1), (6 if together else 4,), jnp.uint32)

    def begin(keys: Array) -> VectorState:
        first = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
        return together.begin(first) if together else _begin(env, first)

    def step(
        values: Values, living: VectorState, keys: Array, epsilon: float, alive: Array
    ) -> tuple[VectorState, Array]:
        noise = jax.vmap(bits)(keys, living.lengths)
        actions = explore(values(living.observations), noise[:, :2], epsilon)
        if together:
            after, seen, ended = together.live(living, actions, noise[:, 2:])
            after = VectorState(after.states, seen.next_observations, ended.returns, ended.lengths)
            return choose(alive, after, living), ended.done
        states, step = jax.vmap(env.step)(as_keys(noise[:, 2:]), living.states, actions)
        after = VectorState(states, step.observation, living.returns + step.reward, living.lengths + 1)
        return choose(alive, after, living), step.terminated | step.truncated

    return Episodes(begin, step)


def episodes(env: Environment, values: Values, keys: Array, epsilon: float) -> tuple[Array, Array]:
    """One whole episode for each of `keys` (N,), all at once: returns (N,) float32 and lengths (N,) int32."""
    play = players(env, len(keys))

    def step(carry: tuple[VectorState, Array]) -> tuple[VectorState, Array]:
        living, alive = carry
        living, done = play.step(values, living, keys, epsilon, alive)
        return living, alive & ~done

    first = (play.begin(keys), jnp.ones(len(keys), bool))
    living, _ = jax.lax.while_loop(lambda carry: carry[1].any(), step, first)
    return living.returns, living.lengths


def as_input(observations: Any) -> Any:
    """What a network takes: bool as 0 and 1; bytes stay, for a network scales them itself."""
    return observations.astype(jnp.float32) if observations.dtype == bool else observations
