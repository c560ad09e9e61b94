"""Fields that checkpoints store under other names."""

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest
from jax import Array

from train.core.pytrees import stored_as


@stored_as(env_state="living")
class Agent:
    params: Array
    env_state: Array


def test_code_and_checkpoints_use_different_names() -> None:
    agent = Agent(jnp.zeros(2), jnp.ones(3))
    assert list(ocp.tree.to_flat_dict(agent, sep="/")) == ["params", "living"]
    doubled = jax.jit(lambda agent: jax.tree.map(lambda leaf: 2 * leaf, agent))(agent)
    assert isinstance(doubled, Agent)
    assert (doubled.params.tolist(), doubled.env_state.tolist()) == ([0, 0], [2, 2, 2])


def test_only_a_field_can_have_another_name() -> None:
    with pytest.raises(TypeError, match=r"^Misspelt has no field env_stat$"):

        @stored_as(env_stat="living")
        class Misspelt:
            env_state: Array
