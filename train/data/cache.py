"""A cache of decoded data between runs: uncompressed npz files in the user's cache folder.

A file is used only if it has the current fingerprint of the data that it was made from, and its checksums are right
(zip keeps a CRC-32 of every array). Otherwise it is built again and replaced atomically. Its zip comment says what it
holds, for `zoo data clean`, which lists and removes what is here.
"""

import contextlib
import hashlib
import json
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import platformdirs

from zoo.errors import UserError
from zoo.files import atomic_file

Arrays = dict[str, np.ndarray]
OWN = re.compile(r"(.*)-[0-9a-f]{8}\.npz")
UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.part")
"""The names of our files: whole ones, and those that `zoo.files.atomic_file` writes."""


def folder() -> Path:
    """Return the cache folder: $ZOO_CACHE_DIR, else the one that this system has for the user."""
    return Path(os.environ.get("ZOO_CACHE_DIR") or platformdirs.user_cache_dir("zoo"))


def place() -> Path:
    """Return the folder of the files."""
    return folder() / "data"


def cached(name: str, fingerprint: list, build: Callable[[], Arrays]) -> Arrays:
    """Return the arrays that `build` makes, from the cache if it has those of `name` with the same `fingerprint`.

    A cache folder that cannot be written is no error: the arrays are then built each time.
    """
    readable = re.sub(r"[^\w.-]+", "-", name)[-80:]  # the end of a long path says most
    path = place() / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.npz"
    stamp = hashlib.sha256(json.dumps([name, fingerprint]).encode()).hexdigest()
    arrays = _read(path, stamp)
    if arrays is None:
        arrays = build()
        with contextlib.suppress(UserError):
            _write(path, name, stamp, arrays)
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


def _write(path: Path, name: str, stamp: str, arrays: Arrays) -> None:
    _remove_unfinished()
    with atomic_file(path, make_folder=True) as temporary, open(temporary, "w+b") as file:
        _lock(file)
        np.savez(file, allow_pickle=False, stamp=np.array(stamp), **arrays)
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = name.encode(errors="replace")[-60_000:]


def _remove_unfinished() -> None:
    """Remove files that a kill has left: of some age, as a file that was just made is not locked yet."""
    for path in place().glob(".*.part"):
        with contextlib.suppress(OSError):  # another process removes it too
            if UNFINISHED.fullmatch(path.name) and time.time() - path.stat().st_mtime > 60 and not _is_locked(path):
                path.unlink()


class Entry(NamedTuple):
    """A file in the cache folder, which this project wrote."""

    path: Path
    holds: str  # the name of the data set and of what was made of it
    bytes: int
    age: float  # seconds since it was written
    state: Literal["whole", "damaged", "unfinished", "being written"]


def entries() -> Iterator[Entry]:
    """Yield every file of ours, sorted by name. Other files, links and folders are left out."""
    try:
        paths = sorted(path for path in place().iterdir() if path.is_file() and not path.is_symlink())
    except OSError:
        return
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # another process has just replaced it
            own, stat = OWN.fullmatch(path.name), path.stat()
            about = stat.st_size, max(0.0, time.time() - stat.st_mtime)
            if UNFINISHED.fullmatch(path.name):
                yield Entry(path, "", *about, "being written" if _is_locked(path) else "unfinished")
            elif own and (name := _name(path)) is not None:
                yield Entry(path, name or own[1], *about, "whole" if name is not False else "damaged")


def remove(entry: Entry) -> bool:
    """Remove a file, unless a process that lives still writes or, on Windows, reads it. Return whether it is gone."""
    if entry.state == "being written" or (UNFINISHED.fullmatch(entry.path.name) and _is_locked(entry.path)):
        return False
    try:
        entry.path.unlink(missing_ok=True)
    except PermissionError:
        return False
    except OSError as error:
        raise UserError(f"cannot remove {entry.path}: {error.strerror}") from None
    return True


def _name(path: Path) -> str | Literal[False] | None:
    """Return what a file says that it holds ("" in those of older versions); False: damaged; None: it is not ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment.decode(errors="replace") if "stamp.npy" in archive.namelist() else None
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _lock(file: IO[bytes]) -> None:
    """Say that this process writes the file, until it is closed or the process ends. Windows does so by itself."""
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_locked(path: Path) -> bool:
    """Return whether a process says that it writes the file."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # no such locks here, or the file is gone
        return False
    return False
