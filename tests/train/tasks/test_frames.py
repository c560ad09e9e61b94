"""A replay memory that keeps each frame once gives what one that keeps whole stacks would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import files, override
from train.data.worlds.vector import Transitions
from train.tasks.assemble import assemble
from train.tasks.q_learning import replay
from train.tasks.q_learning.replay import Replay
from zoo.errors import UserError

KEY = jax.random.key(0)
SIDE, FRAMES = 2, 4
STREAM = np.random.default_rng(0)


def stream(rounds: int) -> list[Transitions]:
    """What an emulator of tiny screens shows: episodes of five steps, then a step that shows the next beginning; some
    frames are black, and one beginning comes without an end before it, as where another process goes on.
    """
    stacks = np.zeros((SIDE, 2, 3, FRAMES), np.uint8)
    found, age = [], 0
    for number in range(rounds):
        frame = STREAM.integers(0, 256, (SIDE, 2, 3, 1), np.uint8) * (number % 7 != 3)
        if number == 11 or age == 6:
            stacks, age = np.concatenate([np.zeros_like(stacks[..., 1:]), frame], -1), 0
        idle = age == 5
        following = np.concatenate([np.zeros_like(stacks[..., 1:]) if idle else stacks[..., 1:], frame], -1)
        ids = SIDE * number + np.arange(SIDE)
        found.append(Transitions(stacks, ids, ids * 1.0, following, np.full(SIDE, idle)))
        stacks, age = following, 0 if idle else age + 1
    return [jax.tree.map(jnp.asarray, each) for each in found]


def memories(rounds: int, capacity: int, prioritized: bool = False) -> tuple[Replay, Replay]:
    """(of frames, of whole stacks), the same written into both."""
    seen = stream(rounds)
    pair = [replay.empty(capacity, seen[0], prioritized, stacked) for stacked in (True, False)]
    for each in seen:
        pair = [replay.write(memory, each) for memory in pair]
    return pair[0], pair[1]


@pytest.mark.parametrize("rounds", [4, 9, 10, 29, 61])  # of 10 that the memory holds
def test_what_is_drawn_is_what_was_written(rounds: int) -> None:
    framed, whole = memories(rounds, 10 * SIDE)
    seen, places, _ = replay.draw(framed, jax.random.bits(KEY, (400,), jnp.uint32))
    expected = jax.tree.map(lambda leaf: np.asarray(leaf)[places], whole.stored)
    oldest = SIDE * max(0, rounds - 10)
    assert set(np.asarray(seen.actions).tolist()) == set(range(oldest + (FRAMES - 1) * SIDE, rounds * SIDE))
    for name in ("observations", "actions", "rewards", "terminated"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(expected, name), name)
    goes_on = ~expected.terminated
    np.testing.assert_array_equal(seen.next_observations[goes_on], expected.next_observations[goes_on])


@pytest.mark.parametrize("rounds", [4, 10, 29])
def test_what_has_no_frames_any_more_has_no_priority(rounds: int) -> None:
    framed, _ = memories(rounds, 10 * SIDE, prioritized=True)
    seen, places, weights = replay.draw(framed, jax.random.bits(KEY, (400,), jnp.uint32))
    held = min(rounds, 10) - (FRAMES - 1)
    assert int((framed.priorities > 0).sum()) == held * SIDE
    assert int(seen.actions.min()) == SIDE * (rounds - held)
    np.testing.assert_allclose(weights, 1, rtol=1e-5)
    np.testing.assert_array_equal(framed.stored.actions[places], seen.actions)


def test_a_transition_of_pong_takes_two_frames() -> None:
    pytest.importorskip("ale_py", reason="the extra `atari` is not installed")
    pytest.importorskip("chex", reason="the extra `atari` is not installed")
    config = files.load("atari_pong_dqn")
    experiment = override(config, config.smoke)
    made = assemble(experiment)
    stored = made.abstract.aux.replay.stored
    taken = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(stored))
    assert replay.nbytes(experiment.task.replay, made.dataset.observation, False, stacked=True) == taken
    assert taken == experiment.task.replay * (2 * 84 * 84 + 3 + 4 + 4 + 1)
    short = override(experiment, {"data": {"batch": 1}, "task": {"replay_start": 6}})
    with pytest.raises(UserError, match=r"^task.replay_start must be at least 8, not 6: an observation of atari/pong"):
        assemble(short)
