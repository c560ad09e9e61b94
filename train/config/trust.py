"""Which config files the user has run himself: their paths and hashes, in his own data folder.

A run folder may come from elsewhere, and names the config file that it was made with. Such a file is loaded without
being asked for only where its path and its present hash are in this list.
"""

import json
import os
from pathlib import Path

import filelock
import platformdirs

from zoo.errors import UserError, note
from zoo.files import parse_json, write_atomically

KEPT = 100  # hashes of one file


def store() -> Path:
    """The file that holds the list: {path: [hashes, the newest last]}."""
    folder = os.environ.get("ZOO_DATA_DIR") or platformdirs.user_data_path("zoo")
    return Path(folder) / "trusted.json"


def is_trusted(path: Path, sha256: str) -> bool:
    """Whether the user has run the file at `path` with just this content."""
    return sha256 in _read(store()).get(str(path), [])


def remember(path: Path, sha256: str) -> None:
    """Put a file that the user runs on the list. Where nothing can be written, say so and go on."""
    file = store()
    if is_trusted(path, sha256):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(file.with_suffix(".lock")):
            held = _read(file)
            held[str(path)] = [*held.get(str(path), []), sha256][-KEPT:]
            write_atomically(file, json.dumps(held, indent=1) + "\n")
    except (OSError, UserError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        line = f"cannot write in {file.parent}: {reason}; later commands need --config {path}"
        note(line)


def _read(file: Path) -> dict[str, list[str]]:
    """The list; what is damaged in it counts as not there."""
    try:
        held = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    pairs = held.items() if isinstance(held, dict) else ()
    return {path: hashes for path, hashes in pairs if isinstance(hashes, list)}
