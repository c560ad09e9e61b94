"""The one way to write a file (whole or not at all), to read JSON, and to turn a name from data into a path."""

import contextlib
import json
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError

CHECKSUM = "checksum"  # key of a JSON object: of all its other keys
DEEPEST = 64  # levels of lists and objects in a JSON file


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. UserError if it cannot be read or is not one."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a JSON file: {error}") from error


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text; ValueError where it has none.

    A key twice in one object, more than DEEPEST levels, and text that is not Unicode (half of a surrogate pair) are
    refused as well: the first hides a value, and the others would only fail later. A whole number beyond 64 bits
    becomes a float, so it is none where a whole number is expected.
    """
    try:
        value = json.loads(text, parse_int=_parse_int, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(f"it has more than {DEEPEST} levels") from None
    _require_flat(value, DEEPEST)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def checksum(content: Mapping[str, Any]) -> int:
    """Return a checksum of a JSON object. The order of its keys, and white space in its file, do not change it."""
    plain = json.loads(json.dumps(content))
    return zlib.crc32(json.dumps(plain, sort_keys=True).encode())


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as the last key."""
    return {**content, CHECKSUM: checksum(content)}


def require_as_written(content: Mapping[str, Any], path: Path) -> None:
    """Raise UserError where the content of `path` has a checksum (files of older versions have none) of another one."""
    others = {name: value for name, value in content.items() if name != CHECKSUM}
    if CHECKSUM in content and content[CHECKSUM] != checksum(others):
        raise UserError(
            f'{path} is not what was written: restore it from a copy, or remove "{CHECKSUM}" from it where you changed '
            "it yourself"
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has the key {next(name for name in names if names.count(name) > 1)[:60]!r} twice")
    return found


def _parse_int(digits: str) -> int | float:
    return float(digits) if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64 else int(digits)


def _require_flat(value: Any, levels: int) -> None:
    if isinstance(value, dict | list):
        if not levels:
            raise ValueError(f"it has more than {DEEPEST} levels")
        for inner in value.values() if isinstance(value, dict) else value:
            _require_flat(inner, levels - 1)


def lists_in_rows(text: str) -> str:
    """Return indented JSON with each list of numbers on one line, so that a matrix has a line for each row."""

    def row(found: re.Match[str]) -> str:
        return " ".join(found[0].split()).replace("[ ", "[").replace(" ]", "]")

    # No string holds a line end.
    return re.sub(r"\[\n([-\d.eE,\s]|null|NaN)+?\n *\]", row, text)


def file_name(name: str, what: str) -> str:
    """Return `name`, which comes from data, if it can only be a file's name; `what` says whose it is in the error.

    UserError for "", for one that leads into another folder ("../x", "/x", "a/b", "C:x") and for control characters.
    """
    if not is_file_name(name):
        raise UserError(f"{what} must be a file name without a folder, not {name!r}")
    return name


def is_file_name(name: str) -> bool:
    """Return whether a name from data can only be a file's name; see `file_name`."""
    return name not in ("", ".", "..") and name.isprintable() and not set(name) & set("/\\:")


def write_atomically(path: Path, content: str | bytes, *, make_folder: bool = False) -> Path:
    """Replace the file at `path` by `content` (text as UTF-8, its line ends unchanged) and return `path`.

    See `atomic_file` for what happens when this fails.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_file(path, make_folder=make_folder) as temporary:
        temporary.write_bytes(data)
    return path


@contextlib.contextmanager
def atomic_file(path: Path, *, make_folder: bool = False) -> Iterator[Path]:
    """Yield an empty temporary file beside `path`, for a library to write; then move it to `path`.

    Readers, and other processes that write the same file, only ever see a complete one. When the block or the move
    fails, `path` is unchanged and the temporary file is removed; an OSError becomes a UserError of one line.
    make_folder: create the folder of `path` first.
    """
    # The folder must be that of `path`: a file can only be moved in one step within a file system.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    with writing(path):
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = _create(temporary)
        try:
            yield temporary
            temporary.chmod(mode)  # safetensors leaves a file that only its owner can read
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block, which writes `path`, into a UserError of one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _create(path: Path) -> int:
    """Create an empty file and return the permissions that the user's new files have."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)


def require_no_pattern(folder: Path) -> None:
    """Raise UserError for a folder in whose path "[...]" stands.

    Orbax looks for its files by patterns, takes that for one, and would write checkpoints that nobody can read.
    """
    if any(re.search(r"\[.+\]", part) for part in folder.absolute().parts):
        raise UserError(f"{folder.absolute()}: checkpoints cannot be written where a folder has [ and ] in its name")
