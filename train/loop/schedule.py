"""The schedule of a run: where its chunks end and where it is evaluated.

Host and device meet once for each chunk. A chunk should take about a second: long enough to hide the work of the host,
short enough to show progress and to stop soon after Ctrl-C.
"""

from typing import NamedTuple

import jax

from train.config import Experiment
from train.tasks.setup import Setup

CHUNK_SECONDS = 1.0
FLOPS_PER_SECOND = {"cpu": 5e10}  # what training roughly reaches; only the length of a chunk depends on it
ACCELERATOR_FLOPS_PER_SECOND = 2e13
LONGEST_CHUNK = 200  # steps


class Schedule(NamedTuple):
    """The steps of a run."""

    steps: int  # the last step
    eval_every_steps: int
    chunk_steps: int  # of the longest chunk

    def next_stop(self, step: int) -> int:
        """Return the step at which the chunk that starts at `step` ends."""
        return next_stop(step, self.steps, self.eval_every_steps, self.chunk_steps)

    def is_evaluation(self, step: int) -> bool:
        """Return whether the run is evaluated after `step` steps."""
        return step % self.eval_every_steps == 0 or step == self.steps


def make_schedule(experiment: Experiment, setup: Setup, replicas: int, most: int | None) -> Schedule:
    """Return the schedule of a run of so many replicas. most: the steps that the feed can hold in one chunk."""
    longest = setup.longest_chunk or LONGEST_CHUNK
    flops_per_step = int(setup.passes * setup.flops * experiment.data.batch * replicas)
    chunk = chunk_steps(flops_per_step, experiment.eval_every_steps, min(most or longest, longest))
    return Schedule(experiment.steps, experiment.eval_every_steps, chunk)


def chunk_steps(flops_per_step: int, eval_every_steps: int, most: int) -> int:
    """Return the number of steps in a chunk.

    It follows from the FLOPs of a step and not from a clock, so that a run repeats to the bit. The chunks between two
    evaluations are about equally long.
    """
    speed = FLOPS_PER_SECOND.get(jax.default_backend(), ACCELERATOR_FLOPS_PER_SECOND)
    wanted = max(1, min(int(CHUNK_SECONDS * speed / flops_per_step), most))
    chunks = -(-eval_every_steps // wanted)
    return -(-eval_every_steps // chunks)


def next_stop(step: int, steps: int, every: int, chunk: int) -> int:
    """Return where the chunk that starts at `step` ends: at a multiple of `chunk` steps after the last evaluation.

    A chunk never reaches past an evaluation, which is every `every` steps, nor past the last step.
    """
    since = step % every
    return min(step - since + min((since // chunk + 1) * chunk, every), steps)
