"""Deep Q-learning: targets, actions, the replay memory, the target network, and resuming to the same bits."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from cases import slow_except
from interruption import Interruption
from rich.console import Console

import train.loop.run
import zoo
from train import cli
from train.config import Experiment, Model, Optim, QLearning, World, files, override
from train.core import ReplicaTasks, State, run_chunk, run_replicas
from train.core.signals import Stopped
from train.data.worlds.environment import limited
from train.data.worlds.noise import fill_noise, step_noise
from train.inference.episodes import epsilon_greedy
from train.loop.checkpoints import Checkpoints
from train.loop.fit import fit
from train.tasks import check
from train.tasks.assemble import assemble
from train.tasks.q_learning.replay import ReplayMemory
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


# The TD target


def test_td_targets_computed_by_hand() -> None:
    rewards, terminated = jnp.array([1.0, 2.0, 3.0]), jnp.array([False, True, False])
    q_target = jnp.array([[1.0, 5.0], [7.0, 8.0], [4.0, 3.0]])
    q_online = jnp.array([[9.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    expected = [1 + 0.9 * 5, 2, 3 + 0.9 * 4]
    targets = td_targets(rewards, terminated, q_target, q_target.argmax(-1), 0.9)
    np.testing.assert_allclose(targets, expected, rtol=1e-6)
    expected_double = [1 + 0.9 * 1, 2, 3 + 0.9 * 3]  # actions 0, 1 and 1 of the online network
    targets = td_targets(rewards, terminated, q_target, q_online.argmax(-1), 0.9)
    np.testing.assert_allclose(targets, expected_double, rtol=1e-6)


def pays_one(terminates: bool) -> Any:
    """An environment with one state and reward 1. After one step an episode terminates or is truncated."""
    step = lambda key, state, action: (state, jnp.ones(1), jnp.float32(1), jnp.bool_(terminates))  # noqa: E731
    return limited("pays one", lambda key: (jnp.ones(1), jnp.int32(0)), step, 2, time_limit=1)


@pytest.mark.parametrize(("terminates", "value"), [(True, 1.0), (False, 1 / (1 - 0.5))])
def test_a_terminated_transition_does_not_bootstrap_and_a_truncated_one_does(terminates: bool, value: float) -> None:
    config = QLearning(discount=0.5, train_every=2, target_every=5, replay=20, replay_start=20, loss="squared")
    model = zoo.create("dqn_mlp", hidden=(8,), actions=2)
    data = World("pays one", batch=8, environments=2)
    task = q_learning(model, optax.adam(1e-2), pays_one(terminates), config, data, steps=400)
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), Nothing(), KEY, 400)
    assert float(metrics["q"][-50:].mean()) == pytest.approx(value, abs=0.05)
    returns = metrics["return"]
    assert (returns.total.sum() / returns.count.sum(), returns.count.sum()) == (1, 800)


def test_the_gradient_of_huber_is_the_clipped_error() -> None:
    from train.algorithms import losses

    errors = jnp.array([-3.0, -0.5, 0.25, 2.0])
    np.testing.assert_allclose(losses.huber(errors), [2.5, 0.125, 0.03125, 1.5])
    np.testing.assert_allclose(jax.grad(lambda e: losses.huber(e).sum())(errors), [-1, -0.5, 0.25, 1])
    np.testing.assert_allclose(losses.squared(errors), [9, 0.25, 0.0625, 4])


def test_rewards_are_clipped_for_learning_but_not_in_the_reported_return() -> None:
    step = lambda key, state, action: (state, jnp.ones(1), jnp.float32(7), jnp.bool_(True))  # noqa: E731
    env = limited("pays seven", lambda key: (jnp.ones(1), jnp.int32(0)), step, 2, time_limit=9)
    config = QLearning(train_every=2, target_every=5, replay=20, replay_start=20, clip_rewards=True)
    data = World("pays seven", batch=8, environments=2)
    task = q_learning(zoo.create("dqn_mlp", hidden=(8,)), optax.adam(1e-2), env, config, data, steps=300)
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), Nothing(), KEY, 300)
    assert float(metrics["q"][-1]) == pytest.approx(1, abs=0.05)
    assert (metrics["return"].total / metrics["return"].count).tolist() == [7] * 300


# Acting, storing and the target network


def test_epsilon_falls_linearly_and_then_stays() -> None:
    config = QLearning(epsilon=(1.0, 0.1), epsilon_steps=100)
    found = [float(epsilon_at(config, jnp.int32(steps))) for steps in (0, 50, 100, 10_000)]
    np.testing.assert_allclose(found, [1, 0.55, 0.1, 0.1], rtol=1e-6)


def test_epsilon_greedy_actions_have_the_right_frequencies() -> None:
    noise = step_noise(jax.random.bits(KEY, (20_000, 2), jnp.uint32))
    q = jnp.tile(jnp.array([0.0, 3.0, 1.0]), (20_000, 1))
    actions = np.asarray(epsilon_greedy(q, noise, 0.3))
    np.testing.assert_allclose(np.bincount(actions, minlength=3) / 20_000, [0.1, 0.8, 0.1], atol=0.01)
    assert (epsilon_greedy(q, noise, 0.0) == 1).all()


def test_named_noise_is_a_view_on_the_columns_of_the_bits() -> None:
    bits = jnp.arange(2 * 6, dtype=jnp.uint32).reshape(2, 6)
    noise = step_noise(bits)
    columns = [noise.explore, noise.action, noise.env.step_key, noise.env.reset_key]
    found = [column.tolist() for column in columns]
    assert found == [[0, 6], [1, 7], [[2, 3], [8, 9]], [[4, 5], [10, 11]]]
    assert noise.env.emulator_seed.tolist() == [2, 8]
    fill = fill_noise(bits[:, :5])
    assert (fill.action.tolist(), fill.env.step_key.tolist()) == ([0, 6], [[1, 2], [7, 8]])
    assert fill.env.reset_key.tolist() == [[3, 4], [9, 10]]


def test_the_target_network_changes_only_when_it_is_synced(made: Any) -> None:
    state = start(made)
    initial = jax.tree.map(np.asarray, state.params["q"])
    assert_same_bits(state.aux.target_params, initial)
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 5)  # steps 0 to 4
    assert_same_bits(state.aux.target_params, initial)
    trained = jax.tree.map(np.asarray, state.params["q"])
    assert not np.array_equal(jax.tree.leaves(trained)[0], jax.tree.leaves(initial)[0])
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 1)  # step 5 begins with a sync
    assert_same_bits(state.aux.target_params, trained)


def test_the_memory_starts_with_random_actions_and_every_step_adds_to_it(made: Any) -> None:
    memory = ReplayMemory(200)
    state = start(made)
    stored = jax.tree.map(np.asarray, state.aux.replay.transitions)
    assert int(memory.size(state.aux.replay)) == 40
    assert 0.2 < float(stored.actions[:40].mean()) < 0.8
    assert (stored.rewards == [1.0] * 40 + [0.0] * 160).all()
    state, _ = run_chunk(made.task, state, Nothing(), KEY, 3)
    assert int(memory.size(state.aux.replay)) == 40 + 3 * 8
    continues = ~stored.terminated[:36]
    # Four environments: the next observation is the observation of the transition four slots later.
    np.testing.assert_array_equal(stored.next_observations[:36][continues], stored.observations[4:40][continues])


def test_nbytes_is_the_size_of_the_arrays() -> None:
    for exponent in (0.0, 0.6):
        made = assemble(override(EXPERIMENT, {"task": {"priority": exponent}}))
        arrays = [made.abstract.aux.replay.transitions, made.abstract.aux.replay.priorities]
        total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(arrays))
        assert ReplayMemory(200, exponent).nbytes(made.dataset.observation) == total


def test_a_replay_memory_that_does_not_fit_is_one_line_with_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.core.machine.memory_free", lambda: 1 << 20)
    each = 2 * 4 * 4 + 4 + 4 + 1
    with pytest.raises(UserError) as error:
        assemble(override(EXPERIMENT, {"task": {"replay": 40_000_000}}))
    assert str(error.value) == (
        f"task.replay 40,000,000 needs 1.5 GiB for transitions of CartPole-v1 ({each} bytes each), "
        f"and 0.0 GiB are free: at most {2**20 // each:,} fit"
    )


def test_checkpoints_keep_the_names_that_old_runs_have() -> None:
    made = assemble(override(EXPERIMENT, PRIORITIZED))
    names = ocp.tree.to_flat_dict(made.abstract.aux, sep="/")
    assert {name.rsplit("/", 2)[0] for name in names if name.startswith("target/")} == {"target/head"}
    assert [name for name in names if name.startswith("replay/")] == [
        "replay/stored/observations",
        "replay/stored/actions",
        "replay/stored/rewards",
        "replay/stored/next_observations",
        "replay/stored/terminated",
        "replay/written",
        "replay/priorities",
        "replay/largest",
    ]
    assert {name.split("/")[1] for name in names if name.startswith("living/")} == {
        "states",
        "observations",
        "returns",
        "lengths",
    }


def test_with_words_of_64_bits_a_step_keeps_the_shape_of_its_state() -> None:
    with jax.enable_x64(True):
        task = assemble(override(EXPERIMENT, PRIORITIZED)).task
        before = jax.eval_shape(task.init, jax.random.key(0))
        after, _ = jax.eval_shape(task.step, before, None, jax.random.key(0))
    types = [jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), state) for state in (before, after)]
    assert types[0] == types[1]


# Whole runs


@pytest.mark.parametrize("changes", slow_except([PRIORITIZED], [{}, PRIORITIZED]), ids=["uniform", "prioritized"])
def test_two_chunks_give_the_same_bits_as_one(changes: dict) -> None:
    made = assemble(override(EXPERIMENT, changes))
    whole, _ = run_chunk(made.task, start(made), Nothing(), KEY, 30)
    half, _ = run_chunk(made.task, start(made), Nothing(), KEY, 13)
    both, _ = run_chunk(made.task, half, Nothing(), KEY, 17)
    assert_same_bits(whole, both)


@pytest.mark.parametrize("changes", slow_except([{}], [{}, PRIORITIZED]), ids=["uniform", "prioritized"])
def test_seeds_trained_together_equal_seeds_trained_alone(changes: dict) -> None:
    changes = {"optim": {"name": "sgd", "lr": 1e-3}} | changes  # Adam makes rounding visible
    made = assemble(override(EXPERIMENT, changes))
    keys = jax.random.split(KEY, 3)
    states = jax.jit(jax.vmap(made.task.init))(keys)
    states, metrics = run_replicas(ReplicaTasks(lambda _: made.task, "vmap"), {}, states, Nothing(), keys, 10)
    alone, own = run_chunk(made.task, jax.jit(made.task.init)(keys[1]), Nothing(), keys[1], 10)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-3, atol=1e-4), states.params, alone.params)
    np.testing.assert_allclose(metrics["loss"][1], own["loss"], rtol=1e-3)
    np.testing.assert_array_equal(states.aux.replay.transitions.actions[1], alone.aux.replay.transitions.actions)


def test_a_stopped_run_resumes_to_the_same_bits_replay_memory_included(
    made: Any, tmp_path: Path, monkeypatch: Any
) -> None:
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
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped):
            fit(cut, made, QUIET)
    assert Checkpoints(cut.checkpoints, read_only=True).steps()[-1] < 40
    fit(cut, made, QUIET, resume=True)
    states = [Checkpoints(run.checkpoints, read_only=True).restore(made.abstract)[0] for run in (whole, cut)]
    assert int(ReplayMemory(200).size(states[0].aux.replay)) == 200
    assert_same_bits(*states)


def test_play_prints_returns_and_writes_a_film(made: Any, tmp_path: Path, capsys: Any) -> None:
    run = train.loop.run.create("played", override(EXPERIMENT, {"steps": 4, "eval_every_steps": 4}), tmp_path)
    fit(run, assemble(run.experiment), QUIET)
    film = tmp_path / "film.gif"
    assert cli.run(["play", str(run.path), "--episodes", "3", "--epsilon", "0", "--out", str(film)]) == 0
    printed = capsys.readouterr().out
    assert "return over 3 episodes, epsilon 0: mean" in printed.replace("\n", " ")
    assert "95 % interval" in printed
    assert film.read_bytes()[:6] == b"GIF89a"
    assert cli.run(["eval", str(run.path)]) == 0
    assert "episodes" in capsys.readouterr().out


def test_play_requires_the_run_of_an_agent(tmp_path: Path, capsys: Any) -> None:
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
    (
        "--task.newest --task.priority 0.6",
        "task.newest learns from the newest transitions, and task.priority 0.6 draws others: choose one of them",
    ),
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


def test_an_agent_cannot_learn_from_images() -> None:
    images = dataclasses.replace(EXPERIMENT, data=files.load("digits_mlp").data)
    with pytest.raises(UserError, match="the task 'q_learning' needs an environment, and digits is a set of images"):
        check.check(images)


@pytest.mark.processor  # eight of ten seeds solve it, and which do is a matter of rounding
@pytest.mark.slow
def test_cartpole_is_solved() -> None:
    experiment = files.load("cartpole_dqn")
    made = assemble(experiment)
    state, _ = run_chunk(made.task, start(made), Nothing(), KEY, experiment.steps)
    assert made.evaluator("test", None)(state)["return"] >= 475


def test_with_64_bits_a_step_of_prioritized_replay_keeps_the_types_of_its_state() -> None:
    with jax.enable_x64(True):
        task = assemble(override(EXPERIMENT, PRIORITIZED)).task
        state = jax.eval_shape(task.init, KEY)
        after, _ = jax.eval_shape(task.step, state, None, KEY)
    types = [[leaf.dtype for leaf in jax.tree.leaves(each)] for each in (state, after)]
    assert types[0] == types[1]
