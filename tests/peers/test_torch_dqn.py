"""The PyTorch agent is the same agent: network, numbers of the recipe, and a few hundred steps of it."""

import dataclasses

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gymnasium")

import torch_dqn  # noqa: E402

from train.config import files  # noqa: E402
from train.tasks.assemble import assemble  # noqa: E402


def test_network_and_recipe_are_those_of_the_config() -> None:
    experiment = files.load("cartpole_dqn")
    theirs, parts = torch_dqn.network(), assemble(experiment)
    ours = sorted(leaf.size for leaf in jax.tree.leaves(parts.abstract.params))
    assert sorted(p.numel() for p in theirs.parameters()) == ours
    how = experiment.task
    assert (how.replay, how.replay_start, experiment.data.batch, how.train_every) == (
        torch_dqn.REPLAY,
        torch_dqn.FILL,
        torch_dqn.BATCH,
        torch_dqn.EVERY,
    )
    assert how.target_every * how.train_every == torch_dqn.TARGET_EVERY
    assert (how.discount, experiment.optim.lr, how.loss) == (torch_dqn.DISCOUNT, torch_dqn.RATE, "squared")
    assert (*how.epsilon, how.epsilon_steps) == (torch_dqn.START, torch_dqn.END, torch_dqn.FALL)
    assert dataclasses.replace(experiment.optim, lr=1e-3) == type(experiment.optim)()  # Adam as PyTorch has it


@pytest.mark.parametrize("vector", [False, True])
def test_it_learns_from_its_own_experience(vector: bool) -> None:
    agent = torch_dqn.Agent(vector=vector)
    before = [p.detach().clone() for p in agent.learner.parameters()]
    agent.advance(40)
    assert any((a != b).any() for a, b in zip(before, agent.learner.parameters(), strict=True))
    assert agent.written == torch_dqn.FILL + 40
    before_last = agent.terminated[: agent.written - 1]
    ended, goes_on = np.flatnonzero(before_last), np.flatnonzero(before_last == 0)
    np.testing.assert_array_equal(agent.following[goes_on], agent.observations[goes_on + 1])
    last = np.abs(agent.following[ended])
    assert ((last[:, 2] > 0.2) | (last[:, 0] > 2.4)).all()
    assert (np.abs(agent.observations[ended + 1]) <= 0.05).all()
