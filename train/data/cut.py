"""Cut examples in two: which of them a data set without such a split holds out for validation or testing.

A set that never changes (an embedded one, a version of TFDS) is cut by position, with the same share of every class. A
user's own files are cut by a hash of each example's content: what is added, removed or renamed moves nothing else, so
an example that a network was trained on never turns up in its test split, nor does a copy of it. Documents that are
revised, as Python's are, are cut by a hash of their titles.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

MIXING = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Shifts and factors of SplitMix64's output function (Steele, Lea and Flood 2014, "Fast splittable PRNGs")."""


def by_position(
    indices: np.ndarray, share: float, seed: int, classes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` (ascending) in two, the second with `share` of them.

    classes: (N,), of the example at each of `indices`: each class is split so to within one example; None: only the
    whole is. It uses the raw output of PCG64, which NumPy promises never to change, so the split is always the same.
    """
    classes = np.zeros(len(indices)) if classes is None else classes
    order = np.lexsort((np.random.PCG64(seed).random_raw(len(indices)), classes))
    taken = np.diff(np.floor(np.arange(len(indices) + 1) * share)) > 0
    return np.sort(indices[order[~taken]]), np.sort(indices[order[taken]])


def by_group(
    indices: np.ndarray, share: float, groups: np.ndarray, classes: np.ndarray, purpose: str | None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` (ascending) in two, the second with about `share` of the groups: no group is in both.

    groups (int64), classes: (N,), of the example at each of `indices`. purpose: as for `by_hash`, by the numbers of the
    groups; None: as `by_position`, among the groups in ascending order.
    """
    if purpose is not None:
        return by_hash(indices, share, groups.astype(np.uint64), classes, purpose, seed, whole=True)
    numbers = np.unique(groups)
    taken = np.isin(groups, by_position(numbers, share, seed)[1])
    return indices[~taken], indices[taken]


def by_hash(
    indices: np.ndarray,
    share: float,
    keys: np.ndarray,
    classes: np.ndarray,
    purpose: str,
    seed: int = 0,
    *,
    whole: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Split `indices` (ascending) in two: an example belongs to the second part if its hash is in the lowest `share`.

    keys (uint64), classes: (N,), of the example at each of `indices`; see `keys_of`. purpose, seed: cuts for
    another purpose or with another seed are independent. The sizes are near the share, as those of independent draws
    are. Each part has at least one example of a class with several keys, and of a set with several, unless share is 0.
    whole: also keep equal keys of several classes together, so that a part may lack a class.
    """
    salt = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    draws = _mixed(keys ^ np.frombuffer(salt, "<u8")[0])
    taken = draws < np.uint64(min(int(share * 2**64), 2**64 - 1))
    groups = [np.flatnonzero(classes == label) for label in np.unique(classes)]
    for own in [*groups, np.arange(len(indices))] if 0 < share < 1 else ():
        ordered = np.unique(draws[own])
        moved = np.arange(len(indices)) if whole else own
        if len(ordered) > 1 and not taken[own].any():
            taken[moved] |= draws[moved] == ordered[0]
        elif len(ordered) > 1 and taken[own].all():
            taken[moved] &= draws[moved] != ordered[-1]
    return indices[~taken], indices[taken]


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return uint64 values in which every bit depends on every bit of `values` (uint64)."""
    values = values.astype(np.uint64)
    for shift, factor in MIXING:
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def keys_of(contents: Iterable[bytes]) -> np.ndarray:
    """Return a key, uint64 (N,), for each content. Equal ones have equal keys, so they are never parted."""
    joined = b"".join(hashlib.blake2b(content, digest_size=8).digest() for content in contents)
    return np.frombuffer(joined, "<u8").astype(np.uint64)


def text_keys(*columns: Sequence[str]) -> np.ndarray:
    """Return the keys of examples of one text or several, by columns of N texts."""
    return keys_of("\0".join(texts).encode() for texts in zip(*columns, strict=True))


def array_keys(x: np.ndarray) -> np.ndarray:
    """Return the keys of the examples x (N, ...)."""
    return keys_of(np.ascontiguousarray(row).tobytes() for row in x)
