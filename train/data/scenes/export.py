"""Write scenes, composed from real digits, as folders of pictures, with tables, licence and datasheet."""

import contextlib
import csv
import io
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from train.config import Scenes
from train.data.images import groups
from train.data.scenes import glyphs, sets
from train.data.scenes.datasheet import LICENSE, datasheet
from train.data.scenes.sets import Scene
from zoo.errors import UserError
from zoo.files import writing

TABLE = "scenes.csv"
"""A row for each scene. `csv:DIR/scenes.csv` reads it too."""
GROUPS = groups.TABLE
"""The glyph of each scene as its group, as `folder:DIR` reads it; `scenes.csv` repeats it in a column for `csv:`."""
GLYPHS = "glyphs.csv"
"""A row for each of the 1,797 handwritten digits."""
AFFINE = ("xx", "xy", "x0", "yx", "yy", "y0")
COLUMNS = ("file", "label", "split", "group", "glyph", "pieces", *AFFINE)


def require_free(folder: Path) -> None:
    """Raise UserError where `folder` cannot be made: it exists, or a file is in its way."""
    if folder.exists() or folder.is_symlink():
        what = "a folder" if folder.is_dir() else "a file"
        raise UserError(f"--to: {folder} is {what} that exists already: choose another place, or remove it")
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    if not parent.is_dir():
        raise UserError(f"--to: {parent} is a file, so {folder} cannot be made")


def export(data: Scenes, folder: Path) -> dict[str, int]:
    """Write all scenes of a config into `folder`, which must not exist, and return how many each split has.

    `folder:FOLDER` reads back the same images and labels. The folder appears whole or not at all.
    Raises UserError for scenes that cannot be composed or written.
    """
    sets.check(data)
    if data.images is None:
        raise UserError("data.images=None makes new scenes at each step; an export needs their number, such as 8000")
    require_free(folder)
    with writing(folder), _whole(folder) as temporary:
        return _write(data, temporary)


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `folder`. When the block fails, neither it nor a folder above it is left."""
    new = [parent for parent in folder.absolute().parents if not parent.exists()]
    temporary = folder.with_name(f".{secrets.token_hex(8)}.part")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(folder)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in new:
            with contextlib.suppress(OSError):  # another process has written there
                parent.rmdir()
        raise


def _write(data: Scenes, folder: Path) -> dict[str, int]:
    rows: list[tuple[object, ...]] = []
    counts = {split: count for split, count in sets.counts(data).items() if count}
    for split in counts:
        scene = sets.composed(data, split)
        files = [f"{split}/{label}/{number:06}.png" for number, label in enumerate(scene.label)]
        for label in sets.CLASS_NAMES:
            (folder / split / label).mkdir(parents=True)
        for file, image in zip(files, scene.image, strict=True):
            Image.fromarray(image[..., 0]).save(folder / file)
        rows += _rows(split, files, scene)
    (folder / TABLE).write_text(_table(COLUMNS, rows), encoding="utf-8")
    of_scenes = [(file, group) for file, _, _, group, *_ in rows]
    (folder / GROUPS).write_text(_table((groups.FILE, groups.GROUP), of_scenes), encoding="utf-8")
    (folder / GLYPHS).write_text(_table(("glyph", "label", "split"), _glyph_rows(data)), encoding="utf-8")
    (folder / "LICENSE").write_text(LICENSE, encoding="utf-8")
    (folder / "README.md").write_text(datasheet(data, counts), encoding="utf-8")
    return counts


def _rows(split: str, files: list[str], scene: Scene) -> list[tuple[object, ...]]:
    """Return the rows of `scenes.csv`: the numbers of the pieces are divided by spaces, the affine map is in pixels."""
    return [
        (file, label, split, glyph, glyph, " ".join(map(str, pieces)), *(f"{value:.6f}" for value in affine.ravel()))
        for file, label, glyph, pieces, affine in zip(
            files, scene.label, scene.glyph, scene.pieces, scene.affine, strict=True
        )
    ]


def _glyph_rows(data: Scenes) -> list[tuple[object, ...]]:
    labels = glyphs.digits().y
    split_of = np.empty(len(labels), object)
    for split, numbers in glyphs.cut(data.validation, data.split_seed).items():
        split_of[numbers] = split
    return [(number, labels[number], split) for number, split in enumerate(split_of)]


def _table(columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
