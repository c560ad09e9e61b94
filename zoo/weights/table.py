"""The table of weights by name, pretrained.json: where each set comes from, what proves it, what it may be used for.

A name is a card, a dot and a tag: "resnet50.tv_in1k". A bare card name stands for the row that says `default`. Names,
revisions and hashes come from public files, which each row names (`stated_in`). No row states a hash that no public
file states: then the hash that the hub itself states for the pinned commit is checked and kept, in checked.json.
"""

import dataclasses
import difflib
import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import UserError, unknown
from zoo.files import is_file_name, read_json
from zoo.weights import preprocessing
from zoo.weights.files import PICKLES
from zoo.weights.preprocessing import Preprocessing

FILE = Path(__file__).with_name("pretrained.json")
HUB, PACKAGE = "hf://", "package:"
NAME = re.compile(r"[a-zA-Z0-9_-]+\.[a-zA-Z0-9_.-]+")
WORD = re.compile(r"[\w.-]+")  # what can be a name of weights; a path has more
FILES = (".safetensors", ".npz", ".json", ".stablehlo", *PICKLES)
COMMIT, SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")


class FileFacts(NamedTuple):
    """What is known of a file before it is there; None: no public file states it."""

    bytes: int | None = None
    sha256: str | None = None


class Figure(NamedTuple):
    """A published or measured figure of these very weights, and what other seeds of the recipe come to."""

    metric: str
    value: float
    on: str  # the data that it was measured on
    source: str  # who states it; of our own the command that measures it
    unit: str = ""  # "%", or nothing
    seeds: int | None = None  # how many seeds of the recipe were trained, this one included; None: not trained here
    mean: float | None = None  # over those seeds
    spread: float | None = None  # their standard deviation

    def __str__(self) -> str:
        own = f"{self.metric} {self.value:g} {self.unit}".strip()
        if self.mean is None or self.spread is None:
            return own if self.seeds is None else f"{own} (n = {self.seeds})"
        return f"{own} ({self.mean:.4g} ± {self.spread:.2g}, n = {self.seeds})"


class Recipe(NamedTuple):
    """How weights of this project were trained."""

    config: str
    seed: int
    commit: str
    step: int  # of the checkpoint, chosen on validation
    log: str  # the file in the row's folder that has the training log


@dataclasses.dataclass(frozen=True, repr=False, kw_only=True)
class Row:
    """One set of weights."""

    name: str  # card, dot, tag
    card: str
    files: Mapping[str, FileFacts]  # the weights first, then the vocabulary and what else lies beside them
    source: str  # hf://owner/name, or package:MODULE, whose folder `pretrained` holds them
    licence: str | None  # None: the owner states none
    trained_on: str
    revision: str | None = None  # commit of the hub's repository
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of the card's Config
    layout: str = "auto"
    preprocessing: Preprocessing | None = None  # None: the files say it
    labels: tuple[str, ...] | None = None  # None: the files say them, or there are no classes
    figure: Figure | None = None
    intended_use: str = ""
    fails_on: str = ""  # what they get wrong
    picture: str | None = None  # which of the files shows a confusion matrix, or samples
    stated_in: str = ""  # where name, revision and hash stand in public
    recipe: Recipe | None = None  # None: not trained here
    default: bool = False  # whether the bare card name means this row

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or self.name.partition(".")[0] != self.card:
            raise UserError(f"{self.name!r} must be the name of its card, {self.card!r}, a dot and a tag")
        if not self.files or not all(map(is_file_name, self.files)):
            raise UserError(f"{self.name}: files must be names of files, the weights first")
        if self.source.startswith(HUB):
            if not COMMIT.fullmatch(self.revision or ""):
                raise UserError(f"{self.name}: the revision must be a commit of 40 digits, not {self.revision!r}")
        elif not self.source.startswith(PACKAGE):
            raise UserError(f"{self.name}: the source must be {HUB}owner/name or {PACKAGE}MODULE, not {self.source!r}")
        for file, facts in self.files.items():
            if facts.sha256 is not None and not SHA256.fullmatch(facts.sha256):
                raise UserError(f"{self.name}: the SHA-256 of {file} must have 64 digits, not {facts.sha256!r}")
            if facts.sha256 is None and self.source.startswith(PACKAGE):
                raise UserError(f"{self.name}: {file} comes with this project, so its SHA-256 must be stated")
        if self.picture is not None and self.picture not in self.files:
            raise UserError(f"{self.name}: the picture {self.picture!r} must be one of its files")
        if self.licence is not None and not self.licence.strip():
            raise UserError(f"{self.name}: the licence is not stated: name it, or write null if the owner states none")

    @property
    def file(self) -> str:
        """The file of the weights."""
        return next(iter(self.files))

    @property
    def bytes(self) -> int | None:
        return self.files[self.file].bytes

    @property
    def sha256(self) -> str | None:
        return self.files[self.file].sha256

    @property
    def place(self) -> str:
        """The source with its revision: "hf://owner/name@commit"."""
        return f"{self.source}@{self.revision}" if self.revision else self.source

    @property
    def size(self) -> str:
        return "" if self.bytes is None else f"{self.bytes / 1e6:,.1f} MB"

    def __repr__(self) -> str:
        facts = (self.size, str(self.figure or ""), self.licence or "licence not stated", self.place)
        return f"Row({self.name!r}: {', '.join(filter(None, facts))})"


