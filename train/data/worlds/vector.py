"""Vector environment: N copies of an environment that step together, and each is reset when its episode ends."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.data.worlds.environment import Environment, NativeVectorEnv
from train.data.worlds.noise import EnvNoise, as_keys

NO_ACTION = -1
"""The action of a transition from which nothing is learned: see `_without_resetting_steps`."""


@struct.dataclass
class VectorState:
    """The running episodes of N environments. The leaves of `states` have a leading axis N."""

    states: Any
    observations: Array  # (N, ...)
    returns: Array  # (N,) float32: sum of the episode's rewards so far
    lengths: Array  # (N,) int32: steps of the episode so far


class Transitions(NamedTuple):
    """One transition (s, a, r, s') of each of N environments: what an agent learns from."""

    observations: Array  # (N, ...)
    actions: Array  # (N,) int32; NO_ACTION where the step was none of the environment
    rewards: Array  # (N,) float32
    next_observations: Array  # (N, ...): the last observation of the episode if it has just ended
    terminated: Array  # (N,) bool; False if the episode was only truncated


class EpisodeEnds(NamedTuple):
    """Which of N episodes ended with a step. Returns and lengths are meaningful where `done` is True."""

    done: Array  # (N,) bool: terminated or truncated
    returns: Array  # (N,) float32
    lengths: Array  # (N,) int32


class VectorStep(NamedTuple):
    """The result of one step of N environments."""

    env_state: VectorState  # after the reset of the episodes that ended
    transitions: Transitions
    ends: EpisodeEnds


class VectorEnv(NamedTuple):
    """N environments as two pure functions."""

    reset: Callable[[Array], VectorState]  # keys (N,) -> N new episodes
    step: Callable[[VectorState, Array, EnvNoise], VectorStep]  # state, actions (N,) int32, noise -> VectorStep


def make_vector_env(env: Environment, num_envs: int) -> VectorEnv:
    """Return `num_envs` copies of `env`. Each call starts new emulators where `env` has emulators."""
    if env.native_vector_env is not None:
        return _without_resetting_steps(env.native_vector_env(num_envs))
    return VectorEnv(partial(reset, env), partial(_step, env))


def reset(env: Environment, keys: Array) -> VectorState:
    """Start one episode for each of `keys` (N,)."""
    observations, states = jax.vmap(env.reset)(keys)
    return _new_episodes(states, observations)


def _new_episodes(states: Any, observations: Array) -> VectorState:
    num_envs = len(observations)
    return VectorState(states, observations, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def _step(env: Environment, env_state: VectorState, actions: Array, noise: EnvNoise) -> VectorStep:
    states, step = jax.vmap(env.step)(as_keys(noise.step_key), env_state.states, actions)
    done = step.terminated | step.truncated
    ends = EpisodeEnds(done, env_state.returns + step.reward, env_state.lengths + 1)
    # Compiled code cannot reset only some environments, so all are reset and the result is used where needed.
    new = reset(env, as_keys(noise.reset_key))
    next_env_state = VectorState(
        where(done, new.states, states),
        where(done, new.observations, step.observation),
        jnp.where(done, 0, ends.returns),
        jnp.where(done, 0, ends.lengths),
    )
    # The transition keeps the last observation of the old episode, never the first one of the new episode.
    transitions = Transitions(env_state.observations, actions, step.reward, step.observation, step.terminated)
    return VectorStep(next_env_state, transitions, ends)


def _without_resetting_steps(native: NativeVectorEnv) -> VectorEnv:
    """Turn environments that reset themselves a step late into a VectorEnv.

    In that late step nothing happens but the reset. It becomes a transition whose action is NO_ACTION, so that every
    step still gives N transitions. To learn from it would be wrong where the old episode was cut off: the value of its
    last observation is not 0.
    """

    def reset(keys: Array) -> VectorState:
        observations, states = native.reset(keys)
        return _new_episodes(states, observations)

    def step(env_state: VectorState, actions: Array, noise: EnvNoise) -> VectorStep:
        states, observations, step, resetting, restarted = native.step(
            noise.emulator_seed, env_state.states, env_state.observations, actions
        )
        done = (step.terminated | step.truncated) & ~resetting
        rewards = jnp.where(resetting, 0, step.reward)
        # What a lost episode had earned is not part of the return of the new one.
        returns, lengths = (jnp.where(restarted, 0, leaf) for leaf in (env_state.returns, env_state.lengths))
        ends = EpisodeEnds(done, returns + rewards, lengths + ~resetting)
        next_env_state = VectorState(
            states,
            step.observation,
            jnp.where(done, 0, ends.returns),
            jnp.where(done, 0, ends.lengths),
        )
        taken = jnp.where(resetting, NO_ACTION, actions)
        transitions = Transitions(observations, taken, rewards, step.observation, step.terminated | resetting)
        return VectorStep(next_env_state, transitions, ends)

    return VectorEnv(reset, step)


def transition_shapes(observation: jax.ShapeDtypeStruct, num_envs: int) -> Transitions:
    """Return the shapes and dtypes of the transitions that one step of `num_envs` environments gives."""

    def zeros() -> Transitions:
        observations = jnp.zeros((num_envs, *observation.shape), observation.dtype)
        return Transitions(
            observations=observations,
            actions=jnp.zeros(num_envs, jnp.int32),
            rewards=jnp.zeros(num_envs, jnp.float32),
            next_observations=observations,
            terminated=jnp.zeros(num_envs, bool),
        )

    return jax.eval_shape(zeros)


def where(condition: Array, if_true: Any, if_false: Any) -> Any:
    """`jnp.where` for pytrees: choose for each environment. condition: (N,); leaves (N, ...)."""

    def one(a: Array, b: Array) -> Array:
        return jnp.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(one, if_true, if_false)
