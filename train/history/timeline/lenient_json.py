"""Read the JSON files of runs and tolerate any content: a value that is missing or not finite is None."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.files import parse_json, require_as_written


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in `path`; {} if there is no such file. Raises UserError for other content.

    So it does for an object with the checksum of another one.
    """
    if not path.is_file():
        return {}
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(value).__name__}")
    require_as_written(value, path)
    return value


def mapping(facts: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return `facts[key]` if it is a mapping, else {}."""
    value = facts.get(key)
    return value if isinstance(value, Mapping) else {}


def sequence(facts: Mapping[str, Any], key: str) -> list[Any]:
    """Return `facts[key]` if it is a list, else []."""
    value = facts.get(key)
    return list(value) if isinstance(value, list | tuple) else []


def text(facts: Mapping[str, Any], key: str) -> str:
    """Return `facts[key]` as text; "" if it is missing or null."""
    value = facts.get(key)
    return "" if value is None else str(value)


def finite(value: Any) -> float | None:
    """Return a finite number as a float, anything else as None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def number(value: Any) -> float | None:
    """Return a finite, non-negative number as a float, anything else as None."""
    found = finite(value)
    return found if found is not None and found >= 0 else None


def whole(value: Any) -> int | None:
    """Return a non-negative number as an integer, anything else as None."""
    found = number(value)
    return None if found is None else int(found)


def share(value: Any) -> float | None:
    """Return a number between 0 and 1, anything else as None."""
    found = number(value)
    return found if found is not None and found <= 1 else None
