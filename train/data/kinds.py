"""The prefixes in names of data, as in `folder:PATH`: what the data behind them can be."""

from pathlib import Path

from zoo.errors import UserError

IMAGES = ("folder", "npz", "csv")
TEXT = ("text", "tsv")
EITHER = ("datasets",)
"""The columns of such a set decide."""


class IsText(UserError):
    """A set without images was asked for images: it is one of text, for all that its columns say."""


def prefix(name: str) -> str:
    """Return the prefix of a name, "" for one without."""
    kind = name.partition(":")[0]
    return kind if kind in (*IMAGES, *TEXT, *EITHER) and kind != name else ""


def same_set(name: str, other: str) -> bool:
    """Whether two names mean one set: they are equal, or paths with the same end, so that it only lies elsewhere."""
    ends = [(prefix(each), Path(each.partition(":")[2]).parts[-2:]) for each in (name, other)]
    return name == other or (bool(prefix(name)) and len(ends[0][1]) == 2 and ends[0] == ends[1])
