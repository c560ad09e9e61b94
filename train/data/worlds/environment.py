"""Environment: the one narrow face that every world shows an agent, as pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Step(NamedTuple):
    """What an action led to. `observation` is always that of this episode, also where it has just ended."""

    observation: Array
    reward: Array  # () float32
    terminated: Array  # () bool: the world has ended, nothing more can be earned
    truncated: Array  # () bool: the time is up; the world would have gone on, and its value still counts


class NativeVectorEnv(NamedTuple):
    """N copies of a world that can only be had together, and that start anew by themselves, a step late."""

    begin: Callable[[Array], tuple[Array, Any]]  # keys (N,) -> observations, states
    step: Callable[[Array, Any, Array, Array], tuple[Any, Array, Step, Array]]
    """noise (N,) uint32, states, observations, actions (N,) -> states, the observations that were acted on, what it led
    to, and which copies (N,) were idle: they only showed the beginning of the next episode."""


class Environment(NamedTuple):
    """One world. It never starts anew by itself; whoever lives in it calls `reset`. Of emulators there is no one copy
    to be had, only a `herd`."""

    name: str
    reset: Callable[[Array], tuple[Array, Any]] | None  # key -> observation, state
    step: Callable[[Array, Any, Array], tuple[Any, Step]] | None  # key, state, action () -> state, what it led to
    observation: jax.ShapeDtypeStruct
    actions: int
    time_limit: int
    solved: float | None = None  # the mean return from which this version counts as solved
    herd: Callable[[int], NativeVectorEnv] | None = None  # how many -> so many at once
    stacked: bool = False  # an observation is a stack (H, W, S) of the newest frames; before an episode they are zero


def limited(
    name: str,
    reset: Callable[[Array], tuple[Array, Any]],
    step: Callable[[Array, Any, Array], tuple[Any, Array, Array, Array]],
    actions: int,
    time_limit: int,
    solved: float | None = None,
) -> Environment:
    """An Environment from a world without a time limit: `step` -> state, observation, reward, terminated."""

    def first(key: Array) -> tuple[Array, Any]:
        observation, inner = reset(key)
        return observation, (_strong(inner), jnp.int32(0))

    def following(key: Array, state: Any, action: Array) -> tuple[Any, Step]:
        inner, time = state
        inner, observation, reward, terminated = step(key, inner, action)
        terminated = jnp.asarray(terminated, bool)
        truncated = (time + 1 >= time_limit) & ~terminated
        reward = jnp.asarray(reward, jnp.float32)
        return (_strong(inner), time + 1), Step(observation, reward, terminated, truncated)

    observation, _ = jax.eval_shape(first, jax.random.key(0))
    shape = jax.ShapeDtypeStruct(observation.shape, observation.dtype)
    return Environment(name, first, following, shape, actions, time_limit, solved)


def _strong(state: Any) -> Any:
    """Python's numbers as arrays of a type of their own, so that the state of every step has the same types."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), state)
