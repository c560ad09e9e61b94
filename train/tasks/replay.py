"""Replay memory: a ring of transitions on the device, drawn from uniformly or by priority.

Prioritized: Schaul et al. 2015, arXiv:1511.05952, section 3, the proportional variant.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.worlds.living import Transitions, below, unit


@struct.dataclass
class Replay:
    """`capacity` transitions; `written` counts all that ever came in, and the oldest make way."""

    stored: Transitions  # leaves (capacity, ...)
    written: Array  # () int32
    priorities: Array | None = None  # (capacity,) float32, 0 where nothing is; None: drawn uniformly
    largest: Array | None = None  # () float32: priority of a new transition, so that each is soon replayed


def empty(capacity: int, example: Transitions, prioritized: bool) -> Replay:
    """`example` gives the shapes and types of what comes in, leaves (N, ...); `capacity` must be a multiple of N."""
    stored = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape[1:]), leaf.dtype), example)
    return Replay(stored, jnp.int32(0), *((jnp.zeros(capacity), jnp.float32(1)) if prioritized else ()))


def nbytes(capacity: int, observation: jax.ShapeDtypeStruct, prioritized: bool) -> int:
    """Memory of a replay memory of observations like `observation`."""
    one = 2 * math.prod(observation.shape) * observation.dtype.itemsize + 4 + 4 + 1 + 4 * prioritized
    return capacity * one


def write(replay: Replay, new: Transitions) -> Replay:
    """`new` (N, ...) takes the places of the oldest N."""
    capacity, count = len(replay.stored.actions), len(new.actions)
    start = replay.written % capacity

    def put(ring: Array, values: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(ring, values.astype(ring.dtype), start, 0)

    # Counts on below twice the capacity, so that it never overflows: all that matters is where, and whether full.
    written = replay.written + count
    written = jnp.where(written >= 2 * capacity, written - capacity, written)
    replay = replay.replace(stored=jax.tree.map(put, replay.stored, new), written=written)
    if replay.priorities is None:
        return replay
    return replay.replace(priorities=put(replay.priorities, jnp.full(count, 1.0) * replay.largest))


def size(replay: Replay) -> Array:
    """() int32: transitions in it."""
    return jnp.minimum(replay.written, len(replay.stored.actions))


def draw(replay: Replay, noise: Array, beta: Array | float = 1.0) -> tuple[Transitions, Array, Array]:
    """(B transitions, their places (B,), their weights (B,) of at most 1). noise: (B,) uint32 random bits.

    By priority, transition i comes with a chance P(i) = p_i / sum p, one from each of B equal shares of the sum, and
    weighs (N P(i))^-beta over the largest such weight in the batch (section 3.4). Uniformly all weigh 1.
    """
    batch = len(noise)
    if replay.priorities is None:
        places = below(noise, size(replay))
        weights = jnp.ones(batch)
    else:
        shares = (jnp.arange(batch) + unit(noise)) / batch
        places, chances = _by_priority(replay.priorities, shares)
        weights = (size(replay) * chances) ** -beta
        weights = weights / weights.max()
    return jax.tree.map(lambda leaf: leaf.at[places].get(mode="promise_in_bounds"), replay.stored), places, weights


def _by_priority(priorities: Array, shares: Array) -> tuple[Array, Array]:
    """(places, their chances) at `shares` (B,), 0 to 1, of the running sum; a sum tree of two levels."""
    capacity = len(priorities)
    width = math.isqrt(capacity - 1) + 1
    blocks = jnp.pad(priorities, (0, width * width - capacity)).reshape(width, width)
    ends = jnp.cumsum(blocks.sum(1))
    wanted = shares * ends[-1]
    block = jnp.minimum(jnp.searchsorted(ends, wanted, side="right"), width - 1)
    rest = wanted - jnp.where(block > 0, ends[block - 1], 0)
    within = jnp.cumsum(blocks[block], axis=1)  # (B, width)
    # Rounding may carry a share past the last transition of its block that has any chance.
    last = jnp.where(blocks[block] > 0, jnp.arange(width)[None], 0).max(1)
    places = block * width + jnp.minimum((within <= rest[:, None]).sum(1), last)
    return places, priorities[places] / ends[-1]


def prioritize(replay: Replay, places: Array, errors: Array, alpha: float) -> Replay:
    """The priorities of what was just learned from: (|error| + 0.000001)^alpha."""
    if replay.priorities is None:
        return replay
    new = (jnp.abs(errors) + 1e-6) ** alpha
    largest = jnp.maximum(replay.largest, new.max())
    return replay.replace(priorities=replay.priorities.at[places].set(new), largest=largest)


def as_input(observations: Any) -> Any:
    """What a network takes: bool as 0 and 1; bytes stay, for a network scales them itself."""
    return observations.astype(jnp.float32) if observations.dtype == bool else observations
