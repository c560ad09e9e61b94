"""From the labels of the user's own data to classes from 0: words are sorted, whole numbers are classes already."""

from collections.abc import Mapping

import numpy as np

from zoo.errors import UserError

MOST_CLASSES = 100_000  # a label beyond is an identifier


def numbered(
    name: str, labels: Mapping[str, np.ndarray], names: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the names of the classes, and the labels of each split as int32 from 0.

    labels: (N,) of each split. Words are numbered in sorted order, or as in `names`. Whole numbers are classes already.
    """
    if labels["train"].dtype.kind == "U":
        if any(y.dtype.kind != "U" for y in labels.values()):
            raise UserError(f"{name}: the labels of one split are words, and those of another numbers")
        known = tuple(sorted(set(labels["train"].tolist()))) if names is None else names
        for split, y in labels.items():
            if strange := sorted(set(y.tolist()) - set(known)):
                other = "train does not" if split != "train" else "it is not among the names of the classes"
                raise UserError(f"{name}: {split} has the class {strange[0]!r}, and {other}")
        position = {word: number for number, word in enumerate(known)}
        numbered = {split: np.array([position[word] for word in y.tolist()], np.int32) for split, y in labels.items()}
    else:
        if any(y.dtype.kind == "U" for y in labels.values()):
            raise UserError(f"{name}: the labels of one split are words, and those of another numbers")
        count = max(int(y.max()) for y in labels.values()) + 1 if names is None else len(names)
        count = max(count, 0)
        for split, y in labels.items():
            if y.min() < 0 or y.max() >= count or count > MOST_CLASSES:
                wrong = int(y.min()) if y.min() < 0 else int(y.max())
                raise UserError(f"{name}: {split} has the label {wrong}: classes are numbered from 0 to {_last(names)}")
        known = tuple(map(str, range(count))) if names is None else names
        numbered = {split: y.astype(np.int32) for split, y in labels.items()}
    if len(known) < 2:
        raise UserError(f"{name} has only one class, {', '.join(known)!r}: at least two are needed")
    return known, numbered


def _last(names: tuple[str, ...] | None) -> str:
    return f"{MOST_CLASSES - 1:,} at most" if names is None else str(len(names) - 1)
