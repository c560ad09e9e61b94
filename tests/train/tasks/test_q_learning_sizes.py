"""Numbers of environments that do not divide what an agent stores and how often it learns are one line."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
import pytest

import zoo
from train.config import QLearning, World
from train.data.worlds.environment import limited
from train.data.worlds.vector import Transitions
from train.tasks.q_learning.replay import ReplayMemory
from train.tasks.q_learning.task import q_learning
from zoo.errors import UserError


def test_what_does_not_divide_the_memory_is_one_line() -> None:
    """The last write of a round would begin earlier than it should, over newer transitions."""
    memory, one = ReplayMemory(10), jnp.zeros(4)
    transitions = Transitions(one[:, None], jnp.int32(one), one, one[:, None], one > 0)
    state = memory.init(transitions)
    with pytest.raises(UserError, match="a replay memory of 10 transitions must be a multiple of the 4 added"):
        memory.add(state, transitions)


@pytest.mark.parametrize(("field", "value"), [("train_every", 2), ("train_every", 6), ("replay", 30)])
def test_environments_that_do_not_divide_are_one_line_from_python_too(field: str, value: int) -> None:
    def step(key: jax.Array, state: jax.Array, action: jax.Array) -> tuple:
        return state, jnp.ones(1), jnp.float32(1), jnp.bool_(True)

    env = limited("pays one", lambda key: (jnp.ones(1), jnp.int32(0)), step, 2, time_limit=1)
    config = dataclasses.replace(QLearning(train_every=4, replay=40, replay_start=20), **{field: value})
    model = zoo.create("dqn_mlp", hidden=(8,), actions=2)
    with pytest.raises(UserError, match=f"task.{field} must be a multiple of the 4 environments .*, not {value}"):
        q_learning(model, optax.adam(1e-2), env, config, World("pays one", environments=4), steps=4)