class Table(NamedTuple):
    """All rows by name, and why other weights of the same cards cannot be had by name."""

    rows: Mapping[str, Row]
    absent: Mapping[str, str]


def read(path: Path) -> Table:
    """Read a table. UserError, one line, for a row with a wrong or an unknown field."""
    content = read_json(path)
    try:
        rows = {name: from_json(name, fields) for name, fields in content["rows"].items()}
        absent = {str(name): str(why) for name, why in content.get("absent", {}).items()}
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a table of weights ({type(error).__name__}: {str(error)[:80]})") from None
    for card in {row.card for row in rows.values()}:
        if sum(row.default for row in rows.values() if row.card == card) != 1:
            raise UserError(f"{path}: one row of {card} must be its default")
    return Table(rows, absent)


def from_json(name: str, content: Mapping[str, Any]) -> Row:
    """Return the row called `name`; `to_json` is the inverse."""
    fields = dict(content)
    if strange := sorted(fields.keys() - {field.name for field in dataclasses.fields(Row)} - {"name"}):
        raise UserError(f"{name}: {unknown('field of a row', strange[0], (f.name for f in dataclasses.fields(Row)))}")
    given = fields.get("fields", {})
    fields["fields"] = {field: tuple(value) if isinstance(value, list) else value for field, value in given.items()}
    fields["card"] = fields.get("card", name.partition(".")[0])
    fields["files"] = {file: FileFacts(**facts) for file, facts in fields["files"].items()}
    for key, kind in (("figure", Figure), ("recipe", Recipe)):
        if fields.get(key) is not None:
            fields[key] = kind(**fields[key])
    fields["preprocessing"] = preprocessing.from_json(fields.get("preprocessing"))
    if fields.get("labels") is not None:
        fields["labels"] = tuple(map(str, fields["labels"]))
    return Row(name=name, **fields)


@functools.cache
def _read_once(path: Path) -> Table:
    return read(path)


def current() -> Table:
    """Return the table that comes with this version."""
    return _read_once(FILE)


def find(name: str) -> Row | None:
    """Return the row called `name`, or the default row of the card of that name; None where there is none."""
    rows = current().rows
    if name in rows:
        return rows[name]
    return next((row for row in rows.values() if row.card == name and row.default), None)


def require(name: str) -> Row:
    """Return the row called `name`. UserError says why there is none, or offers near names."""
    if (row := find(name)) is not None:
        return row
    raise missing(name) or unknown("weights", name, known())


def named_by(source: str) -> Row | None:
    """Return the row that a source means which is no path; None where it is no name of weights, nor near to one.

    UserError for weights that cannot be had by name, and for a name with near ones.
    """
    if (row := find(source)) is not None:
        return row
    if not WORD.fullmatch(source) or Path(source).suffix in FILES:
        return None
    if (error := _absent(source)) is not None:
        raise error
    near = difflib.get_close_matches(source, known(), n=3, cutoff=0.6)
    if near:
        raise UserError(
            f"no file or folder at {source}, and no weights of that name: did you mean {' or '.join(near)}?"
        )
    return None


def known() -> list[str]:
    """Return every name that `find` knows: those of the rows, and of the cards that have some."""
    rows = current().rows
    return [*rows, *dict.fromkeys(row.card for row in rows.values())]


def missing(name: str) -> UserError | None:
    """Return the error for weights that exist and cannot be had by name, or for a card without any; else None."""
    if (error := _absent(name)) is not None:
        return error
    from zoo import CARDS  # here, because it imports every model

    if name in CARDS:
        return UserError(f"{name} has no weights by name (zoo list --pretrained shows those that there are)")
    return None


def _absent(name: str) -> UserError | None:
    absent = current().absent
    if name in absent:
        return UserError(f"{name}: {absent[name]}")
    of_card = [other for other in absent if other.partition(".")[0] == name]
    if of_card:
        return UserError(f"{name} has no weights by name. {of_card[0]}: {absent[of_card[0]]}")
    return None


def match(pattern: str = "*") -> list[Row]:
    """Return the rows whose name matches a shell pattern such as "vit*", or whose card is called `pattern`."""
    rows = current().rows.values()
    return [row for row in rows if fnmatch.fnmatchcase(row.name, pattern) or row.card == pattern]


def matching(patterns: Iterable[str]) -> list[Row]:
    """Return the rows that names and patterns mean, each once. UserError for one that means none."""
    found: dict[str, Row] = {}
    for pattern in patterns:
        some = match(pattern) if re.search(r"[*?\[]", pattern) else [require(pattern)]
        if not some:
            raise unknown("weights", pattern, known())
        found |= {row.name: row for row in some}
    return list(found.values())
