"""Examples in groups, such as the scenes of one digit, and the interval of an accuracy over the groups."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class GroupInterval(NamedTuple):
    """The 95 % interval of an accuracy: a bootstrap over the groups, and over the seeds where there are several."""

    low: float
    high: float
    groups: int
    of: str  # what a group is, in the plural: "digits"
    seeds: int

    @property
    def over(self) -> str:
        """What was drawn anew: "359 digits", "359 digits and 3 seeds"."""
        return f"{self.groups:,} {self.of}" + f" and {self.seeds} seeds" * (self.seeds > 1)


@dataclasses.dataclass(frozen=True)
class Groups:
    """How many examples of each group every replica has right. The examples of one group are not independent."""

    of: str  # what a group is, in the plural
    examples: tuple[int, ...]  # of each group, (G,)
    right: tuple[tuple[int, ...], ...]  # of each replica and group, (R, G)

    def alone(self, number: int) -> "Groups":
        """Return the groups of one replica."""
        return dataclasses.replace(self, right=(self.right[number],))

    def interval(self, numbers: Sequence[int]) -> GroupInterval:
        """Return the interval of the mean accuracy of the replicas with these numbers."""
        from train.metrics.statistics import grouped_interval  # slow to import, and most commands only read summaries

        low, high = grouped_interval([self.right[number] for number in numbers], self.examples)
        return GroupInterval(low, high, len(self.examples), self.of, len(numbers))

    def to_json(self) -> dict[str, Any]:
        return {"of": self.of, "examples": list(self.examples), "right": [list(own) for own in self.right]}

    @staticmethod
    def from_json(content: Any, replicas: int) -> "Groups | None":
        """Return what `to_json` wrote of so many replicas; None for anything else."""
        content = content if isinstance(content, Mapping) else {}
        of, examples = content.get("of"), _counts(content.get("examples"))
        rows = content.get("right")
        right = tuple(map(_counts, rows)) if isinstance(rows, list) else ()
        if not isinstance(of, str) or not examples or len(right) != replicas or 0 in examples:
            return None
        sound = all(len(own) == len(examples) and all(map(int.__le__, own, examples)) for own in right)
        return Groups(of, examples, right) if sound else None


def _counts(value: Any) -> tuple[int, ...]:
    """Return a list of whole numbers from 0 on; () for anything else."""
    values = value if isinstance(value, list) else []
    return tuple(values) if all(type(own) is int and own >= 0 for own in values) else ()
