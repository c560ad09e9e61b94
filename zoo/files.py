"""The one way to write a file: whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UserError


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
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = _create(temporary)
        try:
            yield temporary
            temporary.chmod(mode)  # safetensors leaves a file that only its owner can read
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None


def _create(path: Path) -> int:
    """Create an empty file and return the permissions that the user's new files have."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
