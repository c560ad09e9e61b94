"""The interface of every environment: pure functions for one copy, or for N copies at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Step(NamedTuple):
    """The result of an action. `observation` always belongs to this episode, even if the episode has just ended."""

    observation: Array
    reward: Array  # () float32
    terminated: Array  # () bool: the episode is over, and no further reward is possible
    truncated: Array  # () bool: the time limit cut the episode off, so the value of the last observation still counts


class Environment(NamedTuple):
    """One environment. It never resets itself: the caller calls `reset` after the end of an episode.

    Atari's emulators exist only as N copies at once. They have a `native_vector_env`, and `reset` and `step` raise.
    """

    name: str
    reset: Callable[[Array], tuple[Array, Any]]  # key -> (observation, state)
    step: Callable[[Array, Any, Array], tuple[Any, Step]]  # key, state, action () int32 -> (state, Step)
    observation: jax.ShapeDtypeStruct  # shape and dtype of one observation
    actions: int  # number of actions
    time_limit: int  # steps after which an episode is truncated
    solved: float | None = None  # mean return from which the environment counts as solved
    native_vector_env: "Callable[[int], NativeVectorEnv] | None" = None  # N -> N copies
    stacked: bool = False  # observations are stacks (H, W, S) of the S newest frames, all zero before the episode


class NativeStep(NamedTuple):
    """The result of a step of N environments that reset themselves."""

    states: Any
    observations: Array  # (N, ...): the ones that were acted on
    step: Step  # leaves (N, ...)
    resetting: Array  # (N,) bool: this step only showed the first observation of the next episode
    restarted: Array | bool = False  # bool: the episodes before this step were lost with their process, all are new


class NativeVectorEnv(NamedTuple):
    """N environments behind one function. Each resets itself, in the step after the one that ended its episode."""

    reset: Callable[[Array], tuple[Array, Any]]  # keys (N,) -> (observations, states)
    step: Callable[[Array, Any, Array, Array], NativeStep]  # seeds (N,) uint32, states, observations, actions (N,)


def no_single_copy(*_: Any) -> Any:
    """Stand in for `reset` and `step` of an Environment that has only a `native_vector_env`."""
    raise TypeError("this environment exists only as N copies at once: use its native_vector_env")


def limited(
    name: str,
    reset: Callable[[Array], tuple[Array, Any]],
    step: Callable[[Array, Any, Array], tuple[Any, Array, Array, Array]],
    actions: int,
    time_limit: int,
    solved: float | None = None,
) -> Environment:
    """Add a time limit to an environment whose `step` returns (state, observation, reward, terminated)."""

    def limited_reset(key: Array) -> tuple[Array, Any]:
        observation, inner_state = reset(key)
        return observation, (_with_fixed_dtypes(inner_state), jnp.int32(0))

    def limited_step(key: Array, state: Any, action: Array) -> tuple[Any, Step]:
        inner_state, time = state
        inner_state, observation, reward, terminated = step(key, inner_state, action)
        terminated = jnp.asarray(terminated, bool)
        truncated = (time + 1 >= time_limit) & ~terminated
        reward = jnp.asarray(reward, jnp.float32)
        state = (_with_fixed_dtypes(inner_state), time + 1)
        return state, Step(observation, reward, terminated, truncated)

    observation, _ = jax.eval_shape(limited_reset, jax.random.key(0))
    observation_shape = jax.ShapeDtypeStruct(observation.shape, observation.dtype)
    return Environment(name, limited_reset, limited_step, observation_shape, actions, time_limit, solved)


def _with_fixed_dtypes(state: Any) -> Any:
    """Turn Python numbers and weakly typed arrays into plain arrays, so that every step has the same types."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), state)
