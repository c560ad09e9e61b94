"""The one kind of error a user causes: a single line saying what was wrong, where, and what is allowed."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input. The message is one line; the command line prints it and exits with code 2."""


def unknown(kind: str, name: object, allowed: Iterable[str]) -> UserError:
    """Error for a name that is not among `allowed`: offers the nearest names, or all when they are few."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(allowed) <= 12:
        hint = f"choose from {', '.join(allowed)}"
    else:
        hint = f"there are {len(allowed)}, from {allowed[0]} to {allowed[-1]}"
    return UserError(f"unknown {kind} {str(name)!r}: {hint}")
