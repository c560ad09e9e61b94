"""`npz:FILE`: images and labels in one file of NumPy arrays.

The arrays are called x and y, or images and labels, and belong to one split each: train_x and train_y, or x_train and
y_train, with test and validation (or val, valid) likewise; without a split they are all examples, from which `load`
takes the test split. Images are (N, H, W) or (N, H, W, C), uint8 or floats from 0 to 1. Labels are (N,) or (N, 1):
classes numbered from 0, which an array `classes` can name, or words, which are sorted. Arrays of Python objects, which
are pickles, are refused.

An array `group` (train_group, …) of the same length may say which group each image is of, such as its patient or its
writer: whole numbers or words. Then no group is cut in two, and the interval of the test accuracy is over groups.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from train.core import machine
from train.data import kinds
from train.data.classes import numbered
from train.data.cut import array_keys
from train.data.images import groups, pixels
from train.data.images.folder import SPLIT_OF
from train.data.split import Arrays, Found
from zoo.errors import UserError

IMAGES = ("x", "images", "image", "data")
LABELS = ("y", "labels", "label", "targets")
GROUPS = ("group", "groups")
CLASSES = ("classes", "class_names")
SHARE_OF_MEMORY = 4  # the file may hold this fraction of the free memory: floats are held beside the bytes made of them


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Load the splits of an npz file; see the module."""
    del scaled  # it holds pixels, and no files to decode
    file = kinds.existing("npz", path)
    arrays, name = _read(file), f"npz:{file}"
    keys = _keys(file, list(arrays))
    given = next((arrays[key] for key in arrays if key.lower() in CLASSES), None)
    classes = None if given is None else _class_names(file, given)
    stores, labels, group, remarks = {}, {}, {}, []
    for split, of in keys.items():
        x, remark = pixels.images(arrays.pop(of["images"]), f"{file}: {of['images']}")
        labels[split] = _labels(file, of["labels"], arrays[of["labels"]], len(x))
        group[split] = _groups(file, of["groups"], arrays[of["groups"]], len(x)) if "groups" in of else None
        remarks += [remark] * bool(remark)
        stores[split] = x
    shapes = sorted({x.shape[1:] if size is None else x.shape[3:] for x in stores.values()})
    if len(shapes) > 1:
        what = "an image" if size is None else "its channels"
        raise UserError(f"{name}: its splits differ in the shape of {what}: {' and '.join(map(str, shapes))}")
    names, y = numbered(name, labels, classes)
    found = {
        split: Arrays(pixels.brought(x, size, fit), y[split], array_keys(x), group[split])
        for split, x in stores.items()
    }
    return Found(name, "", names, found, tuple(remarks), str(file.absolute()))


def _read(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the file. UserError for a damaged one, for pickles, and for more than memory allows."""
    most = machine.host_memory_free() // SHARE_OF_MEMORY
    try:
        with zipfile.ZipFile(file) as archive:
            total = sum(entry.file_size for entry in archive.infolist())
        if total > most:
            raise UserError(
                f"{file} holds {total / 2**30:.2g} GiB of arrays, more than 1/{SHARE_OF_MEMORY} of the free memory: "
                "write the images to files, for folder:PATH"
            )
        with np.load(file, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"{file} is no npz file, or damaged ({error}): np.savez writes one") from None
    except (ValueError, EOFError, KeyError, MemoryError, NotImplementedError, RuntimeError, zlib.error) as error:
        reason = " ".join(str(error).split())[:160]
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which are pickles and are never loaded: save arrays of numbers"
        raise UserError(f"{file} cannot be read as arrays ({reason})") from None


def _keys(file: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Return split -> "images", "labels" and perhaps "groups" -> the name of the array."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        split, kind = _meaning(name)
        if kind is None:
            continue
        if kind in found.setdefault(split, {}):
            raise UserError(f"{file} has two arrays for the {kind} of {split}: {found[split][kind]} and {name}")
        found[split][kind] = name
    grouped = [name for of in found.values() if (name := of.get("groups"))]
    for kind in ("images", "labels", *["groups"] * bool(grouped)):
        for split, of in found.items():
            if kind not in of:
                name = grouped[0] if kind == "groups" else next(iter(of.values()))
                raise UserError(f"{file} has {name} and no {kind} of {split}; it has {', '.join(names)}")
    if "train" not in found:
        raise UserError(
            f"{file} needs the arrays x and y, images and labels, or train_x, train_y, test_x, test_y; it has "
            f"{', '.join(names) or 'none'}"
        )
    return found


def _meaning(name: str) -> tuple[str, str | None]:
    """Return what an array holds: its split, and "images", "labels" or "groups"; None for something else."""
    lower = name.lower()
    parts = lower.split("_")
    split, rest = "train", lower
    if parts[0] in SPLIT_OF and len(parts) > 1:
        split, rest = SPLIT_OF[parts[0]], "_".join(parts[1:])
    elif parts[-1] in SPLIT_OF and len(parts) > 1:
        split, rest = SPLIT_OF[parts[-1]], "_".join(parts[:-1])
    kinds = {"images": IMAGES, "labels": LABELS, "groups": GROUPS}
    return split, next((kind for kind, names in kinds.items() if rest in names), None)


def _labels(file: Path, name: str, y: np.ndarray, examples: int) -> np.ndarray:
    """Return labels as whole numbers or words, (N,)."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim == 2 and len(y) == examples:
        raise UserError(
            f"{file}: {name} has {y.shape[1]} numbers for each image: one class is needed, as argmax(axis=1)"
        )
    if y.shape != (examples,):
        raise UserError(
            f"{file}: {name} has the shape {y.shape}, and there are {examples} images: expected ({examples},)"
        )
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{file}: {name} holds bytes that are not UTF-8") from None
    if y.dtype.kind in "biuU":
        return y.astype(np.int64) if y.dtype.kind == "b" else y
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.round(y)).all():
        return y.astype(np.int64)
    raise UserError(f"{file}: {name} is of the type {y.dtype}: labels are whole numbers or words")


def _groups(file: Path, name: str, given: np.ndarray, examples: int) -> np.ndarray:
    """Return the number of the group of each image, int64 (N,)."""
    if given.shape not in ((examples,), (examples, 1)):
        raise UserError(
            f"{file}: {name} has the shape {given.shape}, and there are {examples} images: expected ({examples},)"
        )
    if given.dtype.kind in "iu":
        return given.reshape(-1).astype(np.int64)
    if given.dtype.kind == "U":
        return groups.numbered(given.reshape(-1).tolist())
    raise UserError(f"{file}: {name} is of the type {given.dtype}: groups are whole numbers or words")


def _class_names(file: Path, names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
        raise UserError(f"{file}: the array of class names must be (classes,) different words, not {names.dtype}")
    return tuple(map(str, names.tolist()))
