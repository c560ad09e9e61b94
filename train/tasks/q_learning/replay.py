"""Replay memory: a ring of transitions on the device, drawn from uniformly or by priority.

Prioritized: Schaul et al. 2015, arXiv:1511.05952, section 3, the proportional variant.
"""

import math

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from train.data.worlds.vector import Transitions, below, unit
from train.tasks.q_learning import frames


@struct.dataclass
class Replay:
    """`capacity` transitions; `written` counts all that ever came in, and the oldest make way."""

    stored: Transitions  # leaves (capacity, ...), of stacked frames as `frames.kept` has them
    written: Array  # () int32
    priorities: Array | None = None  # (capacity,) float32, 0 where nothing is; None: drawn uniformly
    largest: Array | None = None  # () float32: priority of a new transition, so that each is soon replayed
    side: int = struct.field(pytree_node=False, default=0)  # environments side by side, of stacked frames; else 0

    @property
    def bare(self) -> int:
        """How many of the oldest are not drawn: their stacks began with frames that are gone."""
        return frames.history(self.stored, self.side) if self.side else 0


def empty(capacity: int, example: Transitions, prioritized: bool, stacked: bool = False) -> Replay:
    """`example` gives the shapes and types of what comes in, leaves (N, ...); `capacity` must be a multiple of N.

    stacked: observations are stacks (H, W, S) of frames, and what comes in with one call of `write` is followed by what
    comes in with the next. Then the oldest (S - 1) N are not drawn, and `capacity` must be larger.
    """
    side = len(example.actions) if stacked else 0
    example = jax.eval_shape(frames.kept, example) if stacked else example
    stored = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape[1:]), leaf.dtype), example)
    priorities = (jnp.zeros(capacity), jnp.float32(1)) if prioritized else (None, None)
    return Replay(stored, jnp.int32(0), *priorities, side)


def nbytes(capacity: int, observation: jax.ShapeDtypeStruct, prioritized: bool, stacked: bool = False) -> int:
    """Memory of a replay memory of observations like `observation`."""
    size = math.prod(observation.shape) * observation.dtype.itemsize
    frames_of = observation.shape[-1]
    own = 2 * size // frames_of + frames_of - 1 if stacked else 2 * size
    return capacity * (own + 4 + 4 + 1 + 4 * prioritized)


def write(replay: Replay, new: Transitions) -> Replay:
    """`new` (N, ...) takes the places of the oldest N."""
    new = frames.kept(new) if replay.side else new
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
    priorities = put(replay.priorities, jnp.full(count, 1.0) * replay.largest)
    bare = (_oldest(replay) + jnp.arange(replay.bare)) % capacity
    return replay.replace(priorities=priorities.at[bare].set(0))


def size(replay: Replay) -> Array:
    """() int32: transitions in it."""
    return jnp.minimum(replay.written, len(replay.stored.actions))


def _oldest(replay: Replay) -> Array:
    capacity = len(replay.stored.actions)
    return jnp.where(replay.written < capacity, 0, replay.written % capacity)


def draw(replay: Replay, noise: Array, beta: Array | float = 1.0) -> tuple[Transitions, Array, Array]:
    """(B transitions, their places (B,), their weights (B,) of at most 1). noise: (B,) uint32 random bits.

    By priority, transition i comes with a chance P(i) = p_i / sum p, one from each of B equal shares of the sum, and
    weighs (N P(i))^-beta over the largest such weight in the batch (section 3.4). Uniformly all weigh 1.
    """
    batch, count = len(noise), size(replay) - replay.bare
    if replay.priorities is None:
        places = below(noise, count)
        if replay.side:
            places = (_oldest(replay) + replay.bare + places) % len(replay.stored.actions)
        weights = jnp.ones(batch)
    else:
        shares = (jnp.arange(batch) + unit(noise)) / batch
        places, chances = _by_priority(replay.priorities, shares)
        weights = (count * chances) ** -beta
        weights = weights / weights.max()
    if replay.side:
        return frames.restored(replay.stored, places, replay.side), places, weights
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
