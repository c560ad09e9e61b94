"""Ways in which a run ends before its last step: Ctrl-C, SIGTERM, or a loss that is not finite."""

import signal
from types import FrameType, TracebackType
from typing import Any


class Stopped(Exception):
    """Raised when a run ends early, after everything is saved. The message says how to resume it.

    code: the exit code of the process.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Watch:
    """Context manager that records the first Ctrl-C or SIGTERM in `received`; a second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}  # signal -> its handler until now

    def __enter__(self) -> "Watch":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # only the main thread may set handlers
                return self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
