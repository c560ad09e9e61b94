"""The splits of composed scenes: which glyphs and how many scenes each has, and the arrays that a run learns from."""

import dataclasses
import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from train.config import Data, Scenes, ranges
from train.config.data import of_name
from train.data.images import pixels
from train.data.scenes import compose, glyphs, presets
from train.data.scenes.compose import CIRCLE, ONE, UNIT, Placement
from train.data.scenes.glyphs import STEP, Glyphs
from train.data.scenes.presets import SIDE, Preset
from train.data.split import Arrays, Found
from zoo.errors import Errors, UserError, unknown

VERSION = 1
"""Version of the generator. Scenes of the same version, preset, size and seed are the same bytes."""
VIEWS = ("classify", "segment")
"""What can be asked of a scene, behind the slash of its name: which digit is whole, or where it is."""
SHOWN_EACH = 14
"""Scenes in which each glyph of validation and test is the whole digit: 5,026 test scenes of 359 glyphs."""
SAMPLE = 8_000
"""Training scenes that stand for all of them where there are new ones at each step: for mean and deviation, a probe."""
CLASS_NAMES = tuple("0123456789")
BACKGROUND = "background"
"""Class 0 of a pixel; the digits follow."""
MOST_BYTES = 2 << 30
"""Training scenes that are kept, in bytes; a larger set is one of new scenes at each step."""
BLOCK = 128
"""Scenes composed at once: what they need then stays in the processor's cache."""


class Scene(NamedTuple):
    """N scenes, with all that is known of how they were made."""

    image: np.ndarray  # uint8 (N, size, size, 1)
    label: np.ndarray  # int32 (N,), of the whole digit
    glyph: np.ndarray  # int32 (N,), the number of the whole digit among the 1,797 of `digits`
    pieces: np.ndarray  # int32 (N, P), the numbers of the digits that the pieces are cut from
    mask: np.ndarray  # bool (N, size, size), where the whole digit has ink
    affine: np.ndarray  # float64 (N, 2, 3), from x, y, 1 in the digit's picture of 8x8 to x, y in the scene, in pixels

    @property
    def classes(self) -> np.ndarray:
        """The class of each pixel, uint8 (N, size, size): 1 and the digit where it has ink, else 0."""
        return classes_of_pixels(np, self.mask, self.label)


def config_of(data: Data) -> Scenes:
    """Return the config of the scenes that `data` names: a plain `Data("scenes")` has the defaults of `Scenes`."""
    found = data if isinstance(data, Scenes) else of_name(data, data.name)
    assert isinstance(found, Scenes), data.name
    return found


def check(data: Data) -> None:
    """Raise UserError for scenes that cannot be composed. Nothing is composed."""
    errors = Errors()
    with errors.kept():
        require_view(data.name)
    own = config_of(data)
    with errors.kept():
        ranges.check(own, "data.")
    with errors.kept():
        preset_of(own)
    with errors.kept():
        _check_combination(own)
    errors.report()


def require_view(name: str) -> None:
    """Raise UserError for a name with another view than those that there are."""
    kind, slash, view = name.partition("/")
    if kind != "scenes":
        raise UserError(f"data.name={name}: this config is one of scenes; another set needs a config of its own")
    if slash and view not in VIEWS:
        raise unknown("view of scenes", view, VIEWS)


def view_of(name: str) -> str:
    """Return what is asked of the scenes of that name."""
    return name.partition("/")[2] or VIEWS[0]


def classes_of_pixels(xp: ModuleType, mask: Any, label: Any) -> Any:
    """Return `Scene.classes`. xp: numpy or jax.numpy. mask: bool (N, size, size). label: (N,)."""
    return xp.where(mask, label[:, None, None] + 1, 0).astype(np.uint8)


def _check_combination(data: Scenes) -> None:
    """Raise UserError for fields that contradict each other."""
    if view_of(data.name) == "segment" and data.image_size is not None:
        raise UserError("data.image_size would blur masks: scenes are drawn at any data.size")
    if data.fold is not None:
        raise UserError(f"data.fold: {data.NO_FOLDS}")
    if (data.images or SAMPLE) * data.size**2 > MOST_BYTES:
        raise UserError(
            f"{data.images or SAMPLE:,} scenes of {data.size}x{data.size} take more than {MOST_BYTES >> 30} GiB: fewer "
            "of data.images, None for new ones at each step, or a smaller data.size"
        )
    if data.images is None:
        asked = {
            "image_size": data.image_size is not None,
            "labels": data.labels != 1,
            "wrong_labels": data.wrong_labels != 0,
            "placement": data.placement == "stream",
            "order": data.order != "shuffled",
        }
        for field in asked:
            if asked[field]:
                raise UserError(
                    f"data.{field}={getattr(data, field)} needs training scenes that are made once: give a number of "
                    "data.images, for None composes new ones in each step"
                )


def preset_of(data: Scenes) -> Preset:
    """Return the numbers that the scenes of a config are drawn from."""
    return presets.find(data.preset, data.pieces)


