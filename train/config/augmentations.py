"""The table of augmentations beside those of the schema. `train.data.images` enters those of this project."""

from train.config.registry import Registry
from train.config.schema import AUGMENTATIONS
from train.config.ways import Target
from zoo.errors import UserError

OWN_AUGMENTATIONS: Registry[Target] = Registry("augmentation")
"""Name -> `augmentation(key, x, labels, strength)`; see `train.data.images.register_augmentation`."""


def augmentation_names() -> tuple[str, ...]:
    """The names of all augmentations."""
    return (*AUGMENTATIONS, *OWN_AUGMENTATIONS)


def register_own(name: str, function: Target) -> Target:
    """Enter a user's own augmentation. Raises UserError for a taken name."""
    if name in AUGMENTATIONS:
        raise UserError(f"the augmentation name {name!r} is taken: choose another name")
    return OWN_AUGMENTATIONS.register(name, function)
