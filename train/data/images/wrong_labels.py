"""Training labels that are wrong on purpose, for studies of networks that learn by heart (Zhang et al. 2017)."""

import dataclasses
import hashlib

import numpy as np

from train.data.split import Arrays, Split, Store
from zoo.errors import UserError

WRONG_FOLDS = "folds are held out from the training examples, of which some would have wrong labels"
PURPOSE = 1
"""Keeps these draws apart from those that cut the splits with the same seed."""


@dataclasses.dataclass(frozen=True)
class Relabelled:
    """A Store read from files whose examples have the labels y, int32 (N,), instead of their own."""

    store: Store
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.store.shape

    def __len__(self) -> int:
        return len(self.store)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.store.read(indices)[0], self.y[indices]

    def labels(self) -> np.ndarray:
        return self.y

    def fingerprint(self) -> list:
        return [*self.store.fingerprint(), self._digest_of_labels(np.arange(len(self)))]

    def keys(self) -> np.ndarray | None:
        return self.store.keys()

    def groups(self) -> np.ndarray | None:
        return self.store.groups()

    def digest(self, indices: np.ndarray) -> str:
        return f"{self.store.digest(indices)}-{self._digest_of_labels(indices)}"

    def _digest_of_labels(self, indices: np.ndarray) -> str:
        return hashlib.blake2b(self.y[indices].astype("<i4").tobytes(), digest_size=8).hexdigest()


def mislabelled(train: Split, share: float, classes: int, seed: int, name: str) -> Split:
    """Return a training split of which `share` of the examples, to within one, have the label of another class.

    Which examples, and which of the other classes each has, each as likely, is drawn by `seed`. It uses the raw output
    of PCG64, which NumPy promises never to change. UserError for data without two classes.
    """
    if not share:
        return train
    y = train.store.labels()
    if classes < 2 or y.dtype.kind not in "iu":
        raise UserError(f"{name} has no two classes: data.wrong_labels={share} needs them")
    draws = np.random.PCG64([seed, PURPOSE]).random_raw(2 * len(train))
    order, others = np.argsort(draws[: len(train)], kind="stable"), draws[len(train) :]
    chosen = order[: round(share * len(train))]
    wrong, at = y.copy(), train.indices[chosen]
    wrong[at] = (y[at] + 1 + (others[chosen] % np.uint64(classes - 1)).astype(y.dtype)) % classes
    store = train.store
    changed = dataclasses.replace(store, y=wrong) if isinstance(store, Arrays) else Relabelled(store, wrong)
    return Split(changed, train.indices)
