"""Batches of a data set that does not fit in device memory, read by Grain during training."""

import functools
import sys
from typing import Any

import numpy as np

from train.data.split import Split
from zoo.errors import UserError

AHEAD = 4
"""Batches that each reader process keeps ready."""


def batches(split: Split, batch: int, seed: int | None, workers: int) -> "Batches":
    """Return endless batches {"x": uint8 (batch, H, W, C), "y": int32 (batch,)} of a split, shuffled each epoch.

    seed: of the orders; None: each epoch has the examples in the order of the split.
    The last, partial batch of an epoch is dropped. Batch number n depends only on (split, batch, seed, n), so the
    sequence is the same for any number of `workers`, and its whole state is n. workers: reader processes; 0 reads in a
    thread of this process, and so does a split in memory, where there is nothing to read.
    Raise UserError where the split is smaller than one batch.
    """
    if not 1 <= batch <= len(split):
        raise UserError(f"data.batch={batch}: must be at least 1 and at most the {len(split)} training examples")
    if (seed or 0) < 0 or workers < 0:
        name, value = ("seed", seed) if (seed or 0) < 0 else ("data.workers", workers)
        raise UserError(f"{name}={value}: must not be negative")
    return Batches(split, batch, seed, 0 if split.in_memory else workers)


@functools.lru_cache(maxsize=4)  # readers that run ahead can be in two epochs at once
def _order(examples: int, seed: int | None, epoch: int) -> np.ndarray:
    """Return a permutation of the examples; without a seed, their own order.

    It uses the raw output of PCG64, which NumPy promises never to change.
    """
    if seed is None:
        return np.arange(examples)
    return np.argsort(np.random.PCG64([seed, epoch]).random_raw(examples), kind="stable")


class _Steps:
    """Grain's random-access protocol over whole batches instead of examples.

    So records are read in blocks, which is three times as fast, and reader processes hand over whole batches.
    """

    def __init__(self, split: Split, batch: int, seed: int | None, start: int) -> None:
        self.split, self.batch, self.seed, self.start = split, batch, seed, start

    def __len__(self) -> int:
        return sys.maxsize - self.start

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        epoch, step = divmod(self.start + index, len(self.split) // self.batch)
        order = _order(len(self.split), self.seed, epoch)
        return self.split.batch(order[step * self.batch : (step + 1) * self.batch])


class Batches:
    """An iterator over batches; see the function `batches`. Its state is JSON, for the checkpoint.

    The state says of which sequence its step is: that of other examples, another batch or seed is another one.
    """

    def __init__(self, split: Split, batch: int, seed: int | None, workers: int) -> None:
        self._arguments, self._workers = (split, batch, seed), workers
        self._step, self._reader = 0, None

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._reader is None:  # not earlier, so that `set_state` before the first batch does not start them twice
            self._reader = self._start()
        batch = {name: np.array(value) for name, value in next(self._reader).items()}  # copied out of shared memory
        self._step += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        """Return how many batches were handed out so far, and of which sequence."""
        return {"step": self._step, **self._sequence}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue after the batch at which `get_state` returned `state`; older ones hold the step alone.

        Raise UserError where that was another sequence.
        """
        for name, value in self._sequence.items():
            if state.get(name, value) != value:
                raise UserError(
                    f"the checkpoint was reading with {name} {state[name]}, and now it is {value}: its place in the "
                    "data is lost, so start the run again"
                )
        self.close()
        self._step = int(state["step"])

    @property
    def _sequence(self) -> dict[str, int | None]:
        """What the sequence of batches depends on."""
        split, batch, seed = self._arguments
        return {"examples": len(split), "batch": batch, "seed": seed}

    def close(self) -> None:
        """Stop the readers; the next batch starts them again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _start(self) -> Any:
        import grain
        from absl import flags

        if not flags.FLAGS.is_parsed():  # Grain's readers read absl flags, which this command line does not have
            flags.FLAGS.mark_as_parsed()
        steps = grain.MapDataset.source(_Steps(*self._arguments, start=self._step))
        if not self._workers:
            return iter(steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)))
        plain = steps.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        options = grain.MultiprocessingOptions(num_workers=self._workers, per_worker_buffer_size=AHEAD)
        return iter(plain.mp_prefetch(options))
