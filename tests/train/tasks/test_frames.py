"""The replay memory that stores each frame once returns the same stacks as one that stores whole stacks."""

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from train.config import files, override
from train.data.worlds.vector import Transitions
from train.tasks.assemble import assemble
from train.tasks.q_learning.frames import FrameReplayMemory, make_replay
from train.tasks.q_learning.replay import ReplayMemory, ReplayState
from zoo.errors import UserError

KEY = jax.random.key(0)
NUM_ENVS, NUM_FRAMES, STEPS = 2, 4, 10  # the memory holds STEPS steps of each environment
RANDOM = np.random.default_rng(0)


def make_memory(priority_exponent: float = 0.0) -> FrameReplayMemory:
    return FrameReplayMemory(ReplayMemory(STEPS * NUM_ENVS, priority_exponent), NUM_ENVS, NUM_FRAMES)


def emulator(num_steps: int) -> list[Transitions]:
    """The transitions of a tiny emulator with frames of 2 x 3 pixels.

    An episode has five steps, and then one step that only shows the next episode. Some frames are black. One episode
    starts without an end before it, as after a resume.
    """
    stacks = np.zeros((NUM_ENVS, 2, 3, NUM_FRAMES), np.uint8)
    transitions, age = [], 0
    for number in range(num_steps):
        frame = RANDOM.integers(0, 256, (NUM_ENVS, 2, 3, 1), np.uint8) * (number % 7 != 3)
        if number == 11 or age == 6:
            stacks, age = np.concatenate([np.zeros_like(stacks[..., 1:]), frame], -1), 0
        resetting = age == 5
        older = np.zeros_like(stacks[..., 1:]) if resetting else stacks[..., 1:]
        next_stacks = np.concatenate([older, frame], -1)
        ids = NUM_ENVS * number + np.arange(NUM_ENVS)
        transitions.append(Transitions(stacks, ids, ids * 1.0, next_stacks, np.full(NUM_ENVS, resetting)))
        stacks, age = next_stacks, 0 if resetting else age + 1
    return [jax.tree.map(jnp.asarray, each) for each in transitions]


def fill(memory: ReplayMemory | FrameReplayMemory, transitions: list[Transitions]) -> ReplayState:
    state = memory.init(transitions[0])
    for each in transitions:
        state = memory.add(state, each)
    return state


@pytest.mark.parametrize("num_steps", [4, 9, 10, 29, 61])
def test_sampled_transitions_are_those_that_were_added(num_steps: int) -> None:
    memory, transitions = make_memory(), emulator(num_steps)
    whole_stacks = fill(ReplayMemory(STEPS * NUM_ENVS), transitions).transitions
    batch, indices, _ = memory.sample(fill(memory, transitions), jax.random.bits(KEY, (400,), jnp.uint32))
    expected = jax.tree.map(lambda leaf: np.asarray(leaf)[indices], whole_stacks)
    oldest = NUM_ENVS * max(0, num_steps - STEPS)
    sampleable = set(range(oldest + memory.num_unsampleable, num_steps * NUM_ENVS))
    assert set(np.asarray(batch.actions).tolist()) == sampleable
    for name in ("observations", "actions", "rewards", "terminated"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name), name)
    continues = ~expected.terminated
    np.testing.assert_array_equal(batch.next_observations[continues], expected.next_observations[continues])


@pytest.mark.parametrize("num_steps", [6, 29])
def test_the_newest_transitions_have_all_their_frames(num_steps: int) -> None:
    ring, transitions = ReplayMemory(5 * NUM_ENVS, newest=True), emulator(num_steps)
    memory = FrameReplayMemory(ring, NUM_ENVS, NUM_FRAMES)
    state = fill(memory, transitions)
    batch, _, _ = memory.sample(state, jnp.zeros(2 * NUM_ENVS, jnp.uint32))
    expected = jax.tree.map(lambda *leaves: np.concatenate(leaves), *transitions[-2:])
    for name in ("observations", "actions", "rewards", "terminated"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name), name)


@pytest.mark.parametrize("num_steps", [4, 10, 29])
def test_a_transition_whose_frames_are_overwritten_has_no_priority(num_steps: int) -> None:
    memory = make_memory(priority_exponent=1.0)
    state = fill(memory, emulator(num_steps))
    batch, indices, importance_weights = memory.sample(state, jax.random.bits(KEY, (400,), jnp.uint32))
    sampleable_steps = min(num_steps, STEPS) - (NUM_FRAMES - 1)
    assert int((state.priorities > 0).sum()) == sampleable_steps * NUM_ENVS
    assert int(batch.actions.min()) == NUM_ENVS * (num_steps - sampleable_steps)
    np.testing.assert_allclose(importance_weights, 1, rtol=1e-5)
    np.testing.assert_array_equal(state.transitions.actions[indices], batch.actions)


def test_checkpoints_keep_the_names_that_old_runs_have() -> None:
    names = ocp.tree.to_flat_dict(jax.eval_shape(make_memory().init, emulator(1)[0]), sep="/")
    assert [name for name in names if "bservations" in name] == [
        "stored/observations/newest",
        "stored/observations/present",
        "stored/next_observations",
    ]


def test_a_transition_of_pong_takes_two_frames() -> None:
    pytest.importorskip("ale_py", reason="the extra `atari` is not installed")
    pytest.importorskip("chex", reason="the extra `atari` is not installed")
    config = files.load("atari_pong_dqn")
    experiment = override(config, config.smoke)
    made = assemble(experiment)
    stored = made.abstract.aux.replay.transitions
    nbytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(stored))
    memory = make_replay(experiment.task, made.dataset, experiment.data.environments)
    assert isinstance(memory, FrameReplayMemory)
    assert memory.nbytes(made.dataset.observation) == nbytes
    action, reward, terminated = 4, 4, 1
    assert nbytes == experiment.task.replay * (2 * 84 * 84 + 3 + action + reward + terminated)
    short = override(experiment, {"data": {"batch": 1}, "task": {"replay_start": 6}})
    with pytest.raises(UserError, match=r"^task.replay_start must be at least 8, not 6: an observation of atari/pong"):
        assemble(short)
