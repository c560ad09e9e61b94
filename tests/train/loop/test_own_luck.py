"""Each replica is judged as it is alone: with the episodes and the latents of its own seed."""

import dataclasses

import jax
import numpy as np
import pytest

from train.config import Adversarial, Data, Experiment, Model, Optim, QLearning, World
from train.config.replicas import alone, members
from train.studies.search.trainer import Trainer
from train.tasks.assemble import assemble

AGENT = Experiment(
    model=Model("dqn_mlp", {"hidden": (4,)}),
    data=World("CartPole-v1", batch=4, environments=2),
    optim=Optim("sgd"),
    task=QLearning(train_every=2, replay=20, replay_start=4, eval_episodes=4),
    steps=2,
    eval_every_steps=2,
    seeds=3,
)
PAIR = Experiment(
    model=Model("gan", {"latent": 4, "widths": (8,), "units": (4,), "pieces": 2}),
    data=Data("digits", batch=16),
    task=Adversarial(),
    steps=2,
    eval_every_steps=2,
    seeds=3,
)


@pytest.mark.parametrize(
    ("experiment", "metric"), [(AGENT, "return"), pytest.param(PAIR, "pixel_frechet", marks=pytest.mark.slow)]
)
def test_a_replica_is_judged_with_its_own_seed(experiment: Experiment, metric: str) -> None:
    """The same State in every replica: only what the evaluation draws differs."""
    setup = assemble(experiment)
    state = jax.jit(setup.task.init)(jax.random.key(0))
    evaluators = setup.measures("test", None, members(experiment))
    assert evaluators is not None
    together = [evaluate(state)[metric] for evaluate in evaluators]
    last = alone(experiment, members(experiment)[2])
    np.testing.assert_allclose(together[2], assemble(last).evaluator("test", None)(state)[metric], rtol=1e-6)
    assert len(set(together)) > 1


@pytest.mark.slow
def test_a_search_judges_the_seeds_of_a_trial_likewise() -> None:
    experiment = dataclasses.replace(AGENT, seeds=2)
    trainer = Trainer(experiment, assemble(experiment))
    state = jax.jit(trainer.setup.task.init)(jax.random.key(0))
    found = [trainer.evaluators[seed](state)["return"] for seed in (0, 1)]
    trainer.close()
    assert found[0] != found[1]
