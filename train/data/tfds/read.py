"""Read data sets that TFDS prepared, without TensorFlow, from array_record or TFRECORD files. `find`: of images."""

import dataclasses
import functools
import hashlib
import importlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from train.data import cache
from train.data import decode as images
from train.data.embedded import IMAGES
from train.data.kinds import IsText
from train.data.split import Found
from train.data.tfds import tfrecord
from zoo.errors import UserError, unknown
from zoo.files import file_name, parse_json

DESCRIPTION = "dataset_info.json"
VERSION = re.compile(r"\d+\.\d+\.\d+")


def data_dir() -> Path:
    """Return the folder of prepared data sets: $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(root: Path) -> dict[str, list[Path]]:
    """Return the name (`mnist`, `emnist/balanced`) of each prepared data set -> its version folders, newest last."""
    found: dict[str, list[Path]] = {}
    for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json"):
        for file in root.glob(pattern):
            if VERSION.fullmatch(file.parent.name):
                found.setdefault(file.parent.parent.relative_to(root).as_posix(), []).append(file.parent)
    for folders in found.values():
        folders.sort(key=lambda folder: [int(part) for part in folder.name.split(".")])
    return dict(sorted(found.items()))


def registered() -> list[str]:
    """Return every name that TFDS can prepare. It imports TFDS, which takes half a second or more."""
    import tensorflow_datasets as tfds

    # Importing a package registers its builders. TFDS imports all packages, but stops at the first one with a missing
    # dependency (robotics needs h5py), and would then know neither glue nor wmt14_translate.
    for package in ("text", "translate"):
        importlib.import_module(f"tensorflow_datasets.{package}")
    return tfds.list_builders(with_community_datasets=False)


def _has_one_form(name: str) -> bool:
    """Return whether TFDS has a single config of a data set, so that its name needs none (`imdb_reviews`)."""
    import tensorflow_datasets as tfds

    return name in registered() and len(tfds.builder_cls(name).builder_configs) == 1


def damaged(name: str, path: Path, reason: object) -> UserError:
    """Return the error for a damaged file of a prepared data set."""
    reason = " ".join(str(reason).split())[:160]
    return UserError(f"{path} is damaged ({reason}): delete {path.parent} and run `zoo data prepare {name}`")


def array_record() -> Any:
    """Return the module that reads array_record files. UserError on Windows, for which the package has no build."""
    try:
        # A compiled module, which comes without stubs.
        from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]
    except ModuleNotFoundError:
        raise UserError(
            "sets in array_record files need the package array_record, which is not installed and has no build for "
            "Windows; an embedded set or folder:PATH works there"
        ) from None
    return array_record_module


class ArrayRecordShard:
    """One array_record file. Raises ValueError or RuntimeError where it is not whole."""

    def __init__(self, path: Path, length: int) -> None:
        # The access is random, so reading ahead would decode records that are not needed.
        self.reader = array_record().ArrayRecordReader(
            str(path), options="readahead_buffer_size:0", file_reader_buffer_size=32768
        )
        if self.reader.num_records() != length:
            raise ValueError(f"{self.reader.num_records()} records where dataset_info.json says {length}")

    def read(self, positions: np.ndarray) -> list[bytes]:
        return self.reader.read(positions.tolist())


class TFRecordShard:
    """One TFRECORD file. Raises ValueError where it is not whole."""

    def __init__(self, path: Path, length: int) -> None:
        self.path, self.spans = path, tfrecord.scan(path)
        if len(self.spans) != length:
            raise ValueError(f"{len(self.spans)} records where dataset_info.json says {length}")

    def read(self, positions: np.ndarray) -> list[bytes]:
        return tfrecord.read(self.path, self.spans[positions])


SHARDS = {"array_record": ArrayRecordShard, "tfrecord": TFRecordShard}


@functools.lru_cache(maxsize=512)  # ImageNet has 1,024 shards; many systems allow 1,024 open files
def _shard(format: str, path: Path, length: int, stamp: tuple) -> ArrayRecordShard | TFRecordShard:
    return SHARDS[format](path, length)


@dataclasses.dataclass(frozen=True)
class Shards:
    """The files of one split."""

    name: str
    paths: tuple[Path, ...]
    lengths: tuple[int, ...]
    """Records in each file, from dataset_info.json."""
    format: str

    def __len__(self) -> int:
        return sum(self.lengths)

    def stamps(self) -> list:
        """Return a JSON value that changes when a file changes."""
        return [[os.path.abspath(path), *self._stamp(path)] for path in self.paths]

    def _stamp(self, path: Path) -> tuple[int, int]:
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise damaged(self.name, path, "the file is missing") from None
        return stat.st_size, stat.st_mtime_ns

    def read(self, shard: int, positions: np.ndarray, decode: Callable[[Any], Any]) -> list:
        """Read records of one file. `decode` gets the features of each (the map of a tf.train.Example).

        Raises UserError that names the file if it is damaged or its content does not match the description.
        """
        from tensorflow_datasets.proto import tf_example_pb2

        path = self.paths[shard]
        try:
            payloads = _shard(self.format, path, self.lengths[shard], self._stamp(path)).read(positions)
            example = tf_example_pb2.Example  # pyright: ignore[reportAttributeAccessIssue]  # protobuf makes it at run time
            return [decode(example.FromString(payload).features.feature) for payload in payloads]
        except UserError:
            raise
        except PermissionError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except Exception as error:  # protobuf and Pillow can raise anything for damaged content
            raise damaged(self.name, path, error) from error


@dataclasses.dataclass(frozen=True)
class Records:
    """A Store of the files of one split; see `train.data.split.Store`."""

    shards: Shards
    image_key: str
    label_key: str
    shape: tuple[int, int, int]
    fit: str | None
    scaled: bool = False

    def __len__(self) -> int:
        return len(self.shards)

    def fingerprint(self) -> list:
        keys = (self.image_key, self.label_key)
        return [images.STAMP, self.shards.stamps(), *keys, self.shape, self.fit, *images.SCALED * self.scaled]

    def groups(self) -> None:
        return None  # such a set names none

    def keys(self) -> None:
        return None  # a version of a data set never changes

    def digest(self, indices: np.ndarray) -> str:
        sizes = [[path.name, path.stat().st_size] for path in self.shards.paths]
        found = hashlib.blake2b(json.dumps(sizes).encode() + indices.astype("<i8").tobytes(), digest_size=16)
        return f"records {found.hexdigest()}"

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.empty((len(indices), *self.shape), np.uint8), np.empty(len(indices), np.int32)
        for at, rows in self.decoded(indices):
            x[at], y[at] = [image for image, _ in rows], [label for _, label in rows]
        return x, y

    def decoded(self, indices: np.ndarray) -> Iterator[tuple[np.ndarray, list]]:
        """Yield which of the `indices` lie in one file, and what `_decode` makes of their records."""
        ends = np.cumsum(self.shards.lengths)
        shards = np.searchsorted(ends, indices, side="right")
        for shard in np.unique(shards):
            at = np.flatnonzero(shards == shard)
            positions = indices[at] - (ends[shard] - self.shards.lengths[shard])
            yield at, self.shards.read(shard, positions, self._decode)

    def labels(self) -> np.ndarray:
        def label_of(feature: Any) -> int:
            return feature[self.label_key].int64_list.value[0]

        def read_all() -> cache.Arrays:
            found = [
                self.shards.read(shard, np.arange(length), label_of) for shard, length in enumerate(self.shards.lengths)
            ]
            return {"y": np.array([label for labels in found for label in labels], np.int32)}

        # Every record has to be read for its label, so labels are kept as images are.
        stamps = [self.shards.stamps(), self.label_key]
        return cache.cached(f"{self.shards.name}-{self.shards.paths[0].name}-labels", stamps, read_all)["y"]

    def _decode(self, feature: Any) -> tuple[np.ndarray, Any]:
        encoded = feature[self.image_key].bytes_list.value[0]
        pixels = images.decode_to(encoded, self.shape, self.fit, self.scaled)
        return pixels, feature[self.label_key].int64_list.value[0]


def locate(name: str, root: Path, embedded: Iterable[str] = IMAGES) -> Path:
    """Return the folder of a prepared data set by its TFDS name (`mnist`, `emnist/balanced`, `mnist:3.0.1`).

    Without a version in the name it is the newest one. embedded: further names to suggest for an unknown name.
    """
    full, _, version = name.partition(":")
    held = prepared(root)
    if full in held:
        for folder in reversed(held[full]):
            if version in ("", folder.name):
                return folder
        raise unknown(f"version of {full} (prepared in {root})", version, [folder.name for folder in held[full]])
    if forms := [other for other in held if other.startswith(f"{full}/")]:
        if _has_one_form(full):
            return locate(forms[0] + name.removeprefix(full), root, embedded)
        raise UserError(f"{full} has several configs; prepared in {root}: {', '.join(forms)}")
    if full.partition("/")[0] in registered():
        raise UserError(
            f"{name} is not prepared in {root}: run `zoo data prepare {name}`, or set TFDS_DATA_DIR to where it is"
        )
    raise unknown("data set", name, {*embedded, *held, *registered()})


def _information(name: str, folder: Path) -> Any:
    """Return TFDS's DatasetInfo of a prepared data set."""
    for file in (folder / DESCRIPTION, folder / "features.json"):
        try:
            content = parse_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise damaged(name, file, "the file is missing") from None
        except ValueError as error:
            raise damaged(name, file, error) from None
        if foreign := [each for each in _classes(content) if not each.startswith("tensorflow_datasets.")]:
            raise UserError(f"{file} names {foreign[0]!r}, which is no part of TFDS: its code is not run")
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder).info
    except Exception as error:  # protobuf, TFDS and its features raise many types on invalid content
        raise damaged(name, folder / DESCRIPTION, error) from error


