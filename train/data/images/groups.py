"""Groups of the user's own examples, such as the patient or the writer of each image, and the table that has them.

Examples of one group are right or wrong together, so a group is never cut in two, and the interval of a test accuracy
is over groups. `folder:PATH` reads them from PATH/groups.csv, with a header and a row for each image: `file`, its path
relative to PATH, and `group`, a number or a word. Other columns are ignored.
"""

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from train.data.cut import keys_of
from train.data.split import Split
from train.data.text import files
from zoo.errors import UserError

TABLE = "groups.csv"
FILE, GROUP = "file", "group"
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


def numbered(words: Sequence[str]) -> np.ndarray:
    """Return the number of each group, int64 (N,): of a whole number that number, of any other word its hash.

    So a group has the same number, by which a set is cut, whatever other groups are added.
    """
    found: dict[str, int] = {}
    for word in words:
        if word not in found:
            found[word] = int(word) if WHOLE.fullmatch(word) else int(keys_of([word.encode()]).astype(np.int64)[0])
    return np.array([found[word] for word in words], np.int64)


def of_files(root: Path, images: Sequence[Path]) -> np.ndarray | None:
    """Return the group of each image below `root`, int64 (N,), as its table says; None where there is no table.

    Raises UserError for an image without a row, and for a row without an image.
    """
    table = root / TABLE
    if not table.is_file():
        return None
    position = {os.path.abspath(path): number for number, path in enumerate(images)}
    words: list[str | None] = [None] * len(images)
    for line, (image, word) in _rows(table).items():
        number = position.get(os.path.abspath(root / image))
        if number is None:
            raise UserError(f"{table}, line {line}: {image} is no image of this set")
        if words[number] is not None:
            raise UserError(f"{table}, line {line}: {image} stands in an earlier line already")
        words[number] = word
    missing = [path for path, word in zip(images, words, strict=True) if word is None]
    if missing:
        more = f", nor for {len(missing) - 1:,} others" if len(missing) > 1 else ""
        raise UserError(f"{table} has no row for {missing[0].relative_to(root).as_posix()}{more}: each image needs one")
    return numbered([word for word in words if word is not None])


def _rows(table: Path) -> dict[int, tuple[str, str]]:
    """Return line -> (file, group), neither of them empty."""
    rows = csv.reader(io.StringIO(files.read(table)), strict=True)
    found = {}
    try:
        header = [cell.strip().lower() for cell in next(rows)]
        for name in (FILE, GROUP):
            if header.count(name) != 1:
                how = "no column" if name not in header else "two columns"
                raise UserError(f"{table}: its first line has {how} {name}: it must name file and group, once each")
        for row in filter(None, rows):
            if len(row) != len(header):
                raise UserError(f"{table}, line {rows.line_num}: {len(row)} columns, and its header has {len(header)}")
            cells = {name: row[header.index(name)].strip() for name in (FILE, GROUP)}
            if empty := [name for name, cell in cells.items() if not cell]:
                raise UserError(f"{table}, line {rows.line_num}: the column {empty[0]} is empty")
            found[rows.line_num] = (cells[FILE], cells[GROUP])
    except csv.Error as error:
        raise UserError(f"{table}, line {rows.line_num}: {error}") from None
    return found


def remarks(splits: Mapping[str, Split]) -> tuple[str, ...]:
    """Say how many groups the set itself has in two splits: its accuracies are then not those of new groups."""
    known = {name: np.unique(split.groups) for name, split in splits.items() if split.groups is not None}
    found = []
    for name in ("train", "validation"):
        if name in known and (shared := len(np.intersect1d(known[name], known.get("test", [])))):
            which = "1 group is" if shared == 1 else f"{shared:,} groups are"
            found.append(f"{which} in {name} and in test: the test accuracy is not one of new groups")
    return tuple(found)
