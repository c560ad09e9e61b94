"""How a run ends before its last step: asked to by Ctrl-C or SIGTERM, or because its loss is not finite."""

import signal
from types import FrameType, TracebackType


class Stopped(Exception):
    """The run ended early; what was finished is on disk. The message says how to go on, `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Watch:
    """While open, remembers the first Ctrl-C or SIGTERM instead of dying of it; a second one stops at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Watch":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: signals are another's to handle
                return self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number
