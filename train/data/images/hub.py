"""Images of `datasets:NAME` (see `train.data.hub`): a column of images and one of classes."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from train.data import cache, decode, hub
from train.data.classes import numbered
from train.data.cut import keys_of
from train.data.images import folder
from train.data.kinds import IsText
from train.data.split import Found
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rows:
    """A Store of the rows of one split; see `train.data.split.Store`."""

    name: str  # of the set and the split, for messages
    rows: Any  # a `datasets.Dataset` of the images alone, not decoded
    stamp: str  # of the library: changes with the data
    contents: np.ndarray  # uint64 (N,), the key of each image
    classes: np.ndarray
    shape: tuple[int, int, int]
    fit: str | None
    scaled: bool = False

    def __len__(self) -> int:
        return len(self.classes)

    def labels(self) -> np.ndarray:
        return self.classes

    def fingerprint(self) -> list:
        classes = self.classes.tolist()
        return [decode.STAMP, self.stamp, classes, self.shape, self.fit, *decode.SCALED * self.scaled]

    def groups(self) -> None:
        return None  # such a set names none

    def keys(self) -> np.ndarray:
        return self.contents

    def digest(self, indices: np.ndarray) -> str:
        return folder.digest(self.contents[indices], self.classes[indices])

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((len(indices), *self.shape), np.uint8)
        for row, (index, content) in enumerate(zip(indices, encoded(self.rows, indices), strict=True)):
            where = f"{self.name}, example {index},"
            with decode.reading(where):
                try:
                    x[row] = decode.decode_to(_bytes(content), self.shape, self.fit, self.scaled)
                except UserError as error:
                    raise UserError(f"{where} {error}") from None
        return x, self.classes[indices]


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of a set of images."""
    opened = hub.find(path)
    images = [column for column, feature in opened.features.items() if hub.kind_of(feature) == "Image"]
    if len(images) != 1:
        kind, hint = (UserError, "") if images else (IsText, ": choose a config for text")
        raise kind(f"{opened.name} has {len(images)} columns of images, one is needed{hint}; it has {opened.shown()}")
    label = hub.label_column(opened)
    if label is None:
        raise UserError(f"{opened.name} has no column of classes, such as label; it has {opened.shown()}")
    held, names = hub.labels(opened, label)
    class_names, y = numbered(opened.name, held, names)
    undecoded = hub.library(path).Image(decode=False)
    rows = {split: opened.splits[split].select_columns(images).cast_column(images[0], undecoded) for split in y}
    stamps = {split: str(opened.splits[split]._fingerprint) for split in y}
    known = cache.cached(
        f"{opened.name}-headers", [decode.STAMP, sorted(stamps.items())], lambda: _headers(opened, rows)
    )
    shape = folder.shape_of(opened.name, known["rows"], size, lambda number: f"image {number}")
    stores, start = {}, 0
    for split in y:
        keys = known["keys"][start : start + len(y[split])]
        own = f"{opened.name}, {split}"
        stores[split] = Rows(own, rows[split], stamps[split], keys, y[split], shape, fit if size else None, scaled)
        start += len(keys)
    place = Path(path).expanduser()
    return Found(opened.name, "", class_names, stores, place=str(place.absolute()) if place.exists() else "")


def encoded(rows: Any, indices: np.ndarray) -> list[dict[str, Any]]:
    """The images at these rows: {"bytes": the content of a file, or None; "path": where it lies otherwise}."""
    [column] = rows.column_names
    return rows[indices.tolist()][column]


def _bytes(content: dict[str, Any] | None) -> bytes:
    if content is None or (content["bytes"] is None and not content["path"]):
        raise ValueError("it has no image")
    return Path(content["path"]).read_bytes() if content["bytes"] is None else content["bytes"]


def _headers(opened: hub.Opened, rows: dict[str, Any], block: int = 512) -> cache.Arrays:
    """Return {"rows": int32 (N, 3), "keys": uint64 (N,)}: height, width, whether it has color, and a key of each image.

    The splits stand behind each other.
    """
    found, keys = [], [np.zeros(0, np.uint64)]
    for split, part in rows.items():
        for start in range(0, len(part), block):
            indices = np.arange(start, min(start + block, len(part)))
            for index, content in zip(indices, encoded(part, indices), strict=True):
                with decode.reading(f"{opened.name}, {split}, example {index},"):
                    image = _bytes(content)
                    found.append(decode.header(io.BytesIO(image)))
                    keys.append(keys_of([image]))
    return {"rows": np.array(found, np.int32), "keys": np.concatenate(keys)}
