"""`zoo data show NAME`: a sheet of labelled examples of a set of images, or a table of those of a set of text."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.table import Table
from rich.text import Text

from train.commands.console import console_for, say
from train.commands.options import named
from train.config import Data, Scenes
from train.config.data import is_scenes
from zoo.errors import UserError, printable

IMAGES, TEXTS = 40, 10
"""Examples shown where no number is given."""
MOST = 1_000
LONGEST = 300
"""Characters of a text that are shown."""


@dataclasses.dataclass(frozen=True)
class OfScenes:
    """What scenes, which are composed from real digits, are like."""

    size: int | None = None
    """Scenes: height and width in pixels, 16 or more."""
    preset: str | None = None
    """Scenes: easy, medium or hard."""
    pieces: int | None = None
    """Scenes: pieces of other digits in each."""

    def given(self) -> dict[str, Any]:
        """Return the fields of `Scenes` that have a value."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(OfScenes)}
        return {name: value for name, value in fields.items() if value is not None}


@dataclasses.dataclass(frozen=True)
class ShowOptions(OfScenes):
    """Show labelled examples of a data set: images as a sheet in a PNG file, text as a table."""

    out: Path | None = None
    """The PNG file; by default the name of the set and of the split, here."""
    split: Literal["train", "validation", "test"] = "train"
    """The split that the examples are of."""
    n: int | None = None
    """How many examples; 40 images or 10 texts without it."""
    image_size: int | None = None
    """Bring images to this height and width in pixels, which a set whose images differ needs."""


def show_examples(args: Sequence[str]) -> None:
    """`zoo data show NAME`."""
    name, options = named(args, "NAME", ShowOptions, "zoo data show")
    if options.n is not None and not 1 <= options.n <= MOST:
        raise UserError(f"--n must be from 1 to {MOST:,}, not {options.n}")
    if options.given() and not is_scenes(name):
        raise UserError(f"--{next(iter(options.given()))} is for scenes, and this is {name}")
    _require_examples(name)
    if _is_text(name):
        _show_texts(name, options)
    else:
        _show_images(name, options)


def _require_examples(name: str) -> None:
    """Raise UserError for an environment, which has no examples."""
    from train.data import worlds

    if name in worlds.names() or name.startswith(("atari/", "minatar/")):
        raise UserError(f"{name} is an environment, which has no examples: zoo play RUN films a trained agent in it")


def _is_text(name: str) -> bool:
    """Return whether a set is one of text. Of TFDS and Hugging Face sets the columns decide."""
    from train.data import embedded, kinds, own
    from train.data.images import catalog
    from train.data.text.catalog import is_embedded

    if own.kind_of(name) is not None:
        return own.kind_of(name) == "text"
    if catalog.is_text(name) or is_embedded(name):
        return True
    if name in embedded.IMAGES or is_scenes(name) or kinds.prefix(name) in kinds.IMAGES:
        return False
    try:
        catalog.find(Data(name, image_size=8))
    except kinds.IsText:
        return True
    except UserError:  # which showing its images will raise again
        return False
    return False


def _show_images(name: str, options: ShowOptions) -> None:
    from train.data.images import catalog
    from train.data.masks.catalog import has_masks
    from train.data.masks.catalog import load as load_masks
    from train.data.split import some
    from train.pictures import grids, segments

    if options.out is not None:
        _require_picture(options.out)
    fields: dict[str, Any] = {"image_size": options.image_size, "placement": "stream", "mean": (0.0,), "std": (1.0,)}
    data = Scenes(name, **options.given(), **fields) if is_scenes(name) else Data(name, **fields)
    masked = has_masks(name)
    dataset = load_masks(data) if masked else catalog.load(data)
    split = getattr(dataset, options.split)
    if not len(split):
        raise UserError(f"{name} has no {options.split} split")
    examples = some(split, options.n or IMAGES)
    if examples["x"].ndim != 4 or examples["x"].dtype != np.uint8:
        raise UserError(f"{name} holds arrays of the shape {dataset.shape}, which are no images")
    names = _names_of(examples["y"], dataset)
    if masked:
        examples["x"] = segments.overlaid(examples["x"], examples["y"], dataset.classes)
    out = options.out or Path(f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_.')}_{options.split}.png")
    _require_picture(out)
    grids.write(grids.labelled(examples["x"], names), out)
    height, width, channels = dataset.shape
    classes = f", {dataset.classes} classes" if dataset.classes else ""
    content = f"{height}x{width}x{channels}{classes}"
    say(f"{out}: {len(names)} of {len(split):,} {options.split} images of {_title(dataset)}, {content}")


def _names_of(labels: np.ndarray, dataset: Any) -> list[str]:
    """Return what stands below each image: its class, or of a mask the classes in it, but for class 0."""
    if not dataset.classes:
        return list(map(str, labels.tolist()))
    if labels.ndim == 1:
        return [dataset.class_names[label] for label in labels.tolist()]
    there = [np.unique(mask[(mask > 0) & (mask < dataset.classes)]).tolist() for mask in labels]
    return [", ".join(dataset.class_names[label] for label in own) or dataset.class_names[0] for own in there]


def _title(dataset: Any) -> str:
    return f"{dataset.name} {dataset.version}".strip()


def _require_picture(out: Path) -> None:
    """Raise UserError for a file that cannot be written."""
    if out.suffix.lower() != ".png":
        raise UserError(f"--out must name a .png file, not {out.name!r}")
    if not out.parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder")


def _show_texts(name: str, options: ShowOptions) -> None:
    if options.out is not None or options.image_size is not None:
        field = "--out" if options.out is not None else "--image-size"
        raise UserError(f"{field} is for images, and {name} is text, which is printed")
    corpus = _corpus(name)
    examples = corpus.splits.get(options.split)
    if examples is None:
        there = ", ".join(corpus.splits)
        raise UserError(f"{name} has no {options.split} split of its own, only {there}: training cuts the others")
    count = min(options.n or TEXTS, len(examples))
    places = np.linspace(0, len(examples) - 1, count).astype(int)  # spread evenly over the split
    table = Table("example", title=f"{name}, {options.split}", title_justify="left", show_lines=True)
    for column in _columns(examples):
        table.add_column(column, overflow="fold")
    for place in places.tolist():
        table.add_row(str(place), *(Text(_shortened(cell)) for cell in _cells(corpus, examples, place)))
    console_for().print(table)
    say(f"{count} of {len(examples):,} {options.split} examples of {_title(corpus)}")


def _columns(examples: Any) -> list[str]:
    """Return what the columns of the table are called."""
    second = [] if examples.seconds is None else ["second text" if examples.labels is not None else "translation"]
    return ["text", *second, *(["class"] if examples.labels is not None else [])]


def _cells(corpus: Any, examples: Any, place: int) -> list[str]:
    """Return what stands in the row of one example, in the order of `_columns`."""
    cells = [examples.texts[place]]
    if examples.seconds is not None:
        cells.append(examples.seconds[place])
    if examples.labels is not None:
        label = int(examples.labels[place])
        cells.append(corpus.class_names[label] if 0 <= label < len(corpus.class_names) else "secret")
    return cells


def _corpus(name: str) -> Any:
    """Return a set of text in the first form that it has."""
    from train.data.text import catalog

    for form in ("labelled", "pairs"):
        try:
            return catalog.find(name, form)
        except UserError:
            continue
    return catalog.find(name, "stream")


def _shortened(text: str) -> str:
    """Return a text in one paragraph, cut where it is long."""
    line = " ".join(text.split())
    return printable(line if len(line) <= LONGEST else f"{line[:LONGEST]}…")
