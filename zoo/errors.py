"""UserError: the error for bad input. Its message is one line: what is wrong, where, and what is allowed."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The command line prints the message, one line, and exits with code 2."""


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
