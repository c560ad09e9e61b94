"""The pictures of a GAN's run: fixed latents at each evaluation; at the end samples and interpolations."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from train.core import State
from train.data.images.augment import Operation, for_evaluation
from train.data.split import Split, some
from train.inference import images as samples
from train.pictures import grids
from train.pictures.guard import guarded

SIDE = 8  # rows and columns of a grid
FIXED = SIDE * SIDE  # latents whose images are drawn at each evaluation
MOMENTS = 12  # rows of growth.png, at most
PATHS = 8  # interpolations between latents
MOST_IMAGES, MOST_VALUES = 10_000, 50_000_000  # limits of the training images that are searched for the nearest ones
SAMPLES_SEED, PATHS_SEED = 1, 2  # added to the seed, for latents that differ from the fixed ones


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Writes the pictures of a run. The latents depend on `seed`; `operations` is the augmentation of `split`."""

    model: nn.Module
    seed: int
    split: Split
    operations: Sequence[Operation]

    def watch(self, state: State, folder: Path, step: int) -> None:
        """Write folder/step_0001000.png: the images of 64 latents that are the same at every step."""
        z = samples.latents(self.model, self.seed, FIXED)
        images = samples.make(self.model, samples.variables(state), z, samples.labels(self.model, FIXED))
        grids.write(grids.grid(samples.bytes_of(images), SIDE), folder / f"step_{step:07}.png")

    def show(self, state: State, folder: Path) -> None:
        """Write samples.png, interpolation.png, growth.png and nearest.png."""
        generator = samples.variables(state)
        z = samples.latents(self.model, self.seed + SAMPLES_SEED, 100)
        images = samples.bytes_of(samples.make(self.model, generator, z, samples.labels(self.model, 100)))
        with guarded("samples.png"):
            grids.write(grids.grid(images, 10), folder / "samples.png")
        with guarded("interpolation.png"):
            grids.write(grids.grid(self._interpolations(generator), 10), folder / "interpolation.png")
        with guarded("nearest.png"):
            grids.write(self._nearest(images[:SIDE]), folder / "nearest.png")
        with guarded("growth.png"):
            if history := self._history(folder):
                grids.write(grids.grid(np.concatenate(history), SIDE), folder / "growth.png")

    def _interpolations(self, generator: samples.Generator) -> np.ndarray:
        """Return ten images of each of 8 interpolations between two latents, one in each row, each with one label."""
        ends = samples.latents(self.model, self.seed + PATHS_SEED, 2 * PATHS)
        paths = [samples.between(self.model, ends[2 * i : 2 * i + 2], 10)[0] for i in range(PATHS)]
        labels = samples.labels(self.model, PATHS)
        if labels is not None:
            labels = labels.repeat(10)
        return samples.bytes_of(samples.make(self.model, generator, jnp.concatenate(paths), labels))

    def _history(self, folder: Path) -> list[np.ndarray]:
        """Return the first 8 fixed images at up to 12 steps. They are read from `folder`, so they survive a resume."""
        files = sorted(folder.glob("step_*.png"))
        chosen = sorted(set(np.linspace(0, len(files) - 1, MOMENTS).astype(int))) if files else []
        rows = []
        for file in (files[i] for i in chosen):
            try:
                rows.append(grids.tiles(grids.read(file), self.model.cfg.shape, FIXED, SIDE)[:SIDE])
            except ValueError:  # a UserError too: the file was changed or removed by someone else
                continue
        return rows

    def _nearest(self, images: np.ndarray) -> np.ndarray:
        """Return the images above the training images with the nearest pixels, which shows memorized images."""
        known = for_evaluation(self.operations, some(self.split, min(MOST_IMAGES, MOST_VALUES // images[0].size))["x"])
        flat = known.reshape(len(known), -1).astype(np.float32)
        distances = [np.square(flat - image.reshape(1, -1).astype(np.float32)).sum(1) for image in images]
        nearest = known[[int(each.argmin()) for each in distances]]
        return grids.grid(np.concatenate([images, nearest]), len(images))
