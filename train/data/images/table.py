"""`csv:FILE`: a table of pictures, one row each, as files or as pixels (.csv, or .csv.gz).

A table of files has a header with the columns `file` (paths relative to the table) and `label`, and may have `split`
(train, validation, test); other columns are ignored. A table of pixels has the label and the pixels of a square gray
image, row by row from 0 to 255 (or 0 to 1): the label first where there is no header, which is how MNIST is passed on
(label, pixel0, pixel1, …). It may have `split` as well. Classes are numbered in the order of their sorted names, as
whole numbers if all are. In both a column `group` may say which group each picture is of, such as its patient or its
writer (`groups`).
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.data import cache, kinds
from train.data.classes import numbered
from train.data.cut import array_keys
from train.data.images import folder, groups, pixels
from train.data.split import Arrays, Found, Store
from train.data.text import files
from zoo.errors import UserError

VERSION = 1
"""The version of these rules. Caches of tables carry it."""
FILES, LABELS, SPLIT, GROUP = ("file", "path", "filename", "image"), ("label", "class"), "split", "group"
SPLITS = ("train", "validation", "test")
LEAST_PIXELS = 4


class Columns(NamedTuple):
    """Where a table has what, from 0."""

    header: bool
    width: int
    label: int
    split: int | None
    file: int | None  # None: the table holds pixels
    group: int | None

    @property
    def pixels(self) -> list[int]:
        return [column for column in range(self.width) if column not in (self.label, self.split, self.group)]


class Words:
    """Numbers words in the order in which they come, for a reader of numbers."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def __call__(self, word: str) -> float:
        return float(self.seen.setdefault(word.strip(), len(self.seen)))


def find(path: str, size: int | None, fit: str, scaled: bool = False) -> Found:
    """Find the splits of a table. Of image files only headers are read."""
    file = kinds.existing("csv", path)
    text = files.read(file)
    columns = _columns(file, text)
    if columns.file is not None:
        return _of_files(file, text, columns, size, fit, scaled)
    return _of_pixels(file, text, columns, size, fit)


def _columns(file: Path, text: str) -> Columns:
    """Say what the columns of a table are, from its first row."""
    end = text.find("\n")
    first = text[: end if end >= 0 else len(text)]
    [cells] = list(csv.reader([first], strict=True)) or [[]]
    names = [cell.strip().lower() for cell in cells]
    twice = [name for name in (*FILES, *LABELS, SPLIT, GROUP) if names.count(name) > 1]
    if twice:
        raise UserError(f"{file}: its header has two columns {twice[0]}: keep one")
    label = next((names.index(name) for name in LABELS if name in names), None)
    image = next((names.index(name) for name in FILES if name in names), None)
    split, group = (names.index(name) if name in names else None for name in (SPLIT, GROUP))
    if label is not None:
        columns = Columns(True, len(cells), label, split, image, group)
        if image is None and len(columns.pixels) < LEAST_PIXELS:
            raise UserError(f"{file}: its header has neither a column file nor columns of pixels: {_shown(cells)}")
    elif len(cells) > LEAST_PIXELS and all(map(_is_number, cells[1:])):
        columns = Columns(False, len(cells), 0, None, None, None)
    else:
        hint = "; the columns are divided by commas" if len(cells) == 1 and re.search("[;\t]", first) else ""
        raise UserError(
            f"{file}: its first line must be a header with the columns file and label, or label and pixels, not "
            f"{_shown(cells)}{hint}"
        )
    if columns.file is None and math.isqrt(len(columns.pixels)) ** 2 != len(columns.pixels):
        raise UserError(
            f"{file} has {len(columns.pixels)} columns besides label and split, which are no pixels of a square gray "
            "image, such as 784 for 28x28: keep the pixels only, or name files in a column file"
        )
    return columns


