"""`npz:FILE`: images and labels in one file of NumPy arrays.

The arrays are called x and y, or images and labels, and belong to one split each: train_x and train_y, or x_train and
y_train, with test and validation (or val, valid) likewise; without a split they are all examples, from which `load`
takes the test split. Images are (N, H, W) or (N, H, W, C), uint8 or floats from 0 to 1. Labels are (N,) or (N, 1):
classes numbered from 0, which an array `classes` can name, or words, which are sorted. Arrays of Python objects, which
are pickles, are refused.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from train.core import machine
from train.data.classes import numbered
from train.data.cut import array_keys
from train.data.images import pixels
from train.data.images.folder import SPLIT_OF
from train.data.split import Arrays, Found
from zoo.errors import UserError

IMAGES = ("x", "images", "image", "data")
LABELS = ("y", "labels", "label", "targets")
CLASSES = ("classes", "class_names")
SHARE_OF_MEMORY = 4  # the file may hold this fraction of the free memory: floats are held beside the bytes made of them


def existing(path: str) -> Path:
    """The file at `path`; UserError where there is none."""
    file = Path(path).expanduser()
    if not path or not file.is_file():
        raise UserError(f"npz:{path}: there is no such file; expected an .npz of arrays such as train_x and train_y")
    return file


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Load the splits of an npz file; see the module."""
    del scaled  # it holds pixels, and no files to decode
    file = existing(path)
    arrays, name = _read(file), f"npz:{file}"
    keys = _keys(file, list(arrays))
    given = next((arrays[key] for key in arrays if key.lower() in CLASSES), None)
    classes = None if given is None else _class_names(file, given)
    stores, labels, remarks = {}, {}, []
    for split, (images, label) in keys.items():
        x, remark = pixels.images(arrays.pop(images), f"{file}: {images}")
        labels[split] = _labels(file, label, arrays[label], len(x))
        remarks += [remark] * bool(remark)
        stores[split] = x
    shapes = sorted({x.shape[1:] if size is None else x.shape[3:] for x in stores.values()})
    if len(shapes) > 1:
        what = "an image" if size is None else "its channels"
        raise UserError(f"{name}: its splits differ in the shape of {what}: {' and '.join(map(str, shapes))}")
    names, y = numbered(name, labels, classes)
    found = {split: Arrays(pixels.brought(x, size, fit), y[split], array_keys(x)) for split, x in stores.items()}
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


def _keys(file: Path, names: list[str]) -> dict[str, tuple[str, str]]:
    """Return split -> the names of its images and of its labels."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        split, kind = _meaning(name)
        if kind is None:
            continue
        if kind in found.setdefault(split, {}):
            raise UserError(f"{file} has two arrays for the {kind} of {split}: {found[split][kind]} and {name}")
        found[split][kind] = name
    for split, pair in found.items():
        if len(pair) == 1:
            [(kind, name)] = pair.items()
            other = "labels" if kind == "images" else "images"
            raise UserError(f"{file} has {name} and no {other} of {split}; it has {', '.join(names)}")
    if "train" not in found:
        raise UserError(
            f"{file} needs the arrays x and y, images and labels, or train_x, train_y, test_x, test_y; it has "
            f"{', '.join(names) or 'none'}"
        )
    return {split: (pair["images"], pair["labels"]) for split, pair in found.items()}


def _meaning(name: str) -> tuple[str, str | None]:
    """Return what an array holds: its split, and "images" or "labels"; None for something else."""
    lower = name.lower()
    parts = lower.split("_")
    split, rest = "train", lower
    if parts[0] in SPLIT_OF and len(parts) > 1:
        split, rest = SPLIT_OF[parts[0]], "_".join(parts[1:])
    elif parts[-1] in SPLIT_OF and len(parts) > 1:
        split, rest = SPLIT_OF[parts[-1]], "_".join(parts[:-1])
    return split, "images" if rest in IMAGES else "labels" if rest in LABELS else None


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


def _class_names(file: Path, names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
        raise UserError(f"{file}: the array of class names must be (classes,) different words, not {names.dtype}")
    return tuple(map(str, names.tolist()))
