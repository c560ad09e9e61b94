"""`zoo weights`: get weights by name, into the user's cache or into a folder for others, and check those that are here.

`zoo list --pretrained` prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from train.commands.console import emit, say
from train.config.parse import take
from train.pictures.style import LEAN
from zoo.errors import Errors, UserError, unknown

if TYPE_CHECKING:
    from zoo.weights.table import Row

USAGE = (
    "usage: zoo weights fetch NAME … [--to DIR], or zoo weights verify [NAME …] [--in DIR]; a NAME may be a pattern, "
    'such as "resnet*", and zoo list --pretrained shows them all'
)


def weights_command(args: Sequence[str]) -> None:
    """`zoo weights`."""
    if not args or list(args) in (["-h"], ["--help"]):
        print(USAGE)
        return
    verb, *rest = args
    if verb not in ("fetch", "verify"):
        raise UserError(USAGE)
    rest, place = take("--to" if verb == "fetch" else "--in", rest)
    if any(word.startswith("-") for word in rest) or (verb == "fetch" and not rest) or place == "":
        raise UserError(USAGE)
    folder = None if place is None else Path(place).expanduser()
    if verb == "fetch":
        fetch(rest, folder)
    else:
        verify(rest, folder)


def fetch(names: Sequence[str], folder: Path | None) -> None:
    """Get weights, each into a folder of its own. What is there already is checked and stays.

    folder: one that ZOO_WEIGHTS=DIR reads on other machines, instead of the user's cache. With a single error the
    other names are still fetched.
    """
    from zoo.weights import store, table

    errors = Errors()
    for row in table.matching(names):
        with errors.kept():
            place = store.fetch(row, folder) if folder is not None else store.folder_of(row)
            say(f"{row.name}: {place}, checked by {store.check(row, place)}; licence {row.licence or 'not stated'}")
    errors.report()


def verify(names: Sequence[str], folder: Path | None) -> None:
    """Check the files of weights: of those that are named, without names of all that are on this machine."""
    from zoo.weights import store, table

    rows = table.matching(names) if names else table.match()
    errors, count = Errors(), 0
    for row in rows:
        with errors.kept():
            place = store.local(row) if folder is None else folder / row.name
            if place is None or not place.is_dir():
                if names:
                    raise UserError(f"{row.name} is not in {folder or store.cache()}: zoo weights fetch {row.name}")
                continue
            count += 1
            say(f"{row.name}: {place} is right, by {store.check(row, place)}")
    if not count and not errors:
        say(f"no weights in {folder or store.cache()}")
    errors.report()


def list_pretrained(patterns: Sequence[str], *, as_json: bool = False) -> None:
    """Print the table of weights: those whose name matches, or that are of the model so called."""
    from zoo.weights import table

    pattern = patterns[0] if patterns else "*"
    rows = table.match(pattern)
    if not rows:
        raise table.missing(pattern) or unknown("weights", pattern, table.known())
    if as_json:
        say(json.dumps([_json(row) for row in rows], indent=2, ensure_ascii=False))
        return
    shown = Table(**LEAN)
    for head, right in (("name", False), ("size", True), ("figure", False), ("trained on", False), ("licence", False)):
        shown.add_column(head, justify="right" if right else "left", no_wrap=head in ("name", "size"))
    shown.add_column("from", overflow="fold")
    for row in rows:
        name = f"{row.name} *" if row.default else row.name
        cells = (name, row.size, str(row.figure or ""), row.trained_on, row.licence or "not stated", row.place)
        shown.add_row(*map(Text, cells))
    emit(shown)
    say("* what the name of the model alone means; zoo weights fetch NAME downloads, --weights NAME uses")


def _json(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "card": row.card,
        "default": row.default,
        "source": row.source,
        "revision": row.revision,
        "files": {name: facts._asdict() for name, facts in row.files.items()},
        "layout": row.layout,
        "licence": row.licence,
        "trained_on": row.trained_on,
        "figure": row.figure and row.figure._asdict(),
        "recipe": row.recipe and row.recipe._asdict(),
        "stated_in": row.stated_in,
    }
