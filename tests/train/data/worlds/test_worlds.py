"""Environments: steps equal the library's own, terminated and truncated differ, episodes are reset cleanly."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except
from jax import Array

from train.config import World, files, override
from train.data import worlds
from train.data.worlds.environment import Environment, limited
from train.data.worlds.noise import ENV_WORDS, EnvNoise, env_noise
from train.data.worlds.vector import VectorStep, make_vector_env
from train.inference import episodes
from train.pictures import films
from train.tasks.assemble import assemble
from zoo.errors import UserError

KEY = jax.random.key(0)


def corridor(end: int = 3, time_limit: int = 100) -> Environment:
    """An agent walks from place 1 to `end`. The observation and the reward are the place after the step."""

    def step(key: Array, place: Array, action: Array) -> tuple[Array, Array, Array, Array]:
        return place + 1, (place + 1)[None] * 1.0, (place + 1) * 1.0, place + 1 == end

    return limited("corridor", lambda key: (jnp.ones(1), 1), step, 2, time_limit)


def last_of_two_steps(env: Environment) -> VectorStep:
    vector_env = make_vector_env(env, 1)
    env_state = vector_env.reset(jax.random.split(KEY, 1))
    noise = env_noise(jnp.zeros((1, ENV_WORDS), jnp.uint32))
    first = vector_env.step(env_state, jnp.zeros(1, int), noise)
    return vector_env.step(first.env_state, jnp.zeros(1, int), noise)


def test_a_terminated_episode_is_reset_and_its_transition_keeps_its_last_observation() -> None:
    env_state, transitions, ends = last_of_two_steps(corridor(end=3))
    assert (bool(transitions.terminated[0]), bool(ends.done[0])) == (True, True)
    assert float(transitions.next_observations[0, 0]) == 3  # of the old episode
    assert float(env_state.observations[0, 0]) == 1  # of the new episode
    assert (float(ends.returns[0]), int(ends.lengths[0])) == (2 + 3, 2)
    assert (float(env_state.returns[0]), int(env_state.lengths[0])) == (0, 0)


def test_a_truncated_episode_has_not_terminated() -> None:
    env_state, transitions, ends = last_of_two_steps(corridor(end=50, time_limit=2))
    assert (bool(transitions.terminated[0]), bool(ends.done[0])) == (False, True)
    assert float(transitions.next_observations[0, 0]) == 3
    assert float(env_state.observations[0, 0]) == 1


def test_an_episode_that_terminates_at_its_time_limit_has_terminated() -> None:
    _, transitions, _ = last_of_two_steps(corridor(end=3, time_limit=2))
    assert bool(transitions.terminated[0])


@pytest.mark.parametrize("name", slow_except(["CartPole-v1"], ["CartPole-v1", "Acrobot-v1", "MountainCar-v0"]))
def test_a_step_equals_the_step_of_gymnax(name: str) -> None:
    env = worlds.make(World(name))
    theirs, params = gymnax.make(name)
    observation, state = env.reset(KEY)
    expected, inner = theirs.reset_env(KEY, params)
    np.testing.assert_array_equal(observation, expected)
    ours_step, their_step = jax.jit(env.step), jax.jit(theirs.step_env)
    for i in range(5):
        key, action = jax.random.fold_in(KEY, i), jnp.int32(i % env.actions)
        state, step = ours_step(key, state, action)
        observation, inner, reward, done, _ = their_step(key, inner, action, params)
        np.testing.assert_allclose(step.observation, observation, rtol=1e-5, atol=1e-6)
        assert (float(step.reward), bool(step.terminated)) == (float(reward), bool(done))


@pytest.mark.parametrize(("name", "limit"), [("CartPole-v0", 200), ("CartPole-v1", 500), ("MountainCar-v0", 200)])
def test_the_time_limit_truncates(name: str, limit: int) -> None:
    env = worlds.make(World(name))
    assert env.time_limit == limit
    _, (inner, _) = env.reset(KEY)
    for time, truncated in ((limit - 2, False), (limit - 1, True)):
        _, step = env.step(KEY, (inner, jnp.int32(time)), jnp.int32(1))
        assert (bool(step.terminated), bool(step.truncated)) == (False, truncated)


def test_minatar_has_six_sticky_actions_and_bool_observations() -> None:
    pytest.importorskip("pgx")
    env = worlds.make(World("minatar/breakout"))
    assert (env.actions, env.observation.shape, env.observation.dtype) == (6, (10, 10, 4), bool)
    step = jax.jit(jax.vmap(env.step, in_axes=(0, None, None)))
    _, state = env.reset(KEY)
    _, after = step(jax.random.split(KEY, 400), state, jnp.int32(3))
    moved = after.observation[:, 9, 5, 0]  # the paddle starts at 4, and action 3 moves it right
    assert 0.84 < moved.mean() < 0.95
    steady = worlds.make(World("minatar/breakout", sticky=0.0))
    _, after = jax.jit(jax.vmap(steady.step, in_axes=(0, None, None)))(jax.random.split(KEY, 20), state, jnp.int32(3))
    assert after.observation[:, 9, 5, 0].all()


def test_an_episode_depends_on_its_own_key_alone() -> None:
    env = worlds.make(World("CartPole-v1"))
    values = lambda params, x: jnp.stack([-x[:, 2], x[:, 2]], 1)  # noqa: E731  (pushes left when the pole falls left)
    keys = episodes.keys("play", 0, 5)
    returns, lengths = episodes.play(env, values, {}, keys, 0.2)
    assert (returns == lengths).all()
    assert len(set(returns.tolist())) > 1
    alone, _ = episodes.play(env, values, {}, keys[3:4], 0.2)
    assert alone[0] == returns[3]
    film = episodes.record(env, values, {}, keys[3], 0.2)
    assert (film.total[-1], len(film.observations), film.ended) == (returns[3], returns[3] + 1, True)
    assert not np.array_equal(episodes.play(env, values, {}, episodes.keys("test", 0, 5), 0.2)[0], returns)


@pytest.mark.parametrize(
    "name", slow_except(["CartPole-v1"], ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "minatar/breakout"])
)
def test_observations_can_be_drawn(name: str) -> None:
    if name in worlds.minatar.GAMES:
        pytest.importorskip("pgx")
    env = worlds.make(World(name))
    observation, state = env.reset(KEY)
    for i in range(3):
        state, step = env.step(KEY, state, jnp.int32(min(i, env.actions - 1)))
    first, later = (np.asarray(films.draw(name, np.asarray(each))) for each in (observation, step.observation))
    assert first.shape == (films.SIZE, films.SIZE, 3)
    assert (first != later).any()


def test_observations_of_an_unknown_environment_are_drawn_as_bars() -> None:
    low, high = (np.asarray(films.draw("corridor", np.array([value, -value]))) for value in (0.1, 2.0))
    assert low.shape == (films.SIZE, films.SIZE, 3)
    assert (high != low).any()


@pytest.mark.parametrize(
    ("world", "line"),
    [
        (World("Cartpole-v1"), "unknown environment 'Cartpole-v1': did you mean CartPole-v1 or CartPole-v0?"),
        (World("minatar/brekout"), "unknown environment 'minatar/brekout': did you mean minatar/breakout"),
        (World("CartPole-v1", sticky=0.1), "data.sticky must be None or 0 in CartPole-v1"),
    ],
)
def test_an_unknown_environment_is_one_line(world: World, line: str) -> None:
    with pytest.raises(UserError) as error:
        worlds.make(world)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("name", "extra"), [("minatar/freeway", "Pgx, the extra `minatar`"), ("atari/pong", "ale-py, the extra `atari`")]
)
def test_a_game_without_its_library_is_one_line(name: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"^{name} needs {extra}: pip install"):
        worlds.make(World(name))


@pytest.fixture
def pong() -> Environment:
    """Pong with a time limit of three steps."""
    pytest.importorskip("ale_py")
    pytest.importorskip("chex")
    return worlds.make(World("atari/pong", time_limit=3))


def test_emulators_run_inside_the_program_and_reset_one_step_late(pong: Environment) -> None:
    vector_env = make_vector_env(pong, 2)
    env_state = vector_env.reset(jax.random.split(KEY, 2))
    vector_step = jax.jit(vector_env.step)
    done, lengths = [], []
    for i in range(8):
        before = np.asarray(env_state.observations)
        env_state, transitions, ends = vector_step(env_state, jnp.array([2, 3]), pong_noise(i))
        np.testing.assert_array_equal(transitions.observations, before)
        np.testing.assert_array_equal(transitions.next_observations, env_state.observations)
        resetting = i % 4 == 3
        if not resetting:  # the newest frame is last
            np.testing.assert_array_equal(before[..., 1:], np.asarray(env_state.observations)[..., :3])
        assert transitions.terminated.tolist() == [resetting] * 2  # the episodes themselves are only truncated
        done.append(bool(ends.done.all()))
        lengths.append(int(env_state.lengths[0]))
    assert done == [False, False, True, False] * 2
    assert lengths == [1, 2, 0, 0] * 2
    assert (env_state.observations.shape, env_state.observations.dtype) == ((2, 84, 84, 4), np.uint8)


def test_a_program_with_emulators_is_not_kept(pong: Environment, tmp_path: Path) -> None:
    """It holds their address, so no other process can use it: every start left another one in the cache."""
    code = """
    import jax
    from train.config import World
    from train.data import worlds
    from train.data.worlds.vector import make_vector_env
    pong = make_vector_env(worlds.make(World("atari/pong")), 2)
    jax.block_until_ready(jax.jit(pong.reset)(jax.random.split(jax.random.key(0), 2)))
    """
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=True)
    assert not [path for path in tmp_path.iterdir() if "reset" in path.name]


def pong_noise(number: int) -> EnvNoise:
    return env_noise(jax.random.bits(KEY, (2, ENV_WORDS), jnp.uint32) + np.uint32(number))


def test_a_state_from_another_process_starts_new_episodes(pong: Environment) -> None:
    vector_env = make_vector_env(pong, 2)
    env_state = vector_env.reset(jax.random.split(KEY, 2))
    from_another_process = {
        "born": env_state.states["born"] - 1,
        "over": jnp.ones(2, bool),
        "where": jnp.zeros((2, 8), jnp.uint8),
    }
    stale = env_state.replace(states=from_another_process, observations=jnp.zeros_like(env_state.observations))
    after, transitions, _ = jax.jit(vector_env.step)(stale, jnp.array([0, 0]), pong_noise(0))
    assert np.asarray(transitions.observations).any()  # the start of an episode, not the zeros of the State
    assert not transitions.terminated.any()
    np.testing.assert_array_equal(after.states["born"], env_state.states["born"])


def test_an_episode_of_pong_is_played_recorded_and_drawn(pong: Environment) -> None:
    values = lambda params, x: jnp.zeros((len(x), 6))  # noqa: E731
    returns, lengths = episodes.play(pong, values, {}, episodes.keys("play", 0, 2), 1.0)
    assert (returns.shape, lengths.tolist()) == ((2,), [3, 3])
    film = episodes.record(pong, values, {}, episodes.keys("play", 0, 1)[0], 1.0)
    assert (len(film.observations), film.ended) == (4, True)
    assert np.ptp(np.asarray(films.draw("atari/pong", film.observations[-1]))) > 50


def test_an_unknown_atari_game_is_one_line(pong: Environment) -> None:
    with pytest.raises(UserError, match=r"^unknown environment 'atari/pongg': did you mean atari/pong"):
        worlds.make(World("atari/pongg"))


def test_emulators_train_one_replica_at_a_time(pong: Environment) -> None:
    experiment = override(files.load("atari_pong_dqn"), files.load("atari_pong_dqn").smoke)
    for several in ({"seeds": 2}, {"sweep": ("optim.lr=1e-4,1e-3",)}):
        with pytest.raises(UserError, match=r"^atari/pong trains one replica \(seeds 1, no sweep\)"):
            assemble(override(experiment, several))
