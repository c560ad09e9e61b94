"""`zoo predict` with weights that tell a class for each pixel: what each class covers of an image, and a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import UserError

if TYPE_CHECKING:
    from zoo.weights import Loaded


def is_of_pixels(output: Any) -> bool:
    """Whether an output for one image has logits for each pixel, (H, W, classes)."""
    return np.ndim(output) == 3


def covered(output: Any, name: Callable[[int], str], top: int) -> list[tuple[float, str]]:
    """Return the classes that cover most of an image, and what share of its pixels each has."""
    seen = np.asarray(output).argmax(-1)
    counts = np.bincount(seen.reshape(-1))
    order = [int(number) for number in np.argsort(-counts, kind="stable") if counts[number]]
    return [(float(counts[number] / seen.size), name(number)) for number in order[:top]]


def require_one(paths: list[Path], out: Path, loaded: Loaded) -> None:
    """Raise UserError unless there is one image to be drawn with its regions."""
    import zoo

    if not zoo.card(loaded.name).of_pixels:
        raise UserError(
            f"--out {out.name}: a picture is drawn with weights that tell a class for each pixel; here .csv"
        )
    if len(paths) > 1:
        raise UserError(f"--out {out.name} is for one image, and there are {len(paths)}: .csv or .json holds them all")


def draw(loaded: Loaded, x: np.ndarray, output: Any, out: Path) -> None:
    """Write the image that the network has seen, beside it the same with its regions.

    x: (H, W, C) float32, prepared for the network. output: (H', W', classes).
    """
    from train.pictures import grids, segments
    from zoo.unet import center
    from zoo.weights.preprocessing import Images

    images = loaded.preprocessing
    assert isinstance(images, Images)  # the image was prepared by it
    pixels = np.clip(np.round((x * np.asarray(images.std) + np.asarray(images.mean)) / images.scale), 0, 255)
    logits = np.asarray(output)
    shown = center(pixels[None].astype(np.uint8), logits.shape[0], logits.shape[1])
    seen = logits.argmax(-1)[None]
    parts = [segments.overlaid(shown, regions, logits.shape[-1]) for regions in (np.zeros_like(seen), seen)]
    grids.write(grids.grid(np.concatenate(parts), 2), out)
