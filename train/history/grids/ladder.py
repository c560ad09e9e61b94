"""A ladder, a grid of one row: what each column changes in the error of the column before it."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from train.history.grids.results import interval
from train.metrics.statistics import difference_interval


class Rung(NamedTuple):
    """A column of a ladder and its cell, with what it adds to the error of the rung before it, in points."""

    column: Mapping[str, Any]
    cell: Mapping[str, Any]
    change: float | None  # None: the first rung, or the one before it is missing
    low: float = 0.0
    high: float = 0.0

    @property
    def error(self) -> tuple[float, float, float]:
        """The mean test error in percent, and its interval of 95 %."""
        mean, low, high = interval(self.cell)
        return 100 * (1 - mean), 100 * (1 - high), 100 * (1 - low)

    @property
    def error_text(self) -> str:
        return "{:.2f} % ({:.2f} to {:.2f})".format(*self.error)

    @property
    def change_text(self) -> str:
        return "" if self.change is None else f"{self.change:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def is_ladder(found: Mapping[str, Any]) -> bool:
    return len(found["rows"]) == 1


def rungs(found: Mapping[str, Any]) -> Iterator[Rung]:
    """Yield the rungs that are there, from the first on."""
    there = {cell["column"]: cell for cell in found["cells"]}
    before = None
    for column in found["columns"]:
        cell = there.get(column["name"])
        if cell is not None and before is not None:
            change = 100 * float(np.mean(before["values"]) - np.mean(cell["values"]))
            low, high = difference_interval(before["values"], cell["values"])
            yield Rung(column, cell, change, 100 * low, 100 * high)
        elif cell is not None:
            yield Rung(column, cell, None)
        before = cell


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return what a whole ladder says; [] for one of which rungs are missing."""
    every = list(rungs(found))
    if len(every) < len(found["columns"]) or len(every) == 1:
        return []
    first, last, steps = every[0], every[-1], every[1:]
    whole = (
        f"From the first to the last {found['column']} the test error of {found['rows'][0]['says']} goes from "
        f"{first.error_text} to {last.error_text}."
    )
    lower, higher = [rung for rung in steps if rung.high < 0], [rung for rung in steps if rung.low > 0]
    most = min(steps, key=lambda rung: rung.change or 0.0)
    each = (
        f"Of {len(steps)} steps {len(lower)} lower{'s' * (len(lower) == 1)} it and {len(higher)} "
        f"raise{'s' * (len(higher) == 1)} it beyond doubt; the most does {most.column['says']}, by {most.change_text} "
        "points."
    )
    return [whole, each]
