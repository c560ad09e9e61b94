"""Image classification sets that TFDS prepared, read without TensorFlow from array_record or TFRECORD files."""

import dataclasses
import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from train.data import images, tfrecord
from train.data.embedded import EMBEDDED
from zoo.errors import UserError, unknown

VERSION = re.compile(r"\d+\.\d+\.\d+")


def data_dir() -> Path:
    """Where TFDS keeps prepared sets: $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(root: Path) -> dict[str, list[Path]]:
    """Name (`mnist`, `emnist/balanced`) of each prepared set below `root`, and its version folders, newest last."""
    found: dict[str, list[Path]] = {}
    for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json"):
        for file in root.glob(pattern):
            if VERSION.fullmatch(file.parent.name):
                found.setdefault(file.parent.parent.relative_to(root).as_posix(), []).append(file.parent)
    for folders in found.values():
        folders.sort(key=lambda folder: [int(part) for part in folder.name.split(".")])
    return dict(sorted(found.items()))


def registered() -> list[str]:
    """Every name TFDS can prepare (imports TFDS: half a second and more)."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def damaged(name: str, path: Path, reason: object) -> UserError:
    """The line for a file of a prepared set that cannot be used."""
    reason = " ".join(str(reason).split())[:160]
    return UserError(f"{path} is damaged ({reason}): delete {path.parent} and run `zoo data prepare {name}`")


class ArrayRecordShard:
    """One array_record file. Raises ValueError or RuntimeError where it is not whole."""

    def __init__(self, path: Path, length: int) -> None:
        from array_record.python import array_record_module

        # Random access: reading ahead would only decode what is not asked for.
        self.reader = array_record_module.ArrayRecordReader(
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
class Records:
    """A Store over the files (shards) of one split; see `train.data.split.Store`."""

    name: str
    paths: tuple[Path, ...]
    lengths: tuple[int, ...]
    """Records in each file, as dataset_info.json has them."""
    format: str
    image_key: str
    label_key: str
    shape: tuple[int, int, int]
    fit: str | None

    def __len__(self) -> int:
        return sum(self.lengths)

    def fingerprint(self) -> list:
        files = [[path.name, *self._stamp(path)] for path in self.paths]
        return [files, self.image_key, self.label_key, self.shape, self.fit]

    def _stamp(self, path: Path) -> tuple[int, int]:
        try:
            stat = path.stat()
        except FileNotFoundError:
            raise damaged(self.name, path, "the file is missing") from None
        return stat.st_size, stat.st_mtime_ns

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.empty((len(indices), *self.shape), np.uint8), np.empty(len(indices), np.int32)
        ends = np.cumsum(self.lengths)
        shards = np.searchsorted(ends, indices, side="right")
        for shard in np.unique(shards):
            at = np.flatnonzero(shards == shard)
            positions = indices[at] - (ends[shard] - self.lengths[shard])
            x[at], y[at] = self._read_shard(self.paths[shard], self.lengths[shard], positions)
        return x, y

    def _read_shard(self, path: Path, length: int, positions: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
        from google.protobuf.message import DecodeError
        from tensorflow_datasets.proto import tf_example_pb2

        x, y = [], []
        try:
            for payload in _shard(self.format, path, length, self._stamp(path)).read(positions):
                feature = tf_example_pb2.Example.FromString(payload).features.feature
                pixels = images.decode(feature[self.image_key].bytes_list.value[0], self.shape[2])
                x.append(images.bring(pixels, self.shape, self.fit))
                y.append(feature[self.label_key].int64_list.value[0])
        except UserError:
            raise
        except PermissionError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None
        except (OSError, ValueError, RuntimeError, IndexError, SyntaxError, DecodeError) as error:
            raise damaged(self.name, path, error) from error
        return x, y


def locate(name: str, root: Path) -> Path:
    """Folder of a prepared set by its TFDS name (`mnist`, `emnist/balanced`, `mnist:3.0.1`), newest version first."""
    full, _, version = name.partition(":")
    held = prepared(root)
    if full in held:
        for folder in reversed(held[full]):
            if version in ("", folder.name):
                return folder
        raise unknown(f"version of {full} (prepared in {root})", version, [folder.name for folder in held[full]])
    if forms := [other for other in held if other.startswith(f"{full}/")]:
        raise UserError(f"{full} has several forms; prepared in {root}: {', '.join(forms)}")
    if full.partition("/")[0] in registered():
        raise UserError(
            f"{name} is not prepared in {root}: run `zoo data prepare {name}`, or set TFDS_DATA_DIR to where it is"
        )
    raise unknown("data set", name, {*EMBEDDED, *held, *registered()})


def _information(name: str, folder: Path) -> Any:
    """TFDS's DatasetInfo of a prepared set."""
    for file in (folder / "dataset_info.json", folder / "features.json"):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise damaged(name, file, "the file is missing") from None
        except ValueError as error:
            raise damaged(name, file, error) from None
    import tensorflow_datasets as tfds

    try:
        return tfds.builder_from_directory(folder).info
    except Exception as error:  # whatever protobuf, TFDS and its features raise on content they do not know
        raise damaged(name, folder / "dataset_info.json", error) from error


def _keys(name: str, features: Any, supervised: Any) -> tuple[str, str]:
    """Which features are the image and its class."""
    import tensorflow_datasets as tfds

    columns = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    pictures = [key for key, feature in columns.items() if type(feature) is tfds.features.Image]
    labels = [key for key, feature in columns.items() if isinstance(feature, tfds.features.ClassLabel)]
    if isinstance(supervised, tuple) and supervised[0] in pictures and supervised[1] in labels:
        return supervised
    if len(pictures) == 1 and len(labels) == 1:
        return pictures[0], labels[0]
    raise UserError(
        f"{name} is not an image classification set: it has {len(pictures)} images and {len(labels)} classes per "
        f"example ({', '.join(columns) or 'none'})"
    )


def find(name: str, size: int | None, fit: str) -> tuple[str, str, tuple[str, ...], dict[str, Records]]:
    """Name, version, class names and the splits of a prepared set; nothing of the records is read yet."""
    folder = locate(name, data_dir())
    name = folder.parent.relative_to(data_dir()).as_posix()
    info = _information(name, folder)
    image_key, label_key = _keys(name, info.features, info.supervised_keys)
    image, classes = info.features[image_key], tuple(info.features[label_key].names or ())
    if image.np_dtype != np.uint8 or image.shape[-1] not in images.MODES:
        raise UserError(
            f"{name}: its images are {image.np_dtype} {image.shape}; 8 bits and 1, 3 or 4 channels are read"
        )
    if size is None and None in image.shape:
        raise UserError(f"{name}: its images differ in size; give data.image_size (pixels), say 224")
    shape = image.shape if size is None else (size, size, image.shape[-1])
    format = info.file_format.file_suffix
    if format not in SHARDS:
        raise UserError(f"{folder} is prepared as {format}; only {' and '.join(SHARDS)} are read")
    splits = {}
    for split, content in info.splits.items():
        if content.num_examples:
            paths = tuple(Path(os.fspath(path)) for path in content.filepaths)
            lengths = tuple(content.shard_lengths)
            splits[split] = Records(name, paths, lengths, format, image_key, label_key, shape, size and fit)
    return name, folder.name, classes, splits
