"""`load`: load images and their masks by the name of the set, with fixed train, validation and test splits."""

from functools import partial
from pathlib import Path

from train.config import Data
from train.config.data import is_scenes
from train.data import kinds
from train.data.images import catalog
from train.data.masks import folder, tfds
from train.data.scenes import sets as scenes
from train.data.split import Found
from zoo.errors import UserError

SOURCES = "scenes/segment, folder:PATH with PATH/images and PATH/masks, or a TFDS set with masks"


def find(data: Data) -> Found:
    """Find a set by its name. Images and masks in files are not read yet, but for the classes in the masks."""
    if is_scenes(data.name):
        if scenes.view_of(data.name) != "segment":
            raise UserError(f"{data.name} has one class for each scene; scenes/segment has one for each pixel")
        return scenes.find(data)
    how = data.image_size, data.fit, data.decode == "scaled"
    if kinds.prefix(data.name) == "folder":
        return folder.find(data.name.partition(":")[2], *how)
    if tfds.is_masked(data.name):
        return tfds.find(data.name, *how)
    known = ", ".join(tfds.MASKED)
    raise UserError(f"{data.name} has no masks that can be read: the task segment needs {SOURCES} ({known})")


def has_masks(name: str) -> bool:
    """Whether the set of that name has masks. Nothing is read."""
    if kinds.prefix(name) == "folder":
        return folder.is_masked(Path(name.partition(":")[2]).expanduser())
    return tfds.is_masked(name) or (is_scenes(name) and scenes.view_of(name) == "segment")


load = partial(catalog.load, finder=find)
"""(Data) -> Dataset, whose splits have masks for labels; see `train.data.images.catalog.load`."""
