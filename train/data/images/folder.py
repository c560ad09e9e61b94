"""`folder:PATH`: the user's own images, one folder per class.

The layout is PATH/train/CLASS/*.png with PATH/test/CLASS/* (and PATH/validation), or only PATH/CLASS/*, from which
`load` takes the test split. A split's folder may have another of its usual names (val, Testing, TRAIN). The classes are
numbered in the order of their sorted names. Images are gray if all files are gray, else RGB without transparency.
Folders inside a class belong to it, linked ones too; hidden files and folders (their names begin with a dot) do not.
A table PATH/groups.csv may say which group each image is of, such as its patient or writer (`groups`).
"""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from train.data import cache, decode, kinds
from train.data.cut import keys_of
from train.data.images import groups
from train.data.split import Found
from zoo.errors import UserError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""Split -> the names of its folder, in lower case."""
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}


BEGINNING = 1 << 16
"""Bytes of a file from which, with its size, its key is made: two files that differ only behind them are rare, and the
only harm is that they are in the same split."""


@dataclasses.dataclass(frozen=True)
class Files:
    """A Store of image files; see `train.data.split.Store`. contents: uint64 (N,), the key of each file's content.

    group: int64 (N,), the group of each file; see `Store.groups`.
    """

    paths: tuple[Path, ...]
    contents: np.ndarray
    classes: np.ndarray
    shape: tuple[int, int, int]
    fit: str | None
    scaled: bool = False
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def labels(self) -> np.ndarray:
        return self.classes

    def fingerprint(self) -> list:
        files = fingerprint(self.paths)
        return [decode.STAMP, *files, self.classes.tolist(), self.shape, self.fit, *decode.SCALED * self.scaled]

    def keys(self) -> np.ndarray:
        return self.contents

    def groups(self) -> np.ndarray | None:
        return self.group

    def digest(self, indices: np.ndarray) -> str:
        return digest(self.contents[indices], self.classes[indices])

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((len(indices), *self.shape), np.uint8)
        for row, index in enumerate(indices):
            path = self.paths[index]
            with decode.reading(path):
                try:
                    x[row] = decode.decode_to(path.read_bytes(), self.shape, self.fit, self.scaled)
                except UserError as error:
                    raise UserError(f"{path}: {error}") from None
        return x, self.classes[indices]


def digest(contents: np.ndarray, classes: np.ndarray) -> str:
    """Return the digest of examples by the keys of their files (N,) and their classes (N,); see `Store.digest`."""
    rows = np.stack([contents, classes.astype(np.uint64)], axis=1)
    return f"files {hashlib.blake2b(rows.astype('<u8').tobytes(), digest_size=16).hexdigest()}"


def fingerprint(paths: tuple[Path, ...]) -> list:
    return [[os.path.abspath(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in paths]


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def files_below(folder: Path) -> list[Path]:
    """Return all files below `folder`, sorted, through linked folders too, without hidden files and folders."""
    found, seen = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _listing(path: Path, left_out: collections.Counter[str]) -> dict[str, list[Path]]:
    """Return class name -> its sorted image files. left_out: counts the other files, by their endings."""
    found = {}
    for folder in _folders(path):
        files = files_below(folder)
        found[folder.name] = [file for file in files if file.suffix.lower() in decode.ENDINGS]
        left_out.update(file.suffix.lower() for file in files if file.suffix.lower() not in decode.ENDINGS)
        if not found[folder.name]:
            raise UserError(f"{folder} contains no images ({', '.join(decode.ENDINGS)}): fill or remove it")
    if not found:
        raise UserError(f"{path} contains no class folders: expected {path}/CLASS/*.png")
    return found


def _remarks(left_out: collections.Counter[str]) -> tuple[str, ...]:
    """Say which files were left out."""
    if not left_out:
        return ()
    commonest = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))[:5]
    kinds = ", ".join(f"{count} {ending or 'without an ending'}" for ending, count in commonest)
    return (f"{left_out.total()} files in the class folders have no ending of an image and are left out ({kinds})",)


def _headers(paths: tuple[Path, ...]) -> cache.Arrays:
    """Return {"rows": int32 (N, 3), "keys": uint64 (N,)}: height, width, whether it has color, and a key of each file.

    Raises UserError for a file that is not an image.
    """
    rows = []

    def beginnings() -> Iterator[bytes]:  # one at a time: those of a million files would be 80 GB
        for path in paths:
            with decode.reading(path):
                rows.append(decode.header(path))
                with path.open("rb") as file:
                    yield b"%d " % path.stat().st_size + file.read(BEGINNING)

    keys = keys_of(beginnings())
    return {"rows": np.array(rows, np.int32), "keys": keys}


def held(name: str, paths: tuple[Path, ...]) -> cache.Arrays:
    """Return what `_headers` reads, from the cache if it is there. name: of the set, with its absolute path."""
    return cache.cached(f"{name}-headers", [decode.STAMP, *fingerprint(paths)], lambda: _headers(paths))


def shape_of(name: str, rows: np.ndarray, size: int | None, called: Callable[[int], str]) -> tuple[int, int, int]:
    """Return the shape that all images have or will be brought to.

    rows: integer (N, 3), the headers of the images. called: what a message calls the image of a number.
    """
    channels = 3 if rows[:, 2].any() else 1
    if size is not None:
        return size, size, channels
    odd = np.flatnonzero((rows[:, :2] != rows[0, :2]).any(axis=1))
    if odd.size:
        (height, width, _), (other_height, other_width, _) = rows[0].tolist(), rows[odd[0]].tolist()
        raise UserError(
            f"{name}: images differ in size ({called(0)} has {height}x{width}, {called(int(odd[0]))} "
            f"{other_height}x{other_width}): give data.image_size"
        )
    return int(rows[0, 0]), int(rows[0, 1]), channels


def split_folders(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return split -> its folder, and the names of the folders beside them; no split where `root` holds class folders.

    A folder without folders is a class, whatever its name. Raises UserError where a split has two folders, or where
    there is no training split beside others.
    """
    found: dict[str, Path] = {}
    others = []
    for folder in _folders(root):
        split = next((split for split, names in SPLITS.items() if folder.name.lower() in names), None)
        if split is None or not _folders(folder):
            others.append(folder.name)
            continue
        if split in found:
            raise UserError(f"folder:{root} has two folders for {split}: {found[split].name} and {folder.name}")
        found[split] = folder
    if found and "train" not in found:
        there = " and ".join(folder.name for folder in found.values())
        raise UserError(f"folder:{root} has {there} with class folders, but no train/CLASS/*: add it, or rename them")
    return found, others if found else []


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of a folder. Only headers of images are read."""
    root = kinds.existing("folder", path)
    left_out: collections.Counter[str] = collections.Counter()
    try:
        folders, others = split_folders(root)
        folders = folders or {"train": root}
        parts = {split: _listing(folder, left_out) for split, folder in folders.items()}
        name, classes = f"folder:{root}", tuple(parts["train"])
        if len(classes) == 1:
            raise UserError(f"{name} has only one class, {classes[0]!r}: add a folder for each other class")
        for split, listing in parts.items():
            if strange := sorted(set(listing) - set(classes)):
                raise UserError(f"{name}: {split} has the class {strange[0]!r}, and train does not")
        files = tuple(file for listing in parts.values() for own in listing.values() for file in own)
        group = groups.of_files(root, files)
        known = held(f"folder:{root.absolute()}", files)
        shape = shape_of(name, known["rows"], size, lambda number: files[number].name)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    number, start, stores = {label: i for i, label in enumerate(classes)}, 0, {}
    for split, listing in parts.items():
        labels = np.repeat([number[label] for label in listing], [len(own) for own in listing.values()])
        part = slice(start, start + len(labels))
        own = files[part], known["keys"][part], labels.astype(np.int32)
        stores[split] = Files(*own, shape, fit if size else None, scaled, None if group is None else group[part])
        start = part.stop
    beside = (f"folders beside the splits are left out: {', '.join(others[:5])}",) if others else ()
    return Found(name, "", classes, stores, (*_remarks(left_out), *beside), str(root.absolute()))
