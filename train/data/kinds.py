"""The prefixes in names of data, as in `folder:PATH`: what the data behind them can be."""

IMAGES = ("folder", "npz", "csv")
TEXT = ("text", "tsv")
EITHER = ("datasets",)
"""The columns of such a set decide."""


def prefix(name: str) -> str:
    """Return the prefix of a name, "" for one without."""
    kind = name.partition(":")[0]
    return kind if kind in (*IMAGES, *TEXT, *EITHER) and kind != name else ""
