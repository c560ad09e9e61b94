"""Folds: the training split cut in equal parts, each of which is validation once while the others are trained on."""

from typing import NamedTuple

import numpy as np

from train.data.split import Split
from zoo.errors import UserError


class Fold(NamedTuple):
    """Positions in the split that was cut, ascending."""

    train: np.ndarray
    validation: np.ndarray


def cut(split: Split, folds: int, seed: int, name: str, class_names: tuple[str, ...]) -> list[Fold]:
    """scikit-learn's StratifiedKFold over `split`, shuffled by `seed`: every example is validation in just one fold.

    Folds train on equally many examples, so that they can be replicas of one program: where the parts are not of one
    size, those that would train on one more leave out their last example. Raises UserError where a class has
    fewer examples than there are folds, and for a set too large for memory, whose labels are not known.
    """
    from sklearn.model_selection import StratifiedKFold  # two seconds

    if not split.in_memory:
        raise UserError(f"{name} is read from disk while training: its classes are not known before, and so no folds")
    labels = split.store.y[split.indices]
    counts = np.bincount(labels, minlength=len(class_names))
    rarest = min(np.flatnonzero(counts), key=lambda label: counts[label])
    if counts[rarest] < folds:
        few = f"class {class_names[rarest]!r} of {name} has {counts[rarest]} training examples"
        raise UserError(f"{few}: not enough for {folds} folds")
    found = [Fold(*each) for each in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)]
    size = min(len(fold.train) for fold in found)
    return [Fold(fold.train[:size], fold.validation) for fold in found]
