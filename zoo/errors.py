"""UserError, the error for bad input, whose message is one line; and what is printed of text from data."""

import contextlib
import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence


class UserError(ValueError):
    """Bad input. The command line prints the message, one line, and exits with code 2."""


class UserErrors(UserError):
    """Several errors of one input. The message has a line for each of them."""

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("\n  ".join([f"{len(errors)} errors:", *map(str, errors)]))
        self.errors = tuple(errors)


def in_one_line(error: Exception) -> str:
    """Return the message of `error`, several errors behind each other, for a line that begins with their place."""
    return "; ".join(map(str, error.errors)) if isinstance(error, UserErrors) else str(error)


class Errors:
    """The errors of one input, so that the user learns all of them at once."""

    def __init__(self) -> None:
        self._found: dict[str, UserError] = {}  # by message: two checks may find the same

    def __bool__(self) -> bool:
        return bool(self._found)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Keep a UserError of the block, and go on behind it.

        Any other exception is dropped after an error, as it may only follow from the wrong value.
        """
        try:
            yield
        except UserErrors as several:
            self._found |= {str(error): error for error in several.errors}
        except UserError as error:
            self._found.setdefault(str(error), error)
        except Exception:
            if not self._found:
                raise

    def report(self) -> None:
        """Raise the error that was kept, or one UserErrors with all of them; nothing where there was none."""
        if len(self._found) == 1:
            raise next(iter(self._found.values())) from None
        if self._found:
            raise UserErrors(list(self._found.values()))


def unknown(kind: str, name: object, allowed: Iterable[str]) -> UserError:
    """Return the error for a name that is not in `allowed`. It suggests the nearest names, or all if there are few."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(allowed) <= 12:
        hint = f"choose from {', '.join(allowed)}"
    else:
        hint = f"there are {len(allowed)}, from {allowed[0]} to {allowed[-1]}"
    return UserError(f"unknown {kind} {str(name)!r}: {hint}")


# Control characters but the tab and the line end: an escape sequence can move the cursor, or retitle the terminal.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def printable(text: str) -> str:
    """Return text from data as a terminal may show it: control characters are written out (the escape as \\x1b)."""
    return text.translate(_CONTROLS)


def note(message: object) -> None:
    """Print one line of the program to standard error: "zoo: ..."."""
    print(f"zoo: {printable(str(message))}", file=sys.stderr)
