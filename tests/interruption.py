"""An interruption that needs no signal. Only pytest finds this file."""


class Interruption:
    """Stands in for `train.core.signals.Watch`: asks to stop at a look. after: the looks that pass before that one."""

    def __init__(self, after: int = 0) -> None:
        self._left = after

    def __enter__(self) -> "Interruption":
        return self

    def __exit__(self, *_: object) -> None: ...

    @property
    def received(self) -> int | None:
        self._left -= 1
        return 15 if self._left < 0 else None