def _shown(cells: Sequence[str]) -> str:
    shown = ", ".join(cells[:6])[:100]
    return repr(shown + ", …" * (len(cells) > 6))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _split(file: Path, line: int, word: str) -> str:
    if word.strip().lower() not in folder.SPLIT_OF:
        raise UserError(f"{file}, line {line}: the split must be train, validation or test, not {word!r}")
    return folder.SPLIT_OF[word.strip().lower()]


def _of_files(file: Path, text: str, columns: Columns, size: int | None, fit: str, scaled: bool) -> Found:
    """Find the image files that a table names."""
    assert columns.file is not None
    name, rows = f"csv:{file}", csv.reader(io.StringIO(text), strict=True)
    paths: dict[str, list[Path]] = {}
    labels: dict[str, list[str]] = {}
    group: dict[str, list[str]] = {}
    try:
        next(rows)
        for row in rows:
            if not row:
                continue
            if len(row) != columns.width:
                raise UserError(f"{file}, line {rows.line_num}: {len(row)} columns, and its header has {columns.width}")
            split = "train" if columns.split is None else _split(file, rows.line_num, row[columns.split])
            label, image = row[columns.label].strip(), row[columns.file].strip()
            own = None if columns.group is None else row[columns.group].strip()
            if empty := [name for name, cell in (("file", image), ("label", label), (GROUP, own)) if cell == ""]:
                raise UserError(f"{file}, line {rows.line_num}: the column {empty[0]} is empty")
            path = file.parent / Path(image).expanduser()
            if not path.is_file():
                raise UserError(f"{file}, line {rows.line_num}: there is no file {path}")
            paths.setdefault(split, []).append(path)
            labels.setdefault(split, []).append(label)
            if own is not None:
                group.setdefault(split, []).append(own)
    except csv.Error as error:
        raise UserError(f"{file}, line {rows.line_num}: {error}") from None
    _require_train(file, list(labels))
    names = sorted_names(set(labels["train"]))
    words = {split: np.array(column, np.str_) for split, column in labels.items()}
    _, y = numbered(name, words, names)
    try:
        every = tuple(path for split in paths.values() for path in split)
        known = folder.held(f"csv:{file.absolute()}", every)
        shape = folder.shape_of(name, known["rows"], size, lambda number: every[number].name)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    stores, start = {}, 0
    for split, column in paths.items():
        keys = known["keys"][start : start + len(column)]
        own = groups.numbered(group[split]) if group else None
        stores[split] = folder.Files(tuple(column), keys, y[split], shape, fit if size else None, scaled, own)
        start += len(column)
    return Found(name, "", names, stores, place=str(file.absolute()))


def _of_pixels(file: Path, text: str, columns: Columns, size: int | None, fit: str) -> Found:
    """Read the images of a table of pixels, from the cache if they are there."""
    name = f"csv:{file}"
    stamp = [VERSION, hashlib.sha256(text.encode()).hexdigest(), *[GROUP] * (columns.group is not None)]
    held = cache.cached(f"csv:{file.absolute()}-pixels", stamp, lambda: _read_pixels(file, text, columns))
    side = math.isqrt(held["x"].shape[1])
    x, names = held["x"].reshape(-1, side, side, 1), tuple(map(str, held["classes"].tolist()))
    stores: dict[str, Store] = {}
    for number, split in enumerate(SPLITS):
        rows = np.flatnonzero(held["split"] == number)
        if len(rows):
            group = held[GROUP][rows] if GROUP in held else None
            stores[split] = Arrays(pixels.brought(x[rows], size, fit), held["y"][rows], array_keys(x[rows]), group)
    return Found(name, "", names, stores, tuple(map(str, held["remarks"].tolist())), str(file.absolute()))


