"""Sets of TFDS that have a mask beside each image, read as `train.data.tfds.read` reads those with a class."""

import dataclasses
import io
import os
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from train.data import decode
from train.data.masks import files
from train.data.split import IGNORED, Found
from train.data.tfds import read
from zoo.errors import UserError


class Masked(NamedTuple):
    """Which features of a set are the image and its mask, and what the classes are called.

    A pixel of the mask holds 1 + the number of its class; 0 is no class.
    """

    image: str
    mask: str
    names: tuple[str, ...]


MASKED = {
    "oxford_iiit_pet": Masked("image", "segmentation_mask", ("pet", "background", "border")),
    "scene_parse150": Masked("image", "annotation", tuple(map(str, range(1, 151)))),
}
"""Name in TFDS -> what to read. The 150 classes of scene_parse150 are numbered as its authors number them."""


def is_masked(name: str) -> bool:
    """Whether the set of that name, perhaps with a config and a version, is one of MASKED."""
    return name.partition("/")[0].partition(":")[0] in MASKED


@dataclasses.dataclass(frozen=True)
class MaskRecords(read.Records):
    """A Store of the files of one split; `label_key` is the mask."""

    size: int | None = None

    @property
    def label_bytes(self) -> int:
        return self.shape[0] * self.shape[1]

    def labels(self) -> np.ndarray:
        return np.zeros(len(self), np.int32)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.empty((len(indices), *self.shape), np.uint8), np.empty((len(indices), *self.shape[:2]), np.uint8)
        for at, rows in self.decoded(indices):
            x[at], y[at] = [image for image, _ in rows], [mask for _, mask in rows]
        return x, y

    def _decode(self, feature: Any) -> tuple[np.ndarray, np.ndarray]:
        encoded = feature[self.image_key].bytes_list.value[0]
        with Image.open(io.BytesIO(feature[self.label_key].bytes_list.value[0])) as picture:
            mask = np.asarray(picture)
        mask = (mask if mask.ndim == 2 else mask[..., 0]).astype(np.uint8)
        numbered = np.where(mask == 0, IGNORED, mask - np.uint8(1)).astype(np.uint8)
        pixels = decode.decode_to(encoded, self.shape, self.fit, self.scaled)
        return pixels, files.bring(numbered, self.size, self.fit or "resize")


def find(name: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of one of the sets in MASKED. No records are read yet."""
    own = MASKED[name.partition("/")[0].partition(":")[0]]
    found = read.describe(name)
    image = found.info.features[own.image]
    if size is None and None in image.shape:
        raise UserError(f"{found.name}: its images differ in size; give data.image_size (pixels), such as 128")
    shape = image.shape if size is None else (size, size, image.shape[-1])
    how = (own.image, own.mask, shape, fit if size else None, scaled, size)
    stores = {split: MaskRecords(shards, *how) for split, shards in found.splits.items()}
    return Found(found.name, found.version, own.names, stores, place=os.path.abspath(read.data_dir()))
