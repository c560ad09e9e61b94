"""Replay memory: a ring buffer of transitions on the device, sampled uniformly or by priority.

Uniform: Mnih et al. 2015. Prioritized: Schaul et al. 2015, arXiv:1511.05952, section 3.3, the proportional variant.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from train.core.pytrees import stored_as
from train.data.worlds.noise import uniform_float, uniform_int
from train.data.worlds.vector import Transitions, transition_shapes
from zoo.errors import UserError

PRIORITY_EPSILON = 1e-6  # keeps a transition with TD error 0 from never being sampled again


# The second name of each field is its name in checkpoints, which older versions wrote.
@stored_as(transitions="stored", num_added="written", max_priority="largest")
class ReplayState:
    """The arrays of a replay memory. Transition number i is in slot i % capacity."""

    transitions: Transitions  # leaves (capacity, ...)
    num_added: Array  # () int32: transitions added so far; from `capacity` to below 2 * capacity once full, see `add`
    priorities: Array | None  # (capacity,) float32, 0 in an empty slot; None if sampling is uniform
    max_priority: Array | None  # () float32: the largest priority so far; None if sampling is uniform


class Sample(NamedTuple):
    """What `sample` returns."""

    batch: Transitions  # leaves (B, ...)
    indices: Array  # (B,) int32: the slots of the transitions
    importance_weights: Array  # (B,) float32, at most 1; all 1 if sampling is uniform


@dataclasses.dataclass(frozen=True)
class ReplayMemory:
    """A ring buffer with `capacity` slots, in which new transitions overwrite the oldest ones.

    The object itself holds no arrays: each method takes a ReplayState, and `add` and `update_priorities` return a new
    one. priority_exponent: alpha, equation 1; with 0 sampling is uniform. newest: a sample is the newest transitions,
    oldest first, and nothing is drawn.
    """

    capacity: int
    priority_exponent: float = 0.0
    newest: bool = False

    @property
    def prioritized(self) -> bool:
        return self.priority_exponent > 0

    def init(self, shapes: Transitions) -> ReplayState:
        """Return an empty memory. shapes: shapes and dtypes of what `add` takes, leaves (N, ...)."""
        transitions = jax.tree.map(lambda leaf: jnp.zeros((self.capacity, *leaf.shape[1:]), leaf.dtype), shapes)
        priorities = jnp.zeros(self.capacity, jnp.float32) if self.prioritized else None
        max_priority = jnp.float32(1) if self.prioritized else None
        return ReplayState(transitions, jnp.int32(0), priorities, max_priority)

    def nbytes(self, observation: jax.ShapeDtypeStruct) -> int:
        """Return the bytes of a memory of observations like `observation`."""
        return self.capacity * self.slot_nbytes(transition_shapes(observation, num_envs=1))

    def slot_nbytes(self, transition: Transitions) -> int:
        """Return the bytes of one slot. transition: shapes and dtypes of one transition, leaves (1, ...)."""
        transition_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(transition))
        priority_bytes = jnp.dtype(jnp.float32).itemsize if self.prioritized else 0
        return transition_bytes + priority_bytes

    def add(self, state: ReplayState, transitions: Transitions) -> ReplayState:
        """Add `transitions` (N, ...); N must divide the capacity, else UserError."""
        num_new = len(transitions.actions)
        if self.capacity % num_new:  # the last write of a round would begin earlier, over newer transitions
            raise UserError(f"a replay memory of {self.capacity} transitions must be a multiple of the {num_new} added")
        start = state.num_added % self.capacity

        def write(ring: Array, values: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(ring, values.astype(ring.dtype), start, 0)

        stored = jax.tree.map(write, state.transitions, transitions)
        # The count would overflow in a long run. Only two facts matter, the next slot and whether the memory is full,
        # and both stay the same when a full memory counts from `capacity` to `2 * capacity` again and again.
        num_added = state.num_added + num_new
        num_added = jnp.where(num_added >= 2 * self.capacity, num_added - self.capacity, num_added)
        if state.priorities is None or state.max_priority is None:
            return dataclasses.replace(state, transitions=stored, num_added=num_added)
        # A new transition gets the largest priority so far, so that it is soon sampled (algorithm 1, line 6).
        new_priorities = jnp.full(num_new, state.max_priority)
        priorities = write(state.priorities, new_priorities)
        return dataclasses.replace(state, transitions=stored, num_added=num_added, priorities=priorities)

    def size(self, state: ReplayState) -> Array:
        """Return the number () int32 of transitions in the memory."""
        return jnp.minimum(state.num_added, self.capacity)

    def oldest_index(self, state: ReplayState) -> Array:
        """Return the slot () int32 of the oldest transition, which `add` overwrites next once the memory is full."""
        is_full = state.num_added >= self.capacity
        return jnp.where(is_full, state.num_added % self.capacity, 0)

    def newest_indices(self, state: ReplayState, count: int) -> Array:
        """Return the slots (count,) int32 of the newest transitions, oldest first. So many must have been added."""
        return (state.num_added - count + jnp.arange(count)) % self.capacity

    def sample(self, state: ReplayState, noise: Array, beta: Array | float = 1.0) -> Sample:
        """Sample B transitions with replacement, or return the B newest.

        noise: (B,) uint32 random bits. beta: how much of the bias of prioritized sampling the weights correct.
        """
        size = self.size(state)
        if self.newest:
            indices = self.newest_indices(state, len(noise))
            importance_weights = jnp.ones(len(noise))
        elif state.priorities is None:
            indices = uniform_int(noise, size)
            importance_weights = jnp.ones(len(noise))
        else:
            indices, importance_weights = sample_by_priority(state.priorities, size, noise, beta)
        batch = jax.tree.map(lambda leaf: take(leaf, indices), state.transitions)
        return Sample(batch, indices, importance_weights)

    def update_priorities(self, state: ReplayState, indices: Array, td_errors: Array) -> ReplayState:
        """Set the priorities of the transitions that were just learned from: (|TD error| + epsilon)^alpha."""
        if state.priorities is None or state.max_priority is None:
            return state
        new = (jnp.abs(td_errors) + PRIORITY_EPSILON) ** self.priority_exponent
        new = new.astype(state.priorities.dtype)  # under JAX_ENABLE_X64 errors have 64 bits
        return dataclasses.replace(
            state,
            priorities=state.priorities.at[indices].set(new),
            max_priority=jnp.maximum(state.max_priority, new.max()),
        )


def take(ring: Array, indices: Array) -> Array:
    """Return `ring[indices]`. The promise saves a check of every index."""
    return ring.at[indices].get(mode="promise_in_bounds")


class PrioritySample(NamedTuple):
    """Slots that were sampled by priority."""

    indices: Array  # (B,) int32
    importance_weights: Array  # (B,) float32


def sample_by_priority(priorities: Array, size: Array, noise: Array, beta: Array | float) -> PrioritySample:
    """Sample slot i with probability P(i) = p_i / sum p, and weight it by (size * P(i))^-beta (section 3.4).

    The weights are divided by the largest one in the batch. The sampling is stratified: the sum of all priorities is
    cut into B equal ranges, and one slot comes from each. noise: (B,) uint32. size: transitions in the memory.
    """
    batch_size = len(noise)
    quantiles = (jnp.arange(batch_size) + uniform_float(noise)) / batch_size
    quantiles = jnp.minimum(quantiles, 1 - 2.0**-24)  # the sum may round up to 1, which lies behind the last slot
    indices, probabilities = _slots_at(priorities, quantiles)
    weights = (size * probabilities) ** -beta
    return PrioritySample(indices, weights / weights.max())


def _slots_at(priorities: Array, quantiles: Array) -> tuple[Array, Array]:
    """Return (indices, probabilities), both (B,), of the slots where the running sum of priorities reaches `quantiles`.

    The papers use a sum tree with two children per node. This is a sum tree of two levels, each sqrt(capacity) wide:
    a few wide operations are faster on the device than many narrow ones.
    """
    capacity = len(priorities)
    width = math.isqrt(capacity - 1) + 1
    blocks = jnp.pad(priorities, (0, width * width - capacity)).reshape(width, width)
    block_sums = blocks.sum(1)
    block_ends = jnp.cumsum(block_sums)
    # Level 1: the block in which the running sum reaches the target. Rounding may carry the target to the end of the
    # sum, so stop at the last block that has a priority.
    targets = quantiles * block_ends[-1]
    last_block = jnp.where(block_sums > 0, jnp.arange(width), 0).max()
    block = jnp.minimum(jnp.searchsorted(block_ends, targets, side="right"), last_block)
    # Level 2: the slot within that block.
    remainder = targets - jnp.where(block > 0, block_ends[block - 1], 0)
    running_sums = jnp.cumsum(blocks[block], axis=1)  # (B, width)
    offset = (running_sums <= remainder[:, None]).sum(1)
    # The same within the block: stop at its last slot that has a priority.
    last_offset = jnp.where(blocks[block] > 0, jnp.arange(width)[None], 0).max(1)
    indices = block * width + jnp.minimum(offset, last_offset)
    return indices, priorities[indices] / block_ends[-1]