def version(data: Scenes) -> str:
    """Return what decides the scenes of a config: generator, preset, size and the cut of the glyphs."""
    pieces = "" if data.pieces is None else f"-{data.pieces}pieces"
    return f"{VERSION}-{data.preset}{pieces}-{data.size}px-split{data.split_seed}"


def tables(data: Scenes, split: str) -> tuple[Glyphs, int]:
    """Return the glyphs of a split in the order in which its scenes show them, and the stream of its scenes."""
    own = compose.stream(split, 0 if split == "test" else data.split_seed)
    numbers = glyphs.cut(data.validation, data.split_seed)[split]
    drawn = compose.random(own, np.arange(len(numbers), dtype=np.uint32), compose.ORDER, 1)[:, 0]
    return glyphs.tables(numbers[np.argsort(drawn, kind="stable")]), own


def counts(data: Scenes) -> dict[str, int]:
    """Return how many scenes each split has."""
    cut = glyphs.cut(data.validation, data.split_seed)
    held_out = {split: SHOWN_EACH * len(cut[split]) for split in ("validation", "test")}
    return {"train": SAMPLE if data.images is None else data.images, **held_out}


def shown(data: Scenes, split: str) -> np.ndarray:
    """Return the glyph of each scene of a split, as `composed` has it. Nothing is composed."""
    held, _ = tables(data, split)
    return held.number[np.arange(counts(data)[split]) % len(held.number)]


def composed(data: Scenes, split: str) -> Scene:
    """Compose all scenes of a split, with all that is known of them."""
    blocks = list(_blocks(data, split))
    return Scene(*(np.concatenate(leaves) for leaves in zip(*blocks, strict=True)))


def find(data: Data) -> Found:
    """Compose the splits of a config. Each has its own glyphs, and the test scenes depend on size and preset alone."""
    check(data)
    own = config_of(data)
    segmented = view_of(own.name) == "segment"
    stores = {}
    for split, count in counts(own).items():
        if count:
            parts = [(scene.image, scene.classes if segmented else scene.label) for scene in _blocks(own, split)]
            x, y = (np.concatenate(leaves) for leaves in zip(*parts, strict=True))
            stores[split] = Arrays(pixels.brought(x, own.image_size, own.fit), y, group=shown(own, split))
    names = (BACKGROUND, *CLASS_NAMES) if segmented else CLASS_NAMES
    found = Found(own.name, version(own), names, stores, group_name="digits")
    if own.images is not None:
        return found
    remark = f"new scenes at each step; mean and deviation are those of {SAMPLE:,} of them"
    return dataclasses.replace(found, remarks=(remark,), new_examples=functools.partial(_new_scenes, own))


def _new_scenes(data: Scenes, batch: int, mesh: Any) -> Any:
    """Return the source of new scenes at each step; see `NewExamples`."""
    from train.data.scenes.source import new_scenes  # not above: nothing else here needs JAX

    return new_scenes(data, batch, mesh)


def _blocks(data: Scenes, split: str) -> Iterator[Scene]:
    """Yield the scenes of a split, some at a time."""
    held, own = tables(data, split)
    preset, count = preset_of(data), counts(data)[split]
    for start in range(0, count, BLOCK):
        number = np.arange(start, min(start + BLOCK, count), dtype=np.uint32)
        placement = compose.draw(np, held, preset, own, number)
        image, mask = compose.render(np, held, placement, data.size, preset.noise, (own, number))
        whole, others = placement.glyph[:, 0], placement.glyph[:, 1:]
        affine = affine_of(placement, data.size)
        yield Scene(image[..., None], held.label[whole], held.number[whole], held.number[others], mask, affine)


def affine_of(placement: Placement, size: int) -> np.ndarray:
    """Return the maps from the picture of each whole digit to its scene, float64 (N, 2, 3); see `Scene`."""
    turn, scale = placement.turn[:, 0] & (CIRCLE - 1), placement.scale[:, 0]
    cos, sin = compose.COS[turn] / ONE, compose.SIN[turn] / ONE
    enlarged = scale / UNIT * size / SIDE
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1) * enlarged[:, None, None]
    anchor = np.stack([placement.anchor_x[:, 0], placement.anchor_y[:, 0]], axis=-1) / STEP
    centre = np.stack([placement.x[:, 0], placement.y[:, 0]], axis=-1) / UNIT * size / SIDE
    moved = centre - np.einsum("nij,nj->ni", linear, anchor)
    return np.concatenate([linear, moved[..., None]], axis=2)


def described() -> tuple[str, str, str, str]:
    """Return name, version, content and number of examples, for `zoo data`."""
    usual = Scenes()
    content = f"{usual.size}x{usual.size}x1 or larger, {len(CLASS_NAMES)} classes, composed from real digits"
    examples = ", ".join(f"{count:,} {split}" for split, count in counts(usual).items())
    return usual.name, str(VERSION), content, examples
