"""Labelled images: sets by name, augmentations, folds; and the door for a user's own augmentations.

train.data.images.register_augmentation("invert", invert)
"""

from train.config.augmentations import register_own
from train.config.ways import Target

__all__ = ["register_augmentation"]


def register_augmentation(name: str, function: Target) -> Target:
    """Register an augmentation, so that `--data.augment` takes its name, alone or with a strength: invert, invert_0.5.

    function: `function(key, x, labels, strength)`, which returns (x, labels) of the same shapes and types, inside the
        compiled step. x is (B, H, W, C) float32 from 0 to 1, labels (B, classes) are probabilities, strength is a float
        above 0, which is 1 where the name stands alone. Or "package.module:function", imported when a run uses it.

    Raises UserError, one line, for a taken name.
    """
    return register_own(name, function)


register_augmentation("mixup_or_cutmix", "train.data.images.mixing:mixup_or_cutmix")
