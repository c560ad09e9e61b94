"""Deep Q-learning: what a transition is worth, what the memory keeps, what is copied when, and resuming to the bit."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import slow_except
from rich.console import Console

import train.loop.run
import zoo
from train import cli
from train.config import Experiment, Model, Optim, QLearning, World, files, override
from train.core import ReplicaTasks, State, run_chunk, run_replicas
from train.core.signals import Stopped
from train.data.worlds import vector
from train.data.worlds.environment import limited
from train.data.worlds.vector import Transitions
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.tasks import check
from train.tasks.assemble import assemble
from train.tasks.q_learning import replay
from train.tasks.q_learning.setup import Nothing
from train.tasks.q_learning.task import epsilon_at, q_learning, td_targets
from zoo.errors import UserError

KEY = jax.random.key(0)
EXPERIMENT = Experiment(
    model=Model("dqn_mlp", {"hidden": (16,)}),
    data=World("CartPole-v1", batch=16, environments=4),
    optim=Optim("adam", lr=1e-3),
    task=QLearning(
        train_every=8,
        target_every=5,
        replay=200,
        replay_start=40,
        epsilon=(1.0, 0.1),
        epsilon_steps=200,
        eval_episodes=8,
    ),
    steps=40,
    eval_every_steps=20,
)
PRIORITIZED = {"task": {"priority": 0.6, "double": True}}
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def made() -> Any:
    return assemble(EXPERIMENT)


def start(made: Any, seed: int = 0) -> State:
    return jax.jit(made.task.init)(jax.random.key(seed))


def assert_same_bits(a: State, b: State) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


# What a transition is worth


def test_targets_by_hand() -> None:
    rewards, terminated = jnp.array([1.0, 2.0, 3.0]), jnp.array([False, True, False])
    target = jnp.array([[1.0, 5.0], [7.0, 8.0], [4.0, 3.0]])
    learner = jnp.array([[9.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    expected = [1 + 0.9 * 5, 2, 3 + 0.9 * 4]
    np.testing.assert_allclose(td_targets(rewards, terminated, target, target, 0.9), expected, rtol=1e-6)
    double = [1 + 0.9 * 1, 2, 3 + 0.9 * 3]  # the learner chooses actions 0 and 1, the target network values them
    np.testing.assert_allclose(td_targets(rewards, terminated, target, learner, 0.9), double, rtol=1e-6)


def pays_one(end: bool) -> Any:
    """A world of one place that pays 1; its episodes last one step, at whose end it has `end`ed or time is up."""
    step = lambda key, state, action: (state, jnp.ones(1), jnp.float32(1), jnp.bool_(end))  # noqa: E731
    return limited("pays one", lambda key: (jnp.ones(1), jnp.int32(0)), step, 2, time_limit=1)


@pytest.mark.parametrize(("end", "worth"), [(True, 1.0), (False, 1 / (1 - 0.5))])
def test_a_terminal_transition_bootstraps_nothing_and_a_truncated_one_does(end: bool, worth: float) -> None:
    how = QLearning(discount=0.5, train_every=2, target_every=5, replay=20, replay_start=20, loss="squared")
    model = zoo.create("dqn_mlp", hidden=(8,), actions=2)
    task = q_learning(model, optax.adam(1e-2), pays_one(end), how, environments=2, batch=8, steps=400)
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), Nothing(), KEY, 400)
    assert float(metrics["q"][-50:].mean()) == pytest.approx(worth, abs=0.05)
    returns, episodes = metrics["return"]
    assert (returns.sum() / episodes.sum(), episodes.sum()) == (1, 800)


def test_huber_is_the_error_clipped() -> None:
    from train.algorithms import losses

    errors = jnp.array([-3.0, -0.5, 0.25, 2.0])
    np.testing.assert_allclose(losses.huber(errors), [2.5, 0.125, 0.03125, 1.5])
    np.testing.assert_allclose(jax.grad(lambda e: losses.huber(e).sum())(errors), [-1, -0.5, 0.25, 1])
    np.testing.assert_allclose(losses.squared(errors), [9, 0.25, 0.0625, 4])


def test_rewards_are_clipped_for_learning_and_reported_as_they_are() -> None:
    step = lambda key, state, action: (state, jnp.ones(1), jnp.float32(7), jnp.bool_(True))  # noqa: E731
    env = limited("pays seven", lambda key: (jnp.ones(1), jnp.int32(0)), step, 2, time_limit=9)
    how = QLearning(train_every=2, target_every=5, replay=20, replay_start=20, clip_rewards=True)
    task = q_learning(
        zoo.create("dqn_mlp", hidden=(8,)), optax.adam(1e-2), env, how, environments=2, batch=8, steps=300
    )
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), Nothing(), KEY, 300)
    assert float(metrics["q"][-1]) == pytest.approx(1, abs=0.05)
    assert (metrics["return"][0] / metrics["return"][1]).tolist() == [7] * 300


# What it does


def test_epsilon_falls_along_a_line_and_stays() -> None:
    how = QLearning(epsilon=(1.0, 0.1), epsilon_steps=100)
    found = [float(epsilon_at(how, jnp.int32(done))) for done in (0, 50, 100, 10_000)]
    np.testing.assert_allclose(found, [1, 0.55, 0.1, 0.1], rtol=1e-6)


def test_actions_are_the_best_but_for_epsilon_of_them() -> None:
    noise = jax.random.bits(KEY, (20_000, 2), jnp.uint32)
    q = jnp.tile(jnp.array([0.0, 3.0, 1.0]), (20_000, 1))
    chosen = np.asarray(vector.explore(q, noise, 0.3))
    np.testing.assert_allclose(np.bincount(chosen, minlength=3) / 20_000, [0.1, 0.8, 0.1], atol=0.01)
    assert (vector.explore(q, noise, 0.0) == 1).all()


def test_the_target_network_stands_still_between_copies(made: Any) -> None:
    state = start(made)
    kept = jax.tree.map(np.asarray, state.params["q"])
    assert_same_bits(state.aux.target, kept)
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 5)  # steps 0 to 4
    assert_same_bits(state.aux.target, kept)
    learned = jax.tree.map(np.asarray, state.params["q"])
    assert not np.array_equal(jax.tree.leaves(learned)[0], jax.tree.leaves(kept)[0])
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 1)  # step 5 begins with a copy
    assert_same_bits(state.aux.target, learned)


def test_the_memory_begins_with_random_play_and_every_step_adds_to_it(made: Any) -> None:
    state = start(made)
    stored = jax.tree.map(np.asarray, state.aux.replay.stored)
    assert int(replay.size(state.aux.replay)) == 40
    assert 0.2 < float(stored.actions[:40].mean()) < 0.8
    assert (stored.rewards == [1.0] * 40 + [0.0] * 160).all()
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 3)
    assert int(replay.size(state.aux.replay)) == 40 + 3 * 8
    before, after = stored.observations, stored.next_observations
    goes_on = ~stored.terminated[:36]
    np.testing.assert_array_equal(after[:36][goes_on], before[4:40][goes_on])  # 4 environments side by side


# What it remembers


def numbered(first: int, count: int = 2) -> Transitions:
    number = jnp.arange(first, first + count)
    return Transitions(number[:, None] * 1.0, number, number * 1.0, number[:, None] + 0.5, number % 2 == 0)


def test_the_ring_forgets_the_oldest() -> None:
    memory = replay.empty(6, numbered(0), prioritized=False)
    sizes = []
    for first in range(0, 26, 2):
        memory = replay.write(memory, numbered(first))
        sizes.append(int(replay.size(memory)))
        assert sorted(np.asarray(memory.stored.actions)[: sizes[-1]]) == list(range(max(0, first - 4), first + 2))
    assert sizes[:4] == [2, 4, 6, 6]
    seen, places, weights = replay.draw(memory, jax.random.bits(KEY, (500,), jnp.uint32))
    assert set(np.asarray(seen.actions).tolist()) == set(range(20, 26))
    np.testing.assert_array_equal(seen.next_observations[:, 0], seen.actions + 0.5)
    np.testing.assert_array_equal(memory.stored.actions[places], seen.actions)
    assert (weights == 1).all()


def test_nothing_is_drawn_that_was_never_written() -> None:
    memory = replay.write(replay.empty(64, numbered(0), prioritized=False), numbered(5))
    seen, _, _ = replay.draw(memory, jax.random.bits(KEY, (300,), jnp.uint32))
    assert set(np.asarray(seen.actions).tolist()) == {5, 6}


def test_priorities_are_how_often_a_transition_is_drawn() -> None:
    memory = replay.empty(11, numbered(0, 1), prioritized=True)
    for number in range(8):
        memory = replay.write(memory, numbered(number, 1))
    errors = jnp.array([0.1, 0.0, 2.0, 1.0, 0.5, 4.0, 0.2, 3.0])
    memory = replay.prioritize(memory, jnp.arange(8), errors, alpha=0.5)
    _, places, weights = replay.draw(memory, jax.random.bits(KEY, (40_000,), jnp.uint32), beta=0.7)
    chances = np.append((np.asarray(errors) + 1e-6) ** 0.5, np.zeros(3))
    chances /= chances.sum()
    np.testing.assert_allclose(np.bincount(places, minlength=11) / 40_000, chances, atol=0.002)
    expected = (8 * chances[np.asarray(places)]) ** -0.7
    np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-3)
    memory = replay.write(memory, numbered(8, 1))
    assert float(memory.priorities[8]) == pytest.approx(2, rel=1e-3)  # as the largest so far: it comes soon


def test_the_stated_memory_is_that_of_the_arrays() -> None:
    for priority in (0.0, 0.6):
        experiment = override(EXPERIMENT, {"task": {"priority": priority}})
        made = assemble(experiment)
        arrays = [made.abstract.aux.replay.stored, made.abstract.aux.replay.priorities]
        taken = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(arrays))
        assert replay.nbytes(200, made.dataset.observation, priority > 0) == taken


# As a run


@pytest.mark.parametrize("changes", slow_except([PRIORITIZED], [{}, PRIORITIZED]), ids=["uniform", "prioritized"])
def test_a_run_cut_in_two_ends_with_the_same_bits(changes: dict) -> None:
    made = assemble(override(EXPERIMENT, changes))
    whole, _ = run_chunk(made.task, start(made), Nothing(), KEY, 30)
    half, _ = run_chunk(made.task, start(made), Nothing(), KEY, 13)
    both, _ = run_chunk(made.task, half, Nothing(), KEY, 17)
    assert_same_bits(whole, both)


@pytest.mark.parametrize("changes", slow_except([{}], [{}, PRIORITIZED]), ids=["uniform", "prioritized"])
def test_seeds_side_by_side_are_those_seeds_alone(changes: dict) -> None:
    changes = {"optim": {"name": "sgd", "lr": 1e-3}} | changes  # Adam makes rounding visible
    made = assemble(override(EXPERIMENT, changes))
    keys = jax.random.split(KEY, 3)
    states = jax.jit(jax.vmap(made.task.init))(keys)
    states, metrics = run_replicas(ReplicaTasks(lambda _: made.task, "vmap"), {}, states, Nothing(), keys, 10)
    alone, own = run_chunk(made.task, jax.jit(made.task.init)(keys[1]), Nothing(), keys[1], 10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-3, atol=1e-4), states.params, alone.params)
    np.testing.assert_allclose(metrics["loss"][1], own["loss"], rtol=1e-3)
    np.testing.assert_array_equal(states.aux.replay.stored.actions[1], alone.aux.replay.stored.actions)


class _Interrupt:
    """Stands in for the watch on signals: asks to stop at the first look."""

    received = 15

    def __enter__(self) -> "_Interrupt":
        return self

    def __exit__(self, *_: object) -> None: ...


def test_a_stopped_run_resumes_to_the_bit_with_its_memory(made: Any, tmp_path: Path, monkeypatch: Any) -> None:
    whole = train.loop.run.create("whole", EXPERIMENT, tmp_path)
    summary = fit(whole, made, QUIET)
    assert summary.test["count"] == 8
    assert summary.test["return"] == summary.test["length"] > 8
    assert "CartPole-v1 counts as solved from a mean of 475" in summary.notes["return"]
    assert {path.name for path in whole.samples.iterdir()} == {"episode.gif", "episode.png"}
    lines = [line for line in train.loop.run.read_metrics(whole.path) if line["split"] == "train"]
    assert all(np.isfinite(line[name]) for line in lines for name in ("loss", "q", "return"))

    cut = train.loop.run.create("cut", EXPERIMENT, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", _Interrupt)
        with pytest.raises(Stopped):
            fit(cut, made, QUIET)
    assert Checkpoints(cut.checkpoints, read_only=True).steps()[-1] < 40
    fit(cut, made, QUIET, resume=True)
    states = [Checkpoints(run.checkpoints, read_only=True).restore(made.abstract)[0] for run in (whole, cut)]
    assert int(replay.size(states[0].aux.replay)) == 200
    assert_same_bits(*states)


def test_play_prints_returns_and_writes_a_film(made: Any, tmp_path: Path, capsys: Any) -> None:
    run = train.loop.run.create("played", override(EXPERIMENT, {"steps": 4, "eval_every_steps": 4}), tmp_path)
    fit(run, assemble(run.experiment), QUIET)
    film = tmp_path / "film.gif"
    assert cli.run(["play", str(run.path), "--episodes", "3", "--epsilon", "0", "--out", str(film)]) == 0
    said = capsys.readouterr().out
    assert "return over 3 episodes, epsilon 0: mean" in said.replace("\n", " ")
    assert "95 % interval" in said
    assert film.read_bytes()[:6] == b"GIF89a"
    assert cli.run(["eval", str(run.path)]) == 0
    assert "episodes" in capsys.readouterr().out


def test_play_needs_an_agent(tmp_path: Path, capsys: Any) -> None:
    run = train.loop.run.create("digits_mlp", files.load("digits_mlp"), tmp_path)
    assert cli.run(["play", str(run.path)]) == 2
    assert "zoo play needs the run of an agent" in capsys.readouterr().err


BAD_INPUT = [
    ("--data.name Cartpole", "unknown environment 'Cartpole': did you mean CartPole-v1 or CartPole-v0?"),
    ("--task.replay 100000000000000", "task.replay 100,000,000,000,000 needs"),
    ("--task.replay 20", "task.replay 20 is smaller than one batch: data.batch is 32"),
    ("--task.replay 10005", "task.replay must be a multiple of the 4 environments side by side, not 10005"),
    ("--task.train-every 15", "task.train_every must be a multiple of the 4 environments side by side, not 15"),
    ("--task.replay-start 20", "task.replay_start must be at least one batch of 32, not 20"),
    ("--task.replay-start 0", "task.replay_start must be at least 1, not 0"),
    ("--task.epsilon 1 2", "task.epsilon and task.eval_epsilon must be from 0 to 1"),
    ("--task.discount 1.5", "task.discount must be from 0 to 1, not 1.5"),
    ("--task.target-every 0", "task.target_every must be at least 1, not 0"),
    ("--data.environments 0", "data.environments must be at least 1, not 0"),
    ("--data.sticky 0.5", "data.sticky must be None or 0 in CartPole-v1"),
    ("--data.time-limit 0", "data.time_limit must be at least 1, not 0"),
    ("--model.actions 3", "model.actions is 3, but CartPole-v1 needs 2"),
    ("--model.name mlp", "mlp cannot value the actions of an agent; models that can: dqn_2013"),
    ("--model.name dqn_nature", "dqn takes images"),
    ("--optim.decay 0.5", "optim.decay means nothing to the rule 'adam'"),
]


@pytest.mark.parametrize(("options", "line"), BAD_INPUT)
def test_bad_input_is_one_line(options: str, line: str, tmp_path: Path, capsys: Any) -> None:
    assert cli.run(["train", "cartpole_dqn", "--workdir", str(tmp_path), *options.split()]) == 2
    assert capsys.readouterr().err.startswith(f"zoo: {line}")
    assert not list(tmp_path.iterdir())


def test_a_replay_larger_than_memory_says_how_much_it_needs_and_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.core.machine.memory_free", lambda: 1 << 20)
    each = 2 * 4 * 4 + 4 + 4 + 1
    with pytest.raises(UserError) as error:
        assemble(override(EXPERIMENT, {"task": {"replay": 40_000_000}}))
    assert str(error.value) == (
        f"task.replay 40,000,000 needs 1.5 GiB for transitions of CartPole-v1 ({each} bytes each), "
        f"and 0.0 GiB are free: at most {2**20 // each:,} fit"
    )


def test_an_agent_and_a_set_of_images_do_not_mix() -> None:
    images = dataclasses.replace(EXPERIMENT, data=files.load("digits_mlp").data)
    with pytest.raises(UserError, match="the task 'q_learning' needs an environment, and digits is a set of images"):
        check.check(images)


@pytest.mark.slow
def test_cartpole_is_solved() -> None:
    experiment = files.load("cartpole_dqn")
    made = assemble(experiment)
    state, _ = run_chunk(made.task, start(made), Nothing(), KEY, experiment.steps)
    assert made.evaluator("test", None)(state)["return"] >= 475
