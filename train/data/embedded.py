"""Real data that is included in a dependency, so that the first run needs no network."""

import importlib.util
from pathlib import Path

import numpy as np

from train.data.split import Arrays

VERSION = "1998"
"""Year in which the data set was donated to the UCI repository."""


def digits() -> Arrays:
    """Return scikit-learn's 1,797 handwritten digits: x uint8 (1797, 8, 8, 1), y int32 (1797,).

    The values 0..16 (ink in a 4x4 cell) are scaled to 0..255. Source: E. Alpaydin and C. Kaynak, "Optical
    Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998, test part.
    The file of `sklearn.datasets.load_digits` is read directly, because importing scikit-learn takes two seconds.
    """
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None  # it is a dependency
    assert spec.origin is not None  # it is no namespace package
    package = Path(spec.origin).parent
    table = np.loadtxt(package / "datasets" / "data" / "digits.csv.gz", delimiter=",", dtype=np.int32)
    x = np.round(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return Arrays(x, table[:, 64])


EMBEDDED = {"digits": digits}
"""Name -> function that loads it, for every image data set that needs no preparation."""
IMAGES = (*EMBEDDED, "scenes")
"""Every name of embedded images: also of those that `train.data.scenes` composes from the digits."""
