"""A replay memory for stacked frames that stores each frame once, built on the plain one.

An observation of an Atari game is a stack of the S newest frames. Stored as they are, a transition takes 2 S frames,
and a million transitions (Mnih et al. 2015) take 56 GB. But all frames of a stack except the newest are also in the
transitions before it. So only the newest frame of each stack is stored, and `sample` rebuilds the stacks.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from train.config import QLearning
from train.data.worlds.environment import Environment
from train.data.worlds.noise import uniform_int
from train.data.worlds.vector import Transitions, transition_shapes
from train.tasks.q_learning.replay import ReplayMemory, ReplayState, Sample, sample_by_priority, take


class StoredFrames(NamedTuple):
    """What the memory stores of N stacks (H, W, S)."""

    newest: Array  # (N, H, W)
    present: Array  # (N, S - 1) bool, oldest first: False where an older frame is all zero, as before an episode


@dataclasses.dataclass(frozen=True)
class FrameReplayMemory:
    """A ReplayMemory whose observations are stacks of frames. It has the same methods as the plain one.

    Each `add` takes one transition of each of `num_envs` environments, in the same order. So the frame before the one
    in slot i is in slot i - num_envs.
    """

    ring: ReplayMemory
    num_envs: int
    num_frames: int  # S, the frames of a stack

    @property
    def num_unsampleable(self) -> int:
        """How many of the oldest transitions cannot be sampled, because frames of their stacks are overwritten."""
        return (self.num_frames - 1) * self.num_envs

    def init(self, shapes: Transitions) -> ReplayState:
        return self.ring.init(jax.eval_shape(compress, shapes))

    def nbytes(self, observation: jax.ShapeDtypeStruct) -> int:
        transition = jax.eval_shape(compress, transition_shapes(observation, num_envs=1))
        return self.ring.capacity * self.ring.slot_nbytes(transition)

    def add(self, state: ReplayState, transitions: Transitions) -> ReplayState:
        state = self.ring.add(state, compress(transitions))
        if state.priorities is None:
            return state
        # Without a priority the oldest transitions are never sampled.
        oldest = self.ring.oldest_index(state)
        unsampleable = (oldest + jnp.arange(self.num_unsampleable)) % self.ring.capacity
        return dataclasses.replace(state, priorities=state.priorities.at[unsampleable].set(0))

    def size(self, state: ReplayState) -> Array:
        return self.ring.size(state)

    def sample(self, state: ReplayState, noise: Array, beta: Array | float = 1.0) -> Sample:
        num_sampleable = self.ring.size(state) - self.num_unsampleable
        if self.ring.newest:
            indices = self.ring.newest_indices(state, len(noise))
            importance_weights = jnp.ones(len(noise))
        elif state.priorities is None:
            age_rank = uniform_int(noise, num_sampleable)  # 0: the oldest one that can be sampled
            indices = (self.ring.oldest_index(state) + self.num_unsampleable + age_rank) % self.ring.capacity
            importance_weights = jnp.ones(len(noise))
        else:
            indices, importance_weights = sample_by_priority(state.priorities, num_sampleable, noise, beta)
        batch = rebuild(state.transitions, indices, self.num_envs)
        return Sample(batch, indices, importance_weights)

    def update_priorities(self, state: ReplayState, indices: Array, td_errors: Array) -> ReplayState:
        return self.ring.update_priorities(state, indices, td_errors)


def compress(transitions: Transitions) -> Any:
    """Turn transitions with stacks (N, H, W, S), the newest frame last, into what the memory stores.

    The result is a Transitions whose `observations` are StoredFrames and whose `next_observations` are single frames.
    """
    older_frames = transitions.observations[..., :-1]
    observations = StoredFrames(
        newest=transitions.observations[..., -1],
        present=(older_frames != 0).any((1, 2)),
    )
    next_frames = transitions.next_observations[..., -1]
    return transitions._replace(observations=observations, next_observations=next_frames)


def rebuild(stored: Any, indices: Array, num_envs: int) -> Transitions:
    """Return the transitions in the slots `indices` (B,) as they were before `compress`, bit for bit.

    One exception: the next observation of a terminated transition may differ, and nothing is learned from it. The
    older frames of each stack must still be in the memory.
    """
    frames: StoredFrames = stored.observations
    capacity, num_older = frames.present.shape
    steps_back = jnp.arange(num_older, -1, -1)
    frame_indices = (indices[:, None] - num_envs * steps_back[None]) % capacity  # (B, S), oldest frame first
    # Before the start of an episode the slots hold another episode's frames, where the stack has zeros.
    present = jnp.pad(frames.present[indices], ((0, 0), (0, 1)), constant_values=True)  # the newest always is
    stacks = jnp.where(present[:, :, None, None], take(frames.newest, frame_indices), 0)  # (B, S, H, W)
    next_frames = stored.next_observations[indices][:, None]
    next_stacks = jnp.concatenate([stacks[:, 1:], next_frames], axis=1)
    return Transitions(
        observations=jnp.moveaxis(stacks, 1, -1),
        actions=stored.actions[indices],
        rewards=stored.rewards[indices],
        next_observations=jnp.moveaxis(next_stacks, 1, -1),
        terminated=stored.terminated[indices],
    )


def make_replay(config: QLearning, env: Environment, num_envs: int) -> ReplayMemory | FrameReplayMemory:
    """Return the replay memory for the observations of `env`."""
    ring = ReplayMemory(config.replay, config.priority, config.newest)
    if not env.stacked:
        return ring
    return FrameReplayMemory(ring, num_envs, num_frames=env.observation.shape[-1])
