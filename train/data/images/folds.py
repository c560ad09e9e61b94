"""Cross-validation: the training split is divided into folds, and each fold is the validation split once."""

from typing import NamedTuple

import numpy as np

from train.data.split import Arrays, Split
from zoo.errors import UserError


class Fold(NamedTuple):
    """Positions in the divided split, ascending."""

    train: np.ndarray
    validation: np.ndarray


def cut(split: Split, folds: int, seed: int, name: str, class_names: tuple[str, ...]) -> list[Fold]:
    """Divide `split` with scikit-learn's StratifiedKFold, shuffled by `seed`; StratifiedGroupKFold where it has groups.

    All folds have the same number of training examples, so that they can be replicas of one program: where the sizes
    differ, the larger ones leave out their last example. Raises UserError where a class has fewer examples than there
    are folds, and for a data set that is too large for memory, whose labels are not known.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # takes two seconds to import

    if not isinstance(split.store, Arrays):
        raise UserError(f"{name} is streamed from disk, so its labels are not known beforehand and it has no folds")
    labels = split.store.y[split.indices]
    counts = np.bincount(labels, minlength=len(class_names))
    rarest = min(np.flatnonzero(counts), key=lambda label: counts[label])
    if counts[rarest] < folds:
        few = f"class {class_names[rarest]!r} of {name} has {counts[rarest]} training examples"
        raise UserError(f"{few}: not enough for {folds} folds")
    kind, groups = StratifiedKFold if split.groups is None else StratifiedGroupKFold, split.groups
    if groups is not None and (count := len(np.unique(groups))) < folds:
        raise UserError(f"{name} has {count} groups of training examples: not enough for {folds} folds")
    found = [Fold(*each) for each in kind(folds, shuffle=True, random_state=seed).split(labels, labels, groups)]
    if not all(len(fold.validation) for fold in found):
        raise UserError(f"{name} has groups too large for {folds} folds: one fold would be empty")
    size = min(len(fold.train) for fold in found)
    return [Fold(fold.train[:size], fold.validation) for fold in found]
