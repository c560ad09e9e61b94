"""Batches of a set that does not live on the device, read by Grain while training."""

import functools
import sys
from typing import Any

import numpy as np

from train.data.split import Split
from zoo.errors import UserError

AHEAD = 4
"""Batches that each reader keeps ready."""


def batches(split: Split, batch: int, seed: int, workers: int) -> "Batches":
    """Endless batches {"x": uint8 (batch, H, W, C), "y": int32 (batch,)} of a split, in a new order each epoch.

    The last, partial batch of an epoch is dropped. Batch number n depends on (split, batch, seed, n) alone, so the
    sequence is the same for any number of `workers` (reader processes; 0 reads in a thread of this one), and its
    whole state is n. A split in memory is cut in this process whatever `workers` says: nothing is left to read.
    Raises UserError when the split is smaller than one batch.
    """
    if not 1 <= batch <= len(split):
        raise UserError(f"data.batch={batch}: must be at least 1 and at most the {len(split)} training examples")
    if seed < 0 or workers < 0:
        name, value = ("seed", seed) if seed < 0 else ("data.workers", workers)
        raise UserError(f"{name}={value}: must not be negative")
    return Batches(split, batch, seed, 0 if split.in_memory else workers)


@functools.lru_cache(maxsize=4)  # readers that run ahead are in two epochs at once
def _order(examples: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of the examples; PCG64's raw output is what NumPy promises never to change."""
    return np.argsort(np.random.PCG64([seed, epoch]).random_raw(examples), kind="stable")


class _Steps:
    """Grain's random-access protocol over batches instead of examples: records are read in blocks, three times as
    fast, and reader processes deal in whole batches."""

    def __init__(self, split: Split, batch: int, seed: int, start: int) -> None:
        self.split, self.batch, self.seed, self.start = split, batch, seed, start

    def __len__(self) -> int:
        return sys.maxsize - self.start

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        epoch, step = divmod(self.start + index, len(self.split) // self.batch)
        order = _order(len(self.split), self.seed, epoch)
        return self.split.batch(order[step * self.batch : (step + 1) * self.batch])


class Batches:
    """Iterator over batches; see `batches`. Its state is a JSON-able dict, for the checkpoint."""

    def __init__(self, split: Split, batch: int, seed: int, workers: int) -> None:
        self._arguments, self._workers = (split, batch, seed), workers
        self._step, self._reader = 0, None

    def __iter__(self) -> "Batches":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._reader is None:  # started late, so that `set_state` before the first batch starts readers once
            self._reader = self._start()
        batch = {name: np.array(value) for name, value in next(self._reader).items()}  # out of the shared memory
        self._step += 1
        return batch

    def get_state(self) -> dict[str, int]:
        """Number of batches handed out so far."""
        return {"step": self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on after the batch at which `get_state` gave this."""
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """Ends the readers; the next batch starts them again."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _start(self) -> Any:
        import grain
        from absl import flags

        if not flags.FLAGS.is_parsed():  # Grain starts its readers by absl flags, which this command line has none of
            flags.FLAGS.mark_as_parsed()
        steps = grain.MapDataset.source(_Steps(*self._arguments, start=self._step))
        if not self._workers:
            return iter(steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)))
        plain = steps.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        options = grain.MultiprocessingOptions(num_workers=self._workers, per_worker_buffer_size=AHEAD)
        return iter(plain.mp_prefetch(options))
