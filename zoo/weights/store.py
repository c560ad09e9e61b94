"""The files of weights by name: found in a mirror, in a package or in the user's cache, or downloaded. Always checked.

Every place has one layout, NAME/FILE with NAME/checked.json, so that a folder that `zoo weights fetch --to` writes is a
mirror as it is. A download goes into a temporary folder, which gets its name only when every file has its hash.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from zoo.errors import UserError
from zoo.files import read_json, write_atomically, writing
from zoo.weights import hub
from zoo.weights.table import HUB, PACKAGE, Row

MIRROR = "ZOO_WEIGHTS"
CHECKED = "checked.json"
FOLDER = "pretrained"  # in a package
BY_TABLE, BY_HUB = "the SHA-256 in the table", "the hash that the hub states for the commit"
BLOCK = 1 << 20


def cache() -> Path:
    """Return the user's own folder of weights: weights/ in $ZOO_CACHE_DIR, else in the system's cache folder."""
    return Path(os.environ.get("ZOO_CACHE_DIR") or platformdirs.user_cache_dir("zoo")) / "weights"


def mirror() -> Path | None:
    """Return the folder that ZOO_WEIGHTS names. UserError where there is none."""
    if not (text := os.environ.get(MIRROR)):
        return None
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise UserError(f"{MIRROR}: there is no folder {folder}")
    return folder


def folder_of(row: Row) -> Path:
    """Return the folder with the files of a row, each with the right hash. Download them if they are nowhere here.

    The mirror is asked first, then the package that brings the row, then the cache. UserError for a file that is not
    the row's: no other one is taken in its place.
    """
    found = local(row)
    if found is not None:
        check(row, found)
        return found
    if row.source.startswith(PACKAGE):
        module = row.source.removeprefix(PACKAGE)
        raise UserError(f"{row.name} comes with the package {module.replace('_', '-')}, which is not installed here")
    if hub.is_offline():
        names = " or ".join(f"{name}=1" for name in hub.OFFLINE)
        raise UserError(
            f"{row.name} is not in {cache()}, and {names} forbids the network: zoo weights fetch {row.name}, with a "
            f"network, or {MIRROR}=DIR for a folder that has it"
        )
    return fetch(row, cache())


def local(row: Row) -> Path | None:
    """Return the folder of a row on this machine, unchecked; None where it is nowhere."""
    roots = [mirror(), cache()]
    if row.source.startswith(PACKAGE):
        roots.insert(1, _package(row.source.removeprefix(PACKAGE)))
    for root in roots:
        if root is not None and (root / row.name).is_dir():
            return root / row.name
    return None


def _package(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / FOLDER


def check(row: Row, folder: Path) -> str:
    """Compare every file of a row in `folder` with its hash, and return what stated it. UserError for another file."""
    record = _record(row, folder)
    against = BY_TABLE
    for name, facts in row.files.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{folder} lacks {name}, a file of {row.name}: zoo weights fetch {row.name} gets it")
        expected = facts.sha256
        if expected is None:
            expected = record.get(name)
            against = BY_HUB if name == row.file else against
        if expected is None:
            raise UserError(
                f"{folder}: nothing states the SHA-256 of {name}, neither the table nor {CHECKED} beside it, which "
                "`zoo weights fetch NAME --to DIR` writes"
            )
        _require(row, path, facts.bytes, expected, f"remove {folder} to get it again")
    return against


def _record(row: Row, folder: Path) -> dict[str, str]:
    """Return the hashes by file that were checked at the download. UserError where it was of another revision."""
    path = folder / CHECKED
    if not path.is_file():
        return {}
    content = read_json(path)
    try:
        if content["revision"] != row.revision:
            raise UserError(
                f"{folder} has the revision {content['revision']}, and {row.name} is now {row.revision}: "
                f"zoo weights fetch {row.name}"
            )
        return {str(name): str(facts["sha256"]) for name, facts in content["files"].items()}
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{path} is not a record of checked files: remove {folder} to get it again") from None


def _require(row: Row, path: Path, size: int | None, sha256: str, remedy: str) -> None:
    there = path.stat().st_size
    if size is not None and there != size:
        raise UserError(f"{path} has {there:,} bytes, and {path.name} of {row.name} has {size:,}: {remedy}")
    if (found := sha256_of(path)) != sha256:
        raise UserError(f"{path} has the SHA-256 {found}, and {path.name} of {row.name} has {sha256}: {remedy}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file. UserError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def git_hash_of(path: Path) -> str:
    """Return the hash that Git gives a file; it is the hub's ETag of a small one."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def fetch(row: Row, root: Path) -> Path:
    """Put the files of a row into root/NAME and return that folder. What is there already, and right, stays.

    Another place on this machine is copied from before the hub is asked. UserError leaves root/NAME as it was.
    """
    folder, part = root / row.name, root / f".{row.name}.part"
    with _alone(root, row):
        if folder.is_dir():
            with contextlib.suppress(UserError):
                check(row, folder)
                return folder
        here = local(row)
        with writing(folder):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
        try:
            elsewhere = None if here == folder else here
            record = _download(row, part) if elsewhere is None else _copy(row, elsewhere, part)
            write_atomically(part / CHECKED, json.dumps(record, indent=2) + "\n")
            with writing(folder):
                shutil.rmtree(part / ".cache", ignore_errors=True)  # the library's own notes
                if folder.exists():
                    shutil.rmtree(folder)
                os.replace(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


@contextlib.contextmanager
def _alone(root: Path, row: Row) -> Iterator[None]:
    """Let one process at a time write a row."""
    with writing(root / row.name):
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / f".{row.name}.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _copy(row: Row, here: Path, part: Path) -> dict[str, Any]:
    against = check(row, here)
    _require_room(row, part, sum((here / name).stat().st_size for name in row.files))
    with writing(part):
        for name in row.files:
            shutil.copyfile(here / name, part / name)
    checked = _record(row, here) | {name: facts.sha256 for name, facts in row.files.items() if facts.sha256}
    for name in row.files:
        _require(row, part / name, None, str(checked[name]), "the copy failed")
    return _new_record(row, part, against)


def _download(row: Row, part: Path) -> dict[str, Any]:
    """Download the files of a row. Each is refused by what the hub says of it, if that is wrong, and then by itself."""
    if not row.source.startswith(HUB):
        raise UserError(f"{row.name} is nowhere on this machine, and only a package brings it")
    if row.licence is None:
        raise UserError(
            f"{row.name}: its owner states no licence, so it is not downloaded by name; "
            f"{row.place} takes it on your own responsibility"
        )
    if hub.is_offline():
        raise UserError(f"{row.name} must be downloaded, and {' or '.join(hub.OFFLINE)} forbids the network")
    repository, revision = row.source.removeprefix(HUB), str(row.revision)
    remotes = {name: hub.describe(row.name, repository, revision, name) for name in row.files}
    for name, remote in remotes.items():
        facts = row.files[name]
        if remote.commit != revision:
            raise UserError(f"{row.name}: the hub sent {name} of the commit {remote.commit}, not of {revision}")
        if facts.sha256 and len(remote.etag) == 64 and remote.etag != facts.sha256:
            raise UserError(f"{row.name}: the hub has {name} with the SHA-256 {remote.etag}, not {facts.sha256}")
        if facts.sha256 is None and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", remote.etag):
            raise UserError(f"{row.name}: the hub states no hash of {name} (its ETag is {remote.etag[:80]!r})")
        if None not in (facts.bytes, remote.bytes) and facts.bytes != remote.bytes:
            raise UserError(f"{row.name}: the hub has {name} with {remote.bytes:,} bytes, not {facts.bytes:,}")
    _require_room(row, part, sum(remote.bytes or 0 for remote in remotes.values()))
    for name, remote in remotes.items():
        path = hub.download_file(row.name, repository, revision, name, part)
        _require_as_stated(row, path, remote)
    return _new_record(row, part, BY_TABLE if row.sha256 else BY_HUB)


def _require_as_stated(row: Row, path: Path, remote: hub.Remote) -> None:
    """Raise UserError where a download has not the hash of the table, or without one that of the hub's ETag."""
    again = "try again; nothing was kept"
    facts = row.files[path.name]
    if facts.sha256 is not None:
        _require(row, path, facts.bytes, facts.sha256, again)
    elif len(remote.etag) == 64:
        _require(row, path, remote.bytes, remote.etag, again)
    elif (found := git_hash_of(path)) != remote.etag:
        raise UserError(
            f"{path.name} of {row.name} has the Git hash {found}, and the hub states {remote.etag}: {again}"
        )


def _require_room(row: Row, part: Path, needed: int) -> None:
    free = shutil.disk_usage(part).free
    if free < needed:
        raise UserError(
            f"{row.name} needs {needed / 1e6:,.1f} MB, and {part.parent} has {free / 1e6:,.1f} MB left: another folder "
            "with ZOO_CACHE_DIR or zoo weights fetch --to DIR"
        )


def _new_record(row: Row, folder: Path, against: str) -> dict[str, Any]:
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in row.files}
    return {
        "name": row.name,
        "source": row.source,
        "revision": row.revision,
        "licence": row.licence,
        "checked_against": against,
        "files": files,
    }
