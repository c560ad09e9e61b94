"""The prefixes in names of data, as in `folder:PATH`: what the data behind them can be."""

from pathlib import Path

from zoo.errors import UserError

IMAGES = ("folder", "npz", "csv")
TEXT = ("text", "tsv")
EITHER = ("datasets",)
"""The columns of such a set decide."""


EXPECTED = {
    "folder": ("folder", "PATH/CLASS/*.png or PATH/train/CLASS/*.png"),
    "npz": ("file", "an .npz of arrays such as train_x and train_y"),
    "csv": ("file", "a table with the columns file and label"),
    "text": ("file or folder", "a text file or a folder of .txt files"),
    "tsv": ("file or folder", "a .tsv file, a folder with train.tsv, or FOLDER/de-en with train.de and train.en"),
}
"""Prefix -> what lies at its path, and how it looks."""


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


def existing(kind: str, path: str) -> Path:
    """Return the path of a set whose name has the prefix `kind`. UserError where nothing of the kind is there."""
    place, (what, looks) = Path(path).expanduser(), EXPECTED[kind]
    there = {"file": place.is_file, "folder": place.is_dir}.get(what, place.exists)
    if not path or not there():
        raise UserError(f"{kind}:{path}: there is no such {what}; expected {looks}")
    return place