def _read_pixels(file: Path, text: str, columns: Columns) -> cache.Arrays:
    """Return x uint8 (N, pixels), y int32 (N,), split (N,), classes and remarks; with groups also group int64 (N,)."""
    labels, splits, of_groups = Words(), Words(), Words()
    converters: dict[int | str, Callable[[str], float]] = {columns.label: labels}
    converters |= {
        column: words for column, words in ((columns.split, splits), (columns.group, of_groups)) if column is not None
    }
    if columns.header and not text.partition("\n")[2].strip():
        raise UserError(f"{file} has no rows but its header")
    table = _table(file, text, columns, converters)
    for name, column, words in (("label", columns.label, labels), (GROUP, columns.group, of_groups)):
        if "" in words.seen:
            row = int(np.argmax(table[:, column] == words.seen[""]))
            raise UserError(f"{file}, line {row + 1 + columns.header}: the column {name} is empty")
    split = np.zeros(len(table), np.int32)
    for word, number in splits.seen.items() if columns.split is not None else ():
        of_word = table[:, columns.split] == number
        split[of_word] = SPLITS.index(_split(file, int(np.argmax(of_word)) + 1 + columns.header, word))
    _require_train(file, [SPLITS[number] for number in set(split.tolist())])
    words = np.array(list(labels.seen), np.str_)[table[:, columns.label].astype(np.int64)]
    names = sorted_names(set(words[split == 0].tolist()))
    parts = {SPLITS[number]: words[split == number] for number in sorted(set(split.tolist()))}
    y = np.zeros(len(table), np.int32)
    for name, of_split in numbered(f"csv:{file}", parts, names)[1].items():
        y[split == SPLITS.index(name)] = of_split
    x = table[:, columns.pixels]
    if (x == np.round(x)).all():  # whole numbers up to 255, written with a point or without; NaN equals nothing
        x = x.astype(np.int64)
    x, remark = pixels.images(x[:, None, :, None], str(file))
    remarks = [remark] * bool(remark)
    arrays = {"x": x[:, 0, :, 0], "y": y, "split": split}
    if columns.group is not None:
        arrays[GROUP] = groups.numbered(list(of_groups.seen))[table[:, columns.group].astype(np.int64)]
    return arrays | {"classes": np.array(names, np.str_), "remarks": np.array(remarks, np.str_)}


def _table(file: Path, text: str, columns: Columns, converters: dict[int | str, Callable[[str], float]]) -> np.ndarray:
    """Return the rows of a table of pixels, float32 (N, columns)."""
    try:
        table = np.loadtxt(
            io.StringIO(text),
            np.float32,
            delimiter=",",
            comments=None,
            quotechar='"',
            skiprows=int(columns.header),
            ndmin=2,
            converters=converters,
        )
    except ValueError as error:
        raise _of_row(file, columns, str(error)) from None
    if table.shape[1] != columns.width:
        raise UserError(f"{file}, line 2: {table.shape[1]} columns, and its header has {columns.width}")
    return table


def _of_row(file: Path, columns: Columns, error: str) -> UserError:
    """Turn an error of `np.loadtxt` into ours, with the line of the file."""
    if cell := re.search(r"could not convert string '(.*)' to float32 at row (\d+), column (\d+)", error, re.DOTALL):
        line = int(cell[2]) + 1 + columns.header
        return UserError(f"{file}, line {line}: column {cell[3]} must be a number, not {cell[1][:40]!r}")
    if width := re.search(r"columns changed from (\d+) to (\d+) at row (\d+)", error):
        line = int(width[3]) + columns.header
        return UserError(f"{file}, line {line}: {width[2]} columns, and the first row has {width[1]}")
    return UserError(f"{file} cannot be read as a table: {' '.join(error.split())[:120]}")


def _require_train(file: Path, splits: Sequence[str]) -> None:
    if "train" not in splits:
        raise UserError(f"{file} has no row of the split train, only {', '.join(splits) or 'its header'}")


def sorted_names(names: Collection[str]) -> tuple[str, ...]:
    """Return the names of classes, sorted as whole numbers if all are such, else as words."""
    numbers = all(re.fullmatch(r"-?\d+", name) for name in names)
    return tuple(sorted(names, key=int if numbers else None))
