"""`zoo predict FOLDER` or several images: a row for each file, printed or written as CSV or JSON."""

from __future__ import annotations

import collections
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track

from train.commands.console import say
from train.commands.predict_regions import covered, is_of_pixels
from train.core.console import Console
from train.data import decode
from train.data.images.folder import files_below
from zoo.errors import UserError, note
from zoo.files import write_atomically

if TYPE_CHECKING:
    from train.inference.files import Answer
    from zoo.weights import Loaded

ENDINGS = (".csv", ".json")
PICTURE = ".png"  # of one image with its regions
SAID = 10  # files that cannot be read and are named on the terminal


def require_out(out: Path) -> None:
    """Raise UserError for a file that cannot be written, before anything is computed."""
    if out.suffix.lower() not in (*ENDINGS, PICTURE):
        raise UserError(f"--out must end with {' or '.join(ENDINGS)}, not {out.name!r}")
    if not out.parent.is_dir():
        raise UserError(f"no folder {out.parent} to write {out.name} into")
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder")


def find_images(whats: Sequence[str]) -> list[Path]:
    """Return the image files that are meant: those named, and all below the folders named, sorted within each.

    Says how many other files were left out. Raises UserError where one is missing or a folder has no images.
    """
    found: list[Path] = []
    left_out: collections.Counter[str] = collections.Counter()
    for what in whats:
        path = Path(what).expanduser()
        if path.is_dir():
            files = files_below(path)
            images = [file for file in files if file.suffix.lower() in decode.ENDINGS]
            endings = [file.suffix.lower() for file in files]
            left_out.update(ending or "without an ending" for ending in endings if ending not in decode.ENDINGS)
            if not images:
                raise UserError(f"{path} contains no images ({', '.join(decode.ENDINGS)})")
            found += images
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"no image at {what} (a text with spaces needs quotes)")
    if left_out:
        kinds = ", ".join(f"{count} {ending}" for ending, count in left_out.most_common(5))
        note(f"{_count(left_out.total(), 'file')} without the ending of an image left out ({kinds})")
    return found


def predict_images(
    loaded: Loaded, paths: Sequence[Path], name: Callable[[int], str] | None, *, top: int, batch: int, out: Path | None
) -> None:
    """Predict every image, and print a line or write a row for each.

    name: number of a class -> its name; None where the outputs are numbers and not the logits of classes.
    A file that cannot be read has its error in its row. Ctrl-C writes the rows that are finished.
    """
    rows: list[dict[str, Any]] = []
    try:
        for answer in _answers(loaded, paths, batch):
            row = _row(answer, name, top)
            rows.append(row)
            broken = sum("error" in row for row in rows)
            if answer.error and broken <= SAID and len(paths) > 1:
                note(answer.error)
            if out is None:
                say(_line(row))
    except KeyboardInterrupt:
        if out is not None and rows:
            write(out, rows)
            note(f"stopped; {out} holds {len(rows):,} of {len(paths):,} files")
        raise
    broken = sum("error" in row for row in rows)
    if broken == len(rows):
        raise UserError(rows[0]["error"] if broken == 1 else f"none of the {broken:,} files could be predicted")
    if out is not None:
        write(out, rows)
        rest = f", {broken:,} of them with an error in place of a prediction" if broken else ""
        say(f"{out}: {_count(len(rows), 'file')}{rest}")
    elif broken:
        note(f"{broken:,} of {len(rows):,} files could not be predicted")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _answers(loaded: Loaded, paths: Sequence[Path], batch: int) -> Iterator[Answer]:
    import jax

    from train.commands.predict import inputs_of, open_picture
    from train.inference.files import answers

    prepare = inputs_of(loaded)
    program = jax.jit(lambda variables, x: loaded.model.apply(variables, x, train=False))
    console = Console(stderr=True)
    found = answers(
        lambda x: program(loaded.variables, x),
        lambda path: prepare(open_picture(path, prepare.least)),
        paths,
        batch,
    )
    return iter(
        track(found, "images", total=len(paths), console=console, disable=not console.is_terminal, transient=True)
    )


def _row(answer: Answer, name: Callable[[int], str] | None, top: int) -> dict[str, Any]:
    """Return {"file", "predictions": the likeliest classes}, {"file", "outputs"}, {"file", "error"}, or for a class of
    each pixel {"file", "regions": the classes that cover most of the image}.
    """
    row: dict[str, Any] = {"file": str(answer.path)}
    if answer.output is None:
        return row | {"error": answer.error}
    if is_of_pixels(answer.output):
        found = covered(answer.output, name or str, top)
        return row | {"regions": [{"class": label, "share": round(share, 6)} for share, label in found]}
    if name is None or answer.output.size == 1:  # numbers, not the logits of classes
        return row | {"outputs": [float(value) for value in answer.output.reshape(-1)]}
    logits = answer.output.astype(np.float64)
    powers = np.exp(logits - logits.max())
    shares = powers / powers.sum()
    best = np.argsort(-shares, kind="stable")[:top]
    return row | {"predictions": [{"class": name(int(i)), "probability": round(float(shares[i]), 6)} for i in best]}


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['file']}  –"
    if "outputs" in row:
        return f"{row['file']}  {' '.join(f'{value:.4g}' for value in row['outputs'])}"
    named = [(own["class"], own[kind]) for kind, own in _named(row)]
    return f"{row['file']}  " + ", ".join(f"{label} {100 * share:.1f} %" for label, share in named)


def _named(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return ("probability" or "share", what the row says) of each class in a row."""
    return [
        (kind, own)
        for part, kind in (("predictions", "probability"), ("regions", "share"))
        for own in row.get(part, ())
    ]


def write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows as CSV or JSON, by the ending of `out`, whole or not at all."""
    if out.suffix.lower() == ".json":
        write_atomically(out, "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows(_csv(rows))
    # The name of a file may hold bytes that are no UTF-8; they stay what they are.
    write_atomically(out, table.getvalue().encode("utf-8", "surrogateescape"))


def _csv(rows: Sequence[dict[str, Any]]) -> Iterator[list[Any]]:
    """Yield the head and the rows of the CSV: file, class, probability, class_2, …; the error comes last."""
    cells = [
        [value for kind, each in _named(row) for value in (each["class"], each[kind])] + row.get("outputs", [])
        for row in rows
    ]
    width = max(map(len, cells))
    if any("outputs" in row for row in rows):
        head = [f"output_{number}" for number in range(width)]
    else:
        numbers = ["", *(f"_{number}" for number in range(2, width // 2 + 1))]
        second = "share" if any("regions" in row for row in rows) else "probability"
        head = [f"{kind}{number}" for number in numbers for kind in ("class", second)]
    yield ["file", *head, "error"]
    for row, own in zip(rows, cells, strict=True):
        yield [row["file"], *own, *[""] * (width - len(own)), row.get("error", "")]
