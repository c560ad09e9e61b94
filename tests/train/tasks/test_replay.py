"""The replay memory: what it keeps and what it samples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data.worlds.vector import Transitions
from train.tasks.q_learning.replay import ReplayMemory

KEY = jax.random.key(0)


def numbered(first: int, count: int = 2) -> Transitions:
    """Transitions whose every field tells their number."""
    number = jnp.arange(first, first + count)
    return Transitions(number[:, None] * 1.0, number, number * 1.0, number[:, None] + 0.5, number % 2 == 0)


def test_new_transitions_overwrite_the_oldest() -> None:
    memory = ReplayMemory(6)
    state = memory.init(numbered(0))
    sizes = []
    for first in range(0, 26, 2):
        state = memory.add(state, numbered(first))
        sizes.append(int(memory.size(state)))
        expected = list(range(max(0, first - 4), first + 2))
        assert sorted(np.asarray(state.transitions.actions)[: sizes[-1]]) == expected
        assert int(state.transitions.actions[memory.oldest_index(state)]) == expected[0]
    assert sizes[:4] == [2, 4, 6, 6]
    batch, indices, importance_weights = memory.sample(state, jax.random.bits(KEY, (500,), jnp.uint32))
    assert set(np.asarray(batch.actions).tolist()) == set(range(20, 26))
    np.testing.assert_array_equal(batch.next_observations[:, 0], batch.actions + 0.5)
    np.testing.assert_array_equal(state.transitions.actions[indices], batch.actions)
    assert (importance_weights == 1).all()


def test_empty_slots_are_never_sampled() -> None:
    memory = ReplayMemory(64)
    state = memory.add(memory.init(numbered(0)), numbered(5))
    batch, _, _ = memory.sample(state, jax.random.bits(KEY, (300,), jnp.uint32))
    assert set(np.asarray(batch.actions).tolist()) == {5, 6}


def test_the_newest_transitions_are_each_taken_once_in_their_order() -> None:
    """Without replay a batch is what was added since the last one. A draw took some of them twice and others never."""
    memory = ReplayMemory(6, newest=True)
    state = memory.init(numbered(0))
    for first in range(0, 26, 2):
        state = memory.add(state, numbered(first))
        count = min(4, first + 2)
        batch, indices, weights = memory.sample(state, jnp.zeros(count, jnp.uint32))
        assert np.asarray(batch.actions).tolist() == list(range(first + 2 - count, first + 2))
        np.testing.assert_array_equal(state.transitions.actions[indices], batch.actions)
        assert (weights == 1).all()


def test_transitions_are_sampled_in_proportion_to_their_priorities() -> None:
    memory = ReplayMemory(11, priority_exponent=0.5)
    state = memory.init(numbered(0, 1))
    for number in range(8):
        state = memory.add(state, numbered(number, 1))
    td_errors = jnp.array([0.1, 0.0, 2.0, 1.0, 0.5, 4.0, 0.2, 3.0])
    state = memory.update_priorities(state, jnp.arange(8), td_errors)
    _, indices, importance_weights = memory.sample(state, jax.random.bits(KEY, (40_000,), jnp.uint32), beta=0.7)
    probabilities = np.append((np.asarray(td_errors) + 1e-6) ** 0.5, np.zeros(3))
    probabilities /= probabilities.sum()
    np.testing.assert_allclose(np.bincount(indices, minlength=11) / 40_000, probabilities, atol=0.002)
    expected = (8 * probabilities[np.asarray(indices)]) ** -0.7
    np.testing.assert_allclose(importance_weights, expected / expected.max(), rtol=1e-3)
    state = memory.add(state, numbered(8, 1))
    assert float(state.priorities[8]) == pytest.approx(2, rel=1e-3)  # the largest priority so far, 4 ** 0.5


@pytest.mark.parametrize(("capacity", "added"), [(64, 5), (100_000, 100_000), (11, 11)])
def test_the_largest_random_number_still_samples_a_slot_that_was_written(capacity: int, added: int) -> None:
    # In float32 (31 + 0.99999994) / 32 is 1.0, which lies behind the last priority.
    memory = ReplayMemory(capacity, priority_exponent=1.0)
    state = memory.init(numbered(0, 1))
    state = dataclasses.replace(
        state, num_added=jnp.int32(added), priorities=jnp.where(jnp.arange(capacity) < added, 1.0, 0.0)
    )
    _, indices, importance_weights = memory.sample(state, jnp.full(32, 0xFFFFFFFF, jnp.uint32))
    assert int(indices.max()) < added
    assert np.isfinite(importance_weights).all()
