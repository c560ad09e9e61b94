"""Play whole episodes with a trained agent: their returns, and one of them as a film."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.data.worlds import vector
from train.data.worlds.environment import Environment
from train.data.worlds.noise import ENV_WORDS, STEP_WORDS, StepNoise, as_keys, step_noise, uniform_float, uniform_int
from train.data.worlds.vector import VectorState

QValues = Callable[[Any, Array], Array]
"""(parameters, observations (N, ...)) -> the Q-value of each action (N, actions) float32."""

Policy = Callable[[Array, StepNoise], Array]
"""(observations (N, ...), noise) -> actions (N,) int32."""

KEY_NUMBERS = {"validation": 1_000, "test": 1_001, "play": 1_002}
MAX_FILM_STEPS = 2_000  # a film shows at most so many steps of an episode
FILM_CHUNK = 100  # steps that are recorded in one program


# The policy


def q_values(model: nn.Module, precision: str = "float32") -> QValues:
    """Return the function that computes Q-values with `model`, whose arithmetic is in `precision`."""

    def cast(leaf: Array) -> Array:
        return leaf.astype(precision) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    def values(params: Any, observations: Array) -> Array:
        params, inputs = jax.tree.map(cast, (params, network_input(observations)))
        q: Any = model.apply({"params": params}, inputs, train=False)
        return q.astype(jnp.float32)

    return values


def network_input(observations: Array) -> Array:
    """Turn bool observations into 0 and 1. Bytes stay as they are, because the networks scale them themselves."""
    return observations.astype(jnp.float32) if observations.dtype == bool else observations


def epsilon_greedy(q: Array, noise: StepNoise, epsilon: Array | float) -> Array:
    """Return the action (N,) int32 with the largest Q-value, or with probability `epsilon` a random one.

    q: (N, actions).
    """
    random_actions = uniform_int(noise.action, q.shape[-1])
    greedy_actions = q.argmax(-1).astype(jnp.int32)
    return jnp.where(uniform_float(noise.explore) < epsilon, random_actions, greedy_actions)


def _epsilon_greedy_policy(values: QValues, params: Any, epsilon: float) -> Policy:
    return lambda observations, noise: epsilon_greedy(values(params, observations), noise, epsilon)


# Episodes that are played once


class Episodes(NamedTuple):
    """N episodes in progress. An episode that has ended stays in its last state."""

    env_state: VectorState
    running: Array  # (N,) bool


class Player(NamedTuple):
    """Two pure functions that play N episodes, each once.

    An episode depends on its own key alone. With emulators it depends on the keys of all N episodes.
    """

    begin: Callable[[Array], Episodes]  # keys (N,) -> Episodes
    step: Callable[[Policy, Episodes, Array], Episodes]  # policy, episodes, keys (N,) -> Episodes


def make_player(env: Environment, count: int) -> Player:
    """Return a Player of `count` episodes. Each call starts new emulators where `env` has emulators."""
    vector_env = vector.make_vector_env(env, count) if env.native_vector_env else None
    # An environment that is never reset needs no reset key.
    num_words = STEP_WORDS if vector_env else STEP_WORDS - ENV_WORDS // 2

    def begin(keys: Array) -> Episodes:
        first_keys = jax.vmap(lambda key: jax.random.fold_in(key, 0))(keys)
        env_state = vector_env.reset(first_keys) if vector_env else vector.reset(env, first_keys)
        return Episodes(env_state, jnp.ones(count, bool))

    def draw_bits(key: Array, time: Array) -> Array:
        return jax.random.bits(jax.random.fold_in(key, time + 1), (num_words,), jnp.uint32)

    def advance(env_state: VectorState, actions: Array, noise: StepNoise) -> tuple[VectorState, Array]:
        """Return the episodes after one step, without a reset, and which of them ended with it (N,)."""
        if vector_env:
            result = vector_env.step(env_state, actions, noise.env)
            observations, ends = result.transitions.next_observations, result.ends
            return VectorState(result.env_state.states, observations, ends.returns, ends.lengths), ends.done
        states, step = jax.vmap(env.step)(as_keys(noise.env.step_key), env_state.states, actions)
        returns, lengths = env_state.returns + step.reward, env_state.lengths + 1
        return VectorState(states, step.observation, returns, lengths), step.terminated | step.truncated

    def step(policy: Policy, episodes: Episodes, keys: Array) -> Episodes:
        env_state, running = episodes
        noise = step_noise(jax.vmap(draw_bits)(keys, env_state.lengths))
        actions = policy(env_state.observations, noise)
        next_env_state, done = advance(env_state, actions, noise)
        return Episodes(vector.where(running, next_env_state, env_state), running & ~done)

    return Player(begin, step)


class Results(NamedTuple):
    """The results of N finished episodes."""

    returns: Any  # (N,) float32
    lengths: Any  # (N,) int32


def run_episodes(env: Environment, values: QValues, params: Any, keys: Array, epsilon: float) -> Results:
    """Play one episode for each of `keys` (N,), all in one loop, until the last one has ended."""
    player = make_player(env, len(keys))
    policy = _epsilon_greedy_policy(values, params, epsilon)

    def any_running(episodes: Episodes) -> Array:
        return episodes.running.any()

    def step(episodes: Episodes) -> Episodes:
        return player.step(policy, episodes, keys)

    env_state = jax.lax.while_loop(any_running, step, player.begin(keys)).env_state
    return Results(env_state.returns, env_state.lengths)


# On the host


def keys(what: str, seed: int, count: int) -> Array:
    """Return the keys (count,) of the episodes of "validation", "test" or "play". These three share no key."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), KEY_NUMBERS[what]), count)