def _classes(content: Any) -> Iterator[str]:
    """Yield the Python classes that features.json names. TFDS imports their modules, whichever they are."""
    if isinstance(content, Mapping):
        # The second is protobuf's other name of the first, the third that of older versions of TFDS.
        named = [content.get(key) for key in ("pythonClassName", "python_class_name", "type")]
        yield from (each for each in named if isinstance(each, str) and "." in each)
    if isinstance(content, Mapping | list):
        for inner in content.values() if isinstance(content, Mapping) else content:
            yield from _classes(inner)


def _keys(name: str, features: Any, supervised: Any) -> tuple[str, str]:
    """Return the names of the features that are the image and its class."""
    import tensorflow_datasets as tfds

    columns = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    pictures = [key for key, feature in columns.items() if type(feature) is tfds.features.Image]
    labels = [key for key, feature in columns.items() if isinstance(feature, tfds.features.ClassLabel)]
    if isinstance(supervised, tuple) and supervised[0] in pictures and supervised[1] in labels:
        return supervised
    if len(pictures) == 1 and len(labels) == 1:
        return pictures[0], labels[0]
    if any(isinstance(feature, tfds.features.Text) for feature in columns.values()) and not pictures:
        raise IsText(f"{name} contains text ({', '.join(columns)}), not images: choose a config for text")
    raise UserError(
        f"{name} is not an image classification data set: it has {len(pictures)} images and {len(labels)} classes per "
        f"example ({', '.join(columns) or 'none'})"
    )


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The description of a prepared data set. info: TFDS's DatasetInfo."""

    name: str
    version: str
    info: Any
    splits: dict[str, Shards]


