"""`folder:PATH` for the task `segment`: the user's own images, with a mask beside each.

The layout is PATH/train/images/*.jpg with PATH/train/masks/*.png, and the same below PATH/test (and PATH/validation),
or only PATH/images and PATH/masks, from which `load` takes the test split. A mask has the name of its image, but for
the ending, and its size. PATH/classes.txt may name the classes, one in a line, from class 0 on.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.data import cache, decode, kinds
from train.data.images import folder
from train.data.masks import files
from train.data.split import IGNORED, Found
from zoo.errors import UserError

IMAGES, MASKS, NAMES = "images", "masks", "classes.txt"


@dataclasses.dataclass(frozen=True)
class Pairs:
    """A Store of image files and their masks; see `train.data.split.Store`. contents: uint64 (N,), of the images."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    contents: np.ndarray
    shape: tuple[int, int, int]
    size: int | None
    fit: str
    scaled: bool = False

    @property
    def label_bytes(self) -> int:
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return len(self.images)

    def labels(self) -> np.ndarray:
        return np.zeros(len(self), np.int32)

    def fingerprint(self) -> list:
        stats = folder.fingerprint((*self.images, *self.masks))
        return [decode.STAMP, *stats, self.shape, self.size, self.fit, self.scaled]

    def keys(self) -> np.ndarray:
        return self.contents

    def groups(self) -> None:
        return None

    def digest(self, indices: np.ndarray) -> str:
        sizes = np.array([self.masks[index].stat().st_size for index in indices], np.int64)
        return folder.digest(self.contents[indices], sizes)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((len(indices), *self.shape), np.uint8)
        y = np.empty((len(indices), *self.shape[:2]), np.uint8)
        for row, index in enumerate(indices):
            path = self.images[index]
            with decode.reading(path):
                fit = self.fit if self.size else None
                x[row] = decode.decode_to(path.read_bytes(), self.shape, fit, self.scaled)
            y[row] = files.bring(files.read(self.masks[index]), self.size, self.fit)
        return x, y


def is_masked(root: Path) -> bool:
    """Whether a folder, or its training split, has images and masks."""
    return any((place / IMAGES).is_dir() and (place / MASKS).is_dir() for place in (root, root / "train"))


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of a folder. Headers of the images and all masks are read; what they hold is cached."""
    root = kinds.existing("folder", path)
    name = f"folder:{root}"
    try:
        folders, _ = folder.split_folders(root) if not (root / IMAGES).is_dir() else ({}, [])
        parts = {split: _pairs(place) for split, place in (folders or {"train": root}).items()}
        images = tuple(image for pairs in parts.values() for image, _ in pairs)
        masks = tuple(mask for pairs in parts.values() for _, mask in pairs)
        known = folder.held(f"folder:{root.absolute()}-{IMAGES}", images)
        read = _read_masks(root, masks)
        names = _names(root / NAMES, masks, read["highest"])
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    _require_sizes(images, masks, known["rows"], read["sizes"])
    shape = folder.shape_of(name, known["rows"], size, lambda number: images[number].name)
    stores, start = {}, 0
    for split, pairs in parts.items():
        part = slice(start, start + len(pairs))
        stores[split] = Pairs(images[part], masks[part], known["keys"][part], shape, size, fit, scaled)
        start = part.stop
    return Found(name, "", names, stores, (), str(root.absolute()))


def _pairs(place: Path) -> list[tuple[Path, Path]]:
    """Return (image, mask) of every image of a split, sorted. UserError where one of the two is missing."""
    for part in (IMAGES, MASKS):
        if not (place / part).is_dir():
            raise UserError(
                f"{place} has no folder {part}: the task segment needs {place}/{IMAGES} and {place}/{MASKS}"
            )
    found = {}
    for part in (IMAGES, MASKS):
        own = [file for file in folder.files_below(place / part) if file.suffix.lower() in decode.ENDINGS]
        by_name = {file.relative_to(place / part).with_suffix("").as_posix(): file for file in own}
        if len(by_name) < len(own):
            twice = next(file for file in own if file not in by_name.values())
            raise UserError(f"{twice}: another file there has the same name but for its ending")
        found[part] = by_name
    if not found[IMAGES]:
        raise UserError(f"{place / IMAGES} contains no images ({', '.join(decode.ENDINGS)})")
    for have, lack in ((IMAGES, MASKS), (MASKS, IMAGES)):
        if missing := sorted(found[have].keys() - found[lack].keys()):
            more = f", nor for {len(missing) - 1} others" if len(missing) > 1 else ""
            raise UserError(f"{found[have][missing[0]]}: there is no file for it in {place / lack}{more}")
    return [(found[IMAGES][name], found[MASKS][name]) for name in sorted(found[IMAGES])]


def _read_masks(root: Path, masks: Sequence[Path]) -> cache.Arrays:
    """Return {"sizes": int32 (N, 2), "highest": int32 (N,)}: height and width, and the highest class of each mask."""

    def build() -> cache.Arrays:
        sizes, highest = [], []
        for path in masks:
            mask = files.read(path)
            known = mask[mask != IGNORED]
            sizes.append(mask.shape)
            highest.append(int(known.max()) if known.size else -1)
        return {"sizes": np.array(sizes, np.int32), "highest": np.array(highest, np.int32)}

    return cache.cached(f"folder:{root.absolute()}-{MASKS}", folder.fingerprint(tuple(masks)), build)


def _names(file: Path, masks: Sequence[Path], highest: np.ndarray) -> tuple[str, ...]:
    """Return the names of the classes: those of the file, or numbers up to the highest class in any mask."""
    most = int(highest.max())
    if most < 0:
        raise UserError(f"{masks[0].parent}: every pixel of every mask is {IGNORED}, which stands for no class")
    if not file.is_file():
        return tuple(map(str, range(most + 1)))
    names = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise UserError(f"{file} names the class {twice!r} twice")
    if most >= len(names):
        where = masks[int(highest.argmax())]
        raise UserError(f"{where} has the class {most}, and {file} names classes 0 to {len(names) - 1}")
    return names


def _require_sizes(images: Sequence[Path], masks: Sequence[Path], rows: np.ndarray, sizes: np.ndarray) -> None:
    """Raise UserError where a mask is not as large as its image."""
    wrong = np.flatnonzero((rows[:, :2] != sizes).any(axis=1))
    if wrong.size:
        number = int(wrong[0])
        (tall, wide), (height, width) = sizes[number].tolist(), rows[number, :2].tolist()
        raise UserError(
            f"{masks[number]} has {tall}x{wide} pixels, and its image {images[number].name} has "
            f"{height}x{width}: a mask is as large as its image"
        )
