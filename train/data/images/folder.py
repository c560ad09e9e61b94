"""`folder:PATH`: the user's own images, one folder per class.

The layout is PATH/train/CLASS/*.png with PATH/test/CLASS/* (and PATH/validation, /val or /valid), or only PATH/CLASS/*,
from which `load` takes the test split. The classes are numbered in the order of their sorted names. Images are gray if
all files are gray, else RGB without transparency.
"""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from train.data import cache, decode
from zoo.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "valid": "validation", "test": "test"}
"""Folder name -> split."""
GREY = ("1", "L", "LA")
"""Pillow's modes without color."""


@dataclasses.dataclass(frozen=True)
class Files:
    """A Store of image files; see `train.data.split.Store`."""

    paths: tuple[Path, ...]
    labels: np.ndarray
    shape: tuple[int, int, int]
    fit: str | None

    def __len__(self) -> int:
        return len(self.paths)

    def fingerprint(self) -> list:
        return [*_fingerprint(self.paths), self.labels.tolist(), self.shape, self.fit]

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((len(indices), *self.shape), np.uint8)
        for row, index in enumerate(indices):
            path = self.paths[index]
            try:
                x[row] = decode.bring(decode.decode(path.read_bytes(), self.shape[2]), self.shape, self.fit)
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            except (OSError, ValueError, SyntaxError) as error:
                raise _unreadable(path, error) from error
        return x, self.labels[indices]


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).replace(str(path), "").split())[:120]
    return UserError(f"{path} cannot be read as an image ({reason}): repair or remove it")


def _fingerprint(paths: tuple[Path, ...]) -> list:
    return [[str(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in paths]


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _listing(path: Path) -> dict[str, list[Path]]:
    """Return class name -> its sorted image files."""
    found = {}
    for folder in _folders(path):
        files = (file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
        found[folder.name] = sorted(files)
        if not found[folder.name]:
            raise UserError(f"{folder} contains no images ({', '.join(ENDINGS)}): fill or remove it")
    if not found:
        raise UserError(f"{path} contains no class folders: expected {path}/CLASS/*.png")
    return found


def _headers(paths: tuple[Path, ...]) -> cache.Arrays:
    """Return {"rows": int32 (N, 3)}: the height, the width and whether the image has color, for each file.

    Raises UserError for a file that is not an image.
    """
    rows = []
    for path in paths:
        try:
            with Image.open(path) as image:
                rows.append((image.height, image.width, image.mode not in GREY))
                mode = image.mode
        except (OSError, ValueError, SyntaxError) as error:
            raise _unreadable(path, error) from error
        if mode[0] in "IF":
            raise UserError(f"{path} has more than 8 bits per channel ({mode}): convert it")
    return {"rows": np.array(rows, np.int32)}


def _shape(name: str, paths: tuple[Path, ...], size: int | None) -> tuple[int, int, int]:
    """Return the shape that all images have or will be brought to."""
    rows = cache.cached(f"{name}-headers", _fingerprint(paths), lambda: _headers(paths))["rows"]
    channels = 3 if rows[:, 2].any() else 1
    if size is not None:
        return size, size, channels
    odd = np.flatnonzero((rows[:, :2] != rows[0, :2]).any(axis=1))
    if odd.size:
        (height, width, _), (other_height, other_width, _) = rows[0].tolist(), rows[odd[0]].tolist()
        raise UserError(
            f"{name}: images differ in size ({paths[0].name} has {height}x{width}, {paths[odd[0]].name} "
            f"{other_height}x{other_width}): give data.image_size"
        )
    return int(rows[0, 0]), int(rows[0, 1]), channels


def find(path: str, size: int | None, fit: str) -> tuple[str, str, tuple[str, ...], dict[str, Files]]:
    """Return the name, the version (empty), the class names and the splits of a folder. Only headers are read."""
    root = Path(path).expanduser()
    if not path or not root.is_dir():
        raise UserError(f"folder:{path}: there is no such folder; expected PATH/CLASS/*.png or PATH/train/CLASS/*.png")
    try:
        parts = {SPLITS[folder.name]: _listing(folder) for folder in _folders(root) if folder.name in SPLITS}
        if "train" not in parts:
            parts = {"train": _listing(root)}
        name, classes = f"folder:{root}", tuple(parts["train"])
        if len(classes) == 1:
            raise UserError(f"{name} has only one class, {classes[0]!r}: add a folder for each other class")
        for split, listing in parts.items():
            if strange := sorted(set(listing) - set(classes)):
                raise UserError(f"{name}: {split} has the class {strange[0]!r}, and train does not")
        every = tuple(file for listing in parts.values() for files in listing.values() for file in files)
        shape = _shape(name, every, size)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    stores = {}
    for split, listing in parts.items():
        pairs = [(file, classes.index(label)) for label, files in listing.items() for file in files]
        labels = np.array([label for _, label in pairs], np.int32)
        stores[split] = Files(tuple(file for file, _ in pairs), labels, shape, fit if size else None)
    return name, "", classes, stores
