"""The user's own text: `text:PATH` for raw text, and `tsv:PATH` for sentences in two columns or in parallel files.

text:PATH is a file (.gz is unpacked), which is one document, or a folder of .txt and .txt.gz files, which are one
document each; hidden ones are left out. In a folder train.txt, validation.txt (or val, valid, dev) and test.txt are
the splits.
tsv:PATH is a file of two columns, or a folder with train.tsv and optionally validation and test files of those names.
There is no quoting and no header. The task decides whether the second column is a class or a translation.
tsv:FOLDER/de-en reads the lines of train.de and train.en, and of val.* and one test*.* if they exist (.gz or not): the
format of Multi30k.
"""

import gzip
import re
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from train.core import machine
from train.data import kinds
from train.data.text.dataset import Corpus, Examples, Form
from zoo.errors import UserError

SPLITS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}
"""File name without its ending -> split."""
HEADERS = ("label", "labels", "class", "target")
LANGUAGES = re.compile(r"[^-]+-[^-]+")


SHARE_OF_MEMORY = 8
"""A file may hold this fraction of the free memory: the text is held as bytes, as characters, as splits and as ids."""


def read(path: Path) -> str:
    """Read the text of a file with "\\n" as line ends.

    Raises UserError where it is empty, binary, not UTF-8, or larger, once unpacked, than memory allows.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = read_bounded(file, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if b"\0" in content:
        raise UserError(f"{path} is not text: it has a zero byte at {content.index(0)}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}; convert or repair it"
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise UserError(f"{path} is empty")
    return text


def read_bounded(file: IO[bytes] | gzip.GzipFile, name: object) -> bytes:
    """Read the rest of a binary file. Raises UserError where it is larger than memory allows."""
    most = machine.host_memory_free() // SHARE_OF_MEMORY
    content = file.read(most + 1)
    if len(content) > most:
        raise UserError(
            f"{name} holds more than {most / 2**30:.2g} GiB of text, which is 1/{SHARE_OF_MEMORY} of the free memory: "
            "divide it, or use a part of it"
        )
    return content


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0]


def _by_split(paths: list[Path], where: str) -> dict[str, Path]:
    """Return split -> its file. Raises UserError where a split has two files."""
    found = {}
    for path in paths:
        if split := SPLITS.get(_stem(path)):
            if split in found:
                raise UserError(f"{where} has two files for {split}: {found[split].name} and {path.name}; keep one")
            found[split] = path
    return found


def text(path: str) -> Corpus:
    """Load `text:PATH`; see the module."""
    root = kinds.existing("text", path)
    name = f"text:{root}"
    if not root.is_dir():
        return Corpus(name, "", {"train": Examples([read(root)])}, files={"train": ([root],)})
    paths = sorted(file for file in root.rglob("*") if file.name.endswith((".txt", ".txt.gz")) and file.is_file())
    paths = [file for file in paths if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    if not paths:
        raise UserError(f"{name}: the folder has no .txt or .txt.gz files")
    if "train" in (splits := _by_split([file for file in paths if file.parent == root], name)):
        files = {split: ([file],) for split, file in splits.items()}
        return Corpus(name, "", {split: Examples([read(file)]) for split, file in splits.items()}, files=files)
    return Corpus(name, "", {"train": Examples([read(file) for file in paths])}, files={"train": (paths,)})


def tsv(path: str, form: Form) -> Corpus:
    """Load `tsv:PATH`; see the module.

    The second column is the class in the form labelled, with classes numbered in sorted order, the translation in the
    form pairs, and ignored in the others.
    """
    root = Path(path).expanduser()
    if LANGUAGES.fullmatch(root.name) and not root.exists() and root.parent.is_dir():
        return _parallel(root)
    root = kinds.existing("tsv", path)
    name = f"tsv:{root}"
    sources = {"train": root}
    if root.is_dir():
        sources = _by_split(sorted([*root.glob("*.tsv"), *root.glob("*.tsv.gz")]), name)
        if "train" not in sources:
            raise UserError(f"{name}: the folder has no train.tsv (nor parallel files asked for as {root}/de-en)")
    columns = {split: _columns(file) for split, file in sources.items()}
    files = {split: ([file],) for split, file in sources.items()}
    if form == "pairs":
        parts = {split: Examples(first, second) for split, (first, second) in columns.items()}
        return Corpus(name, "", parts, files=files)
    if form != "labelled":
        return Corpus(name, "", {split: Examples(first) for split, (first, _) in columns.items()}, files=files)
    classes = _classes(sources["train"], columns["train"][1])
    splits = {}
    for split, (first, second) in columns.items():
        for line, label in enumerate(second, 1):
            if label not in classes:
                raise UserError(f"{sources[split]}, line {line}: the class {label!r} is not in {sources['train'].name}")
        splits[split] = Examples(first, labels=np.array([classes[label] for label in second], np.int32))
    return Corpus(name, "", splits, tuple(classes), files=files)


def _lines(path: Path) -> list[str]:
    # `splitlines` would also split at characters that can be inside a sentence, such as U+2028.
    return read(path).removesuffix("\n").split("\n")


def _columns(path: Path) -> tuple[list[str], list[str]]:
    """Return the two columns of a file. Raises UserError for a line without two columns or with an empty one."""
    first, second = [], []
    for number, line in enumerate(_lines(path), 1):
        cells = line.split("\t")
        if len(cells) != 2:
            raise UserError(f"{path}, line {number}: {len(cells)} column{'s'[: len(cells) > 1]}, expected 2")
        if not all(cell.strip() for cell in cells):
            raise UserError(f"{path}, line {number}: a column is empty")
        first.append(cells[0])
        second.append(cells[1])
    return first, second


def _classes(path: Path, column: list[str]) -> dict[str, int]:
    """Return class -> its index. The classes are sorted as integers if all of them are integers, else as strings."""
    if column[0].lower() in HEADERS and column.count(column[0]) == 1:
        raise UserError(f"{path}, line 1: {column[0]!r} looks like a header; remove that line")
    names = set(column)
    numbers = all(re.fullmatch(r"-?\d+", name) for name in names)
    if len(names) < 2:
        raise UserError(f"{path} has only one class, {column[0]!r}: at least two are needed")
    return {name: i for i, name in enumerate(sorted(names, key=int if numbers else None))}


def _parallel(root: Path) -> Corpus:
    """Load tsv:FOLDER/de-en."""
    folder, languages, name = root.parent, root.name.split("-"), f"tsv:{root}"
    sides = []
    for language in languages:
        found = sorted([*folder.glob(f"*.{language}"), *folder.glob(f"*.{language}.gz")])
        side = _by_split(found, name)
        tests = [file for file in found if _stem(file).startswith("test")]
        if "test" not in side and len(tests) > 1:
            raise UserError(f"{name}: several test sets ({', '.join(map(_stem, tests))}); keep one, or call one test")
        if tests:
            side.setdefault("test", tests[0])
        sides.append(side)
        if "train" not in side:
            raise UserError(f"{name}: there is no train.{language} or train.{language}.gz in {folder}")
    if odd := sorted(set(sides[0]) ^ set(sides[1])):
        raise UserError(f"{name}: only one of the two languages has a file for {odd[0]}")
    splits = {}
    for split, file in sides[0].items():
        lines, others = _lines(file), _lines(sides[1][split])
        if len(lines) != len(others):
            raise UserError(f"{file} has {len(lines):,} lines, and {sides[1][split]} has {len(others):,}")
        splits[split] = Examples(lines, others)
    files = {split: ([file], [sides[1][split]]) for split, file in sides[0].items()}
    return Corpus(name, "", splits, languages=(languages[0], languages[1]), files=files)
