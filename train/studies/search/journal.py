"""The journal of a search: Optuna's file of every trial, one JSON object a line, with a checksum in each line.

Lines of older searches have none.
"""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
from optuna.storages.journal import JournalFileBackend

from zoo.errors import UserError
from zoo.files import CHECKSUM, checksum, parse_json, writing


class Journal(JournalFileBackend):
    """Reads and appends lines. UserError for a damaged line, which would otherwise give other trials."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0  # the last one that was read, counted from 1
        self._next = (0, 0)  # (lines, bytes) until where the file was read last
        lock = _Lock(path.with_name("journal.lock"))
        with writing(path):
            _remove_torn_line(path, lock)
            # Optuna keeps the type of its locks private; ours has the two methods of that type.
            super().__init__(str(path), lock_obj=lock)  # pyright: ignore[reportArgumentType]

    def append_logs(self, logs: Sequence[Mapping[str, Any]]) -> None:
        with writing(self.path):
            super().append_logs([{**log, CHECKSUM: checksum(log)} for log in logs])

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the logs from a number on. Another process may just be writing the last line, which is then left."""
        start, place = self._next if self._next[0] <= log_number_from else (0, 0)
        with open(self.path, "rb") as file:
            file.seek(place)
            for number, line in enumerate(file, start):
                if not line.endswith(b"\n"):
                    return
                place += len(line)
                self.line, self._next = number + 1, (number + 1, place)
                if number >= log_number_from:
                    yield self._parsed(line)

    def damaged(self, reason: object) -> UserError:
        """Return the error for the line that was read last."""
        words = " ".join(str(reason).split())[:120]
        return UserError(
            f"{self.path}: line {self.line} is damaged ({words}): put back a copy, or choose another --folder"
        )

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            log = parse_json(line)
        except ValueError as error:
            raise self.damaged(error) from error
        if not isinstance(log, dict):
            raise self.damaged("it is no JSON object")
        expected = log.pop(CHECKSUM, None)
        if expected is not None and expected != checksum(log):
            raise self.damaged("it is not what was written")
        return log


class _Lock:
    """The lock of the journal. The system releases it when its process dies; Optuna's own lock would stay locked."""

    def __init__(self, path: Path) -> None:
        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _remove_torn_line(journal: Path, lock: _Lock) -> None:
    """Remove a last line that a killed process or a full disk left incomplete: Optuna could not read past it."""
    lock.acquire()
    try:
        content = journal.read_bytes() if journal.is_file() else b""
        if content and not content.endswith(b"\n"):
            with open(journal, "r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()
