"""Ranges of config fields, declared in their annotations: `steps: Annotated[int, COUNT] = 1_000`."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from zoo.errors import Errors, UserError


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that a field can take: "steps must {says}, not 0". None is always allowed where the type has it."""

    says: str
    holds: Callable[[Any], bool]


COUNT = Range("be at least 1", lambda value: value >= 1)
SHARE = Range("be at least 0 and below 1", lambda value: 0 <= value < 1)
FRACTION = Range("be from 0 to 1", lambda value: 0 <= value <= 1)
POSITIVE = Range("be a number above 0", lambda value: 0 < value < math.inf)
ALL_POSITIVE = Range("be numbers above 0", lambda values: all(0 < value < math.inf for value in values))
ALL_FINITE = Range("be finite numbers", lambda values: all(map(math.isfinite, values)))
NOT_NEGATIVE = Range("not be negative", lambda value: value >= 0)
WEIGHTS = Range(
    "be finite numbers from 0 up, one of them above 0",
    lambda value: isinstance(value, str) or (all(0 <= one < math.inf for one in value) and any(value)),
)
BELOW_2_32 = Range("be below 2^32", lambda value: value < 2**32)


def check(config: Any, where: str = "") -> None:
    """Raise UserError for all fields of `config` (a dataclass), and of dataclasses in it, outside of their ranges."""
    errors = Errors()
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        value, path = getattr(config, name), f"{where}{name}"
        if dataclasses.is_dataclass(value):
            with errors.kept():
                check(value, f"{path}.")
        with errors.kept():
            for one in _ranges(hint):
                if value is not None and not one.holds(value):
                    raise UserError(f"{path} must {one.says}, not {value}")
    errors.report()


def holds(config: Any) -> bool:
    """Return whether all fields of `config` are in their ranges."""
    try:
        check(config)
    except UserError:
        return False
    return True


def require_share_of_labels(labels: float) -> None:
    """Raise UserError unless `data.labels` is a share."""
    if not 0 < labels <= 1:
        raise UserError(f"data.labels={labels}: must be above 0 and at most 1")


def _ranges(hint: Any) -> Iterator[Range]:
    """The ranges in the annotation of a field, in their order."""
    if get_origin(hint) is Annotated:
        yield from (extra for extra in get_args(hint)[1:] if isinstance(extra, Range))
