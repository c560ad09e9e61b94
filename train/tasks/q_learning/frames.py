"""Observations that are stacks of frames, kept frame by frame: all but the newest lie in the observations before it.

Mnih et al. 2015 keep a million transitions of four frames each, which as they are would be eight frames a transition.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from train.data.worlds.vector import Transitions


class Frames(NamedTuple):
    """What is kept of N stacks."""

    newest: Array  # (N, H, W)
    present: Array  # (N, S - 1) bool, oldest first: older frames that are not all zero, as those before an episode are


def kept(seen: Transitions) -> Transitions:
    """Transitions with stacks (N, H, W, S), the newest frame last -> as they are stored."""
    older = seen.observations[..., :-1]
    frames = Frames(seen.observations[..., -1], (older != 0).any((1, 2)))
    return seen._replace(observations=frames, next_observations=seen.next_observations[..., -1])


def history(stored: Transitions, side: int) -> int:
    """Places before a transition that its stack is made of; `side`: environments side by side."""
    return side * stored.observations.present.shape[1]


def restored(stored: Transitions, places: Array, side: int) -> Transitions:
    """The transitions at `places` (B,) of the ring, bit by bit as they were, except what follows an end, which nothing
    is learned from. Their `history` must not have been written over.
    """
    capacity, older = stored.observations.present.shape
    before = (places[:, None] - side * jnp.arange(older, -1, -1)[None]) % capacity
    present = jnp.pad(stored.observations.present[places], ((0, 0), (0, 1)), constant_values=True)
    newest = stored.observations.newest.at[before].get(mode="promise_in_bounds")  # (B, S, H, W)
    stacks = jnp.where(present[:, :, None, None], newest, 0)
    following = jnp.concatenate([stacks[:, 1:], stored.next_observations[places][:, None]], axis=1)
    return Transitions(
        jnp.moveaxis(stacks, 1, -1),
        stored.actions[places],
        stored.rewards[places],
        jnp.moveaxis(following, 1, -1),
        stored.terminated[places],
    )
