"""A cache of decoded data between runs: uncompressed npz files in the user's cache folder.

A file is used only if it has the current fingerprint of the data that it was made from, and its checksums are right
(zip keeps a CRC-32 of every array). Otherwise it is built again and replaced atomically.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from zoo.errors import UserError
from zoo.files import atomic_file

Arrays = dict[str, np.ndarray]


def folder() -> Path:
    """Return the cache folder: $ZOO_CACHE_DIR, else the one that this system has for the user."""
    return Path(os.environ.get("ZOO_CACHE_DIR") or platformdirs.user_cache_dir("zoo"))


def cached(name: str, fingerprint: list, build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `build` makes, from the cache if it has those of `name` with the same `fingerprint`.

    A cache folder that cannot be written is no error: the arrays are then built each time.
    """
    readable = re.sub(r"[^\w.-]+", "-", name)[-80:]  # the end of a long path says most
    path = folder() / "data" / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.npz"
    stamp = hashlib.sha256(json.dumps([name, fingerprint]).encode()).hexdigest()
    arrays = _read(path, stamp)
    if arrays is None:
        arrays = build()
        with contextlib.suppress(UserError):
            _write(path, stamp, arrays)
    return arrays


def _read(path: Path, stamp: str) -> Arrays | None:
    """Return the arrays in the file; None where it is missing, damaged or made from other data."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            if str(held["stamp"]) != stamp:
                return None
            return {name: held[name] for name in held.files if name != "stamp"}
    except Exception:  # a damaged file can raise anything, and it is only a cache
        return None


def _write(path: Path, stamp: str, arrays: Arrays) -> None:
    with atomic_file(path, make_folder=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, stamp=np.array(stamp), **arrays)