def describe(name: str, embedded: Iterable[str] = IMAGES) -> Prepared:
    """Describe a prepared data set by its name. No records are read yet."""
    folder = locate(name, data_dir(), embedded)
    name = folder.parent.relative_to(data_dir()).as_posix()
    info = _information(name, folder)
    format = info.file_format.file_suffix
    if format not in SHARDS:
        raise UserError(f"{folder} is prepared as {format}; only {' and '.join(SHARDS)} can be read")
    return Prepared(name, folder.name, info, _splits(name, folder, info))


def _splits(name: str, folder: Path, info: Any) -> dict[str, Shards]:
    """Return the files of each split that has examples. UserError where dataset_info.json names other places."""
    splits = {}
    try:
        for split, content in info.splits.items():
            if content.num_examples:
                names = [os.path.relpath(os.fspath(path), folder) for path in content.filepaths]
                paths = tuple(folder / file_name(each, f"{folder / DESCRIPTION}: a shard") for each in names)
                splits[split] = Shards(name, paths, tuple(content.shard_lengths), info.file_format.file_suffix)
    except UserError:
        raise
    except Exception as error:  # TFDS fills in its template of file names, which can hold anything
        raise damaged(name, folder / DESCRIPTION, error) from error
    return splits


def find(name: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of an image data set. No records are read yet."""
    found = describe(name)
    name, features = found.name, found.info.features
    image_key, label_key = _keys(name, features, found.info.supervised_keys)
    image, classes = features[image_key], tuple(features[label_key].names or ())
    if image.np_dtype != np.uint8 or image.shape[-1] not in images.MODES:
        raise UserError(
            f"{name}: its images are {image.np_dtype} {image.shape}; only 8 bits and 1, 3 or 4 channels can be read"
        )
    if size is None and None in image.shape:
        raise UserError(f"{name}: its images differ in size; give data.image_size (pixels), such as 224")
    shape = image.shape if size is None else (size, size, image.shape[-1])
    stores = {
        split: Records(shards, image_key, label_key, shape, fit if size else None, scaled)
        for split, shards in found.splits.items()
    }
    return Found(name, found.version, classes, stores, place=os.path.abspath(data_dir()))
