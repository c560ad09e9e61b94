"""Environments that reset themselves a step late, as Atari's emulators do: what is learned, and what is counted."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from train.algorithms.optimizers import make_optimizer
from train.config import Optim, QLearning, World
from train.data.worlds.environment import Environment, NativeStep, NativeVectorEnv, Step, no_single_copy
from train.data.worlds.noise import EnvNoise
from train.data.worlds.vector import NO_ACTION, make_vector_env
from train.tasks.q_learning.task import q_learning

LENGTH = 3  # steps of an episode, each with reward 1
PROCESS = 7


def counting(num_envs: int, *, terminates: bool) -> NativeVectorEnv:
    """Environments whose observation is the time; an episode is over after LENGTH steps, and reset a step late."""

    def reset(keys: Any) -> Any:
        zero = jnp.zeros(num_envs, jnp.float32)
        return zero[:, None], {"time": zero, "over": zero > 0, "born": jnp.full(num_envs, PROCESS)}

    def step(seeds: Any, states: Any, observations: Any, actions: Any) -> NativeStep:
        same = (states["born"] == PROCESS).all()
        resetting = states["over"] & same
        before = jnp.where(same, states["time"], 0)
        time = jnp.where(resetting, 0, before + 1)
        ended = time == LENGTH
        none = jnp.zeros_like(ended)
        result = Step(
            time[:, None], jnp.where(resetting, 0.0, 1.0), ended if terminates else none, none if terminates else ended
        )
        states = {"time": time, "over": ended, "born": jnp.full(num_envs, PROCESS)}
        return NativeStep(states, before[:, None], result, resetting, restarted=~same)

    return NativeVectorEnv(reset, step)


def world(*, terminates: bool) -> Environment:
    shape = jax.ShapeDtypeStruct((1,), jnp.float32)
    return Environment(
        "counting", no_single_copy, no_single_copy, shape, actions=2, time_limit=LENGTH,
        native_vector_env=lambda n: counting(n, terminates=terminates),
    )  # fmt: skip


NOISE = EnvNoise(jnp.zeros((2, 2), jnp.uint32), jnp.zeros((2, 2), jnp.uint32))


def played(steps: int, *, terminates: bool) -> tuple[Any, list[Any]]:
    vector_env = make_vector_env(world(terminates=terminates), 2)
    state, results = vector_env.reset(jax.random.split(jax.random.key(0), 2)), []
    for _ in range(steps):
        result = vector_env.step(state, jnp.ones(2, jnp.int32), NOISE)
        state = result.env_state
        results.append(result)
    return state, results


@pytest.mark.parametrize("terminates", [True, False])
def test_the_step_that_only_resets_is_no_transition(terminates: bool) -> None:
    _, results = played(5, terminates=terminates)
    actions = [int(result.transitions.actions[0]) for result in results]
    assert actions == [1, 1, 1, NO_ACTION, 1]
    assert [bool(result.ends.done[0]) for result in results] == [False, False, True, False, False]
    assert bool(results[2].transitions.terminated[0]) == terminates
    assert float(results[2].ends.returns[0]) == LENGTH


def test_a_return_after_a_resume_is_that_of_its_own_episode() -> None:
    """The emulators are gone with their process, and what their episodes had earned is not earned again."""
    state, _ = played(2, terminates=True)
    lost = dataclasses.replace(state, states=state.states | {"born": jnp.full(2, PROCESS + 1)})
    vector_env = make_vector_env(world(terminates=True), 2)
    for _ in range(LENGTH):
        result = vector_env.step(lost, jnp.ones(2, jnp.int32), NOISE)
        lost = result.env_state
    assert bool(result.ends.done[0])
    assert float(result.ends.returns[0]) == LENGTH
    assert int(result.ends.lengths[0]) == LENGTH


class Table(nn.Module):
    """A value for each time and action."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        values = self.param("values", nn.initializers.ones, (LENGTH + 1, 2))
        return values[x[:, 0].astype(jnp.int32)]


def test_the_end_of_an_episode_that_was_cut_off_keeps_its_value() -> None:
    """Its last observation is bootstrapped from, and was taught to be worth nothing."""
    config = QLearning(
        train_every=2, replay=8, replay_start=8, discount=0.5, clip_rewards=False, target_every=1000, loss="squared"
    )
    env, data = world(terminates=False), World("CartPole-v1", batch=16, environments=2)
    task = q_learning(Table(), make_optimizer(Optim("sgd", lr=1.0), 20), env, config, data, steps=20)
    state = jax.jit(task.init)(jax.random.key(0))
    step = jax.jit(task.step)
    for number in range(6):
        state, _ = step(state, None, jax.random.key(number))
    values = np.asarray(state.params["q"]["values"])
    np.testing.assert_array_equal(values[LENGTH], 1.0)  # nothing is ever learned of it
    assert np.any(values[:LENGTH] != 1.0)