def play(env: Environment, values: QValues, params: Any, keys: Array, epsilon: float) -> Results:
    """Play one episode for each of `keys` (N,) and return NumPy arrays."""

    @jax.jit
    def run(params: Any, keys: Array) -> Results:
        return run_episodes(env, values, params, keys, epsilon)

    return jax.tree.map(np.asarray, run(params, keys))


@dataclasses.dataclass(frozen=True)
class Film:
    """An episode, or its first MAX_FILM_STEPS steps."""

    observations: np.ndarray  # (T, ...): the observation before each step, then the last one
    total: np.ndarray  # (T,) float32: the return so far
    ended: bool  # whether the last observation is the end of the episode


class Moment(NamedTuple):
    """What a film keeps of one step: the episode before that step."""

    observation: Any
    total: Any  # () float32: the return so far
    running: Any  # () bool


def record(env: Environment, values: QValues, params: Any, key: Array, epsilon: float) -> Film:
    """Record the episode that `play` plays with this key."""
    player = make_player(env, 1)

    @jax.jit
    def record_chunk(params: Any, episodes: Episodes) -> tuple[Episodes, Moment]:
        policy = _epsilon_greedy_policy(values, params, epsilon)

        def step(episodes: Episodes, _: None) -> tuple[Episodes, Moment]:
            env_state = episodes.env_state
            moment = Moment(env_state.observations[0], env_state.returns[0], episodes.running[0])
            return player.step(policy, episodes, key[None]), moment

        return jax.lax.scan(step, episodes, length=FILM_CHUNK)

    episodes = jax.jit(player.begin)(key[None])
    chunks: list[Moment] = []
    while episodes.running[0] and len(chunks) * FILM_CHUNK < MAX_FILM_STEPS:
        episodes, moments = record_chunk(params, episodes)
        chunks.append(jax.tree.map(np.asarray, moments))
    moments = Moment(*(np.concatenate(leaves) for leaves in zip(*chunks, strict=True)))
    # The last chunk may go on after the end of the episode.
    observations = moments.observation[moments.running]
    total = moments.total[moments.running]
    last = episodes.env_state
    return Film(
        np.concatenate([observations, np.asarray(last.observations)]),
        np.concatenate([total, np.asarray(last.returns)]),
        ended=not bool(episodes.running[0]),
    )
