"""What a pair's run draws: the same latents at each evaluation, and at the end samples, paths and their history."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train.core import State
from train.data.images.augment import Operation, for_evaluation
from train.data.split import Split, some
from train.inference import images as samples
from train.pictures import grids

SIDE = 8  # rows and columns of a grid
WATCHED = SIDE * SIDE  # latents whose images are drawn at each evaluation
MOMENTS = 12  # rows of the picture of how they grew, at most
PATHS = 8  # walks between latents
SOURCE, ROOM = 10_000, 50_000_000  # training images among which the nearest are looked for at most, and their pixels
FRESH, WALKS = 1, 2  # added to the seed: draws that are not the watched ones


@dataclasses.dataclass(frozen=True)
class Pictures:
    """`seed` fixes the latents; `split` are the training images, `operations` how training changes them."""

    model: nn.Module
    seed: int
    split: Split
    operations: Sequence[Operation]

    def watch(self, state: State, folder: Path, step: int) -> None:
        """folder/step_0001000.png: 64 latents that are the same at every step."""
        z = samples.latents(self.model, self.seed, WATCHED)
        images = samples.make(self.model, samples.variables(state), z, samples.labels(self.model, WATCHED))
        grids.write(grids.grid(samples.bytes_of(images), SIDE), folder / f"step_{step:07}.png")

    def show(self, state: State, folder: Path) -> None:
        """samples.png, interpolation.png, growth.png, nearest.png."""
        generator = samples.variables(state)
        z = samples.latents(self.model, self.seed + FRESH, 100)
        fresh = samples.bytes_of(samples.make(self.model, generator, z, samples.labels(self.model, 100)))
        grids.write(grids.grid(fresh, 10), folder / "samples.png")
        grids.write(grids.grid(self._walks(generator), 10), folder / "interpolation.png")
        grids.write(self._nearest(fresh[:SIDE]), folder / "nearest.png")
        if history := self._history(folder):
            grids.write(grids.grid(np.concatenate(history), SIDE), folder / "growth.png")

    def _walks(self, generator: Any) -> np.ndarray:
        """Ten images on each of 8 ways between latents, one way a row; each way keeps its label."""
        ends = samples.latents(self.model, self.seed + WALKS, 2 * PATHS)
        way = [samples.between(self.model, ends[2 * i : 2 * i + 2], 10)[0] for i in range(PATHS)]
        labels = samples.labels(self.model, PATHS)
        told = None if labels is None else labels.repeat(10)
        return samples.bytes_of(samples.make(self.model, generator, jnp.concatenate(way), told))

    def _history(self, folder: Path) -> list[np.ndarray]:
        """The first 8 watched images at up to 12 steps, from pictures in `folder`, which a resumed run still has."""
        files = sorted(folder.glob("step_*.png"))
        chosen = sorted(set(np.linspace(0, len(files) - 1, MOMENTS).astype(int))) if files else []
        rows = []
        for file in (files[i] for i in chosen):
            try:
                rows.append(grids.tiles(grids.read(file), self.model.cfg.shape, WATCHED, SIDE)[:SIDE])
            except (OSError, ValueError):  # a picture that somebody changed
                continue
        return rows

    def _nearest(self, images: np.ndarray) -> np.ndarray:
        """Made images above the training images whose pixels are nearest: whether the generator learned by heart."""
        known = for_evaluation(self.operations, some(self.split, min(SOURCE, ROOM // images[0].size))["x"])
        flat = known.reshape(len(known), -1).astype(np.float32)
        distances = [np.square(flat - image.reshape(1, -1).astype(np.float32)).sum(1) for image in images]
        nearest = known[[int(each.argmin()) for each in distances]]
        return grids.grid(np.concatenate([images, nearest]), len(images))
