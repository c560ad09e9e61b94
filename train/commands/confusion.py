"""What `zoo eval` shows and writes of the classes of a classifier: accuracy of each, and the confusion matrix."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.measure import Measurement
from rich.table import Table

from train.commands.console import PIPE_WIDTH, say
from train.config.replicas import Member
from train.core.console import Console
from train.loop.replicas import Confused
from train.loop.summary import SettingResult
from train.metrics.confusion import Confusion, added
from train.pictures.style import LEAN
from zoo.errors import UserError, note
from zoo.files import lists_in_rows, write_atomically

SHOWN_WHOLE = 20  # classes up to which the terminal shows all of them
WORST, COMMONEST = 10, 10  # classes and confusions that it shows of more


@dataclasses.dataclass(frozen=True)
class Classes:
    """The confusion matrices of an evaluation, by split, and the replicas that they come from."""

    names: tuple[str, ...]
    members: Sequence[Member]
    each: Mapping[str, list[np.ndarray]]  # split -> the matrix of each replica; without splits that are empty
    shown: Sequence[int]  # the replicas that are added up: those of the best setting
    counts: str = "examples"  # what is counted, or "pixels"

    def of(self, split: str) -> Confusion:
        """Return the sum of the matrices of the replicas that are shown."""
        shown = [self.members[number] for number in self.shown]
        times = len(shown)
        if split == "validation" and shown[0].fold is not None:  # each fold holds out other examples
            times = len({member.seed for member in shown})
        return added([self.each[split][number] for number in self.shown], self.names, times)

    @property
    def overlaps(self) -> bool:
        """Whether the classes are regions of images, of which the overlap says more than the accuracy."""
        return self.counts == "pixels"

    @property
    def remark(self) -> str:
        """Say what was added up; "" for a run of one replica."""
        if len(self.members) == 1:
            return ""
        shown = [self.members[number] for number in self.shown]
        best = " of the best setting" * (len(shown) < len(self.members))
        if shown[0].fold is None:
            return f"added over {len(shown)} seeds{best}"
        seeds = len({member.seed for member in shown})
        each = f" with {seeds} seeds each" * (seeds > 1)
        return f"added over {len(shown) // seeds} folds{each}{best}"


def collect(
    names: tuple[str, ...],
    members: Sequence[Member],
    found: Mapping[str, Sequence[Confused]],
    settings: Sequence[SettingResult],
    counts: str,
) -> Classes | None:
    """Return the matrices of an evaluation; None where it has none.

    found: split -> results and matrix of each replica. counts: what is counted, "examples" or "pixels".
    """
    each = {
        split: [matrix for _, matrix in confused if matrix is not None] for split, confused in found.items() if confused
    }
    if not all(each.values()) or not each:
        return None
    best = next(setting.setting for setting in settings if setting.best)
    shown = [number for number, member in enumerate(members) if len(members) == 1 or member.setting == best]
    return Classes(names, members, each, shown, counts)


def print_classes(console: Console, classes: Classes, rest: str) -> None:
    """Print a line for each class, and the confusions. rest: where to find what a terminal has no room for."""
    split = list(classes.each)[-1]  # test, unless there is none
    confusion = classes.of(split)
    console.print(_per_class(classes, confusion))
    few, matrix = len(classes.names) <= SHOWN_WHOLE, _matrix(classes, confusion, split)
    if few and Measurement.get(console, console.options.update(width=PIPE_WIDTH), matrix).maximum <= console.width:
        console.print(matrix)
        return
    console.print(_commonest(classes, confusion, split))
    say(f"in full: the confusion matrix{'' if few else f' and all {len(classes.names)} classes'} in {rest}")


def _per_class(classes: Classes, confusion: Confusion) -> Table:
    """Return a table of the classes, or where they are many of the worst ones by `confusion`."""
    few = len(classes.names) <= SHOWN_WHOLE
    of = {split: classes.of(split) for split in classes.each}
    rows = range(len(classes.names)) if few else confusion.worst(WORST)
    what = f"accuracy of the {classes.counts} of each class" if classes.overlaps else "accuracy of each class"
    title = what if few else f"the {len(rows)} classes with the lowest accuracy"
    table = Table(title=title, caption=_caption("", classes), **LEAN)
    table.add_column("class", overflow="ellipsis", no_wrap=True)
    for split in of:
        table.add_column(split, justify="right", no_wrap=True)
        table.add_column("accuracy", justify="right", no_wrap=True)
        if classes.overlaps:
            table.add_column("IoU", justify="right", no_wrap=True)
    for row in rows:
        cells = []
        for own in of.values():
            cells += [f"{own.examples[row]:,}", _percent(own.accuracy[row])]
            cells += [_percent(own.iou[row])] if classes.overlaps else []
        table.add_row(classes.names[row], *cells)
    return table


def _matrix(classes: Classes, confusion: Confusion, split: str) -> Table:
    """Return the confusion matrix, its columns by the numbers of the classes."""
    caption = _caption("rows: true class, columns: predicted class", classes)
    table = Table(title=f"confusion matrix on {split}", caption=caption, **LEAN)
    table.add_column("", overflow="ellipsis", no_wrap=True)
    for number, _ in enumerate(classes.names):
        table.add_column(str(number), justify="right", no_wrap=True)
    for number, (name, counts) in enumerate(zip(classes.names, confusion.counts, strict=True)):
        head = name if name == str(number) else f"{number} {name}"
        table.add_row(head, *(f"{count}" if count else "·" for count in counts))
    return table


def _commonest(classes: Classes, confusion: Confusion, split: str) -> Table:
    table = Table(title=f"most frequent confusions on {split}", caption=_caption("", classes), **LEAN)
    for head in ("true class", "predicted class"):
        table.add_column(head, overflow="ellipsis", no_wrap=True)
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    for true, predicted, count in confusion.commonest(COMMONEST):
        total = int(confusion.counts[true].sum())
        table.add_row(classes.names[true], classes.names[predicted], f"{count:,}", f"{total:,}")
    return table


def _caption(about: str, classes: Classes) -> str | None:
    return "; ".join(filter(None, (about, classes.remark))) or None


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.2f} %"


def write_classes(folder: Path, classes: Classes, heading: Mapping[str, Any], name: str) -> list[Path]:
    """Write confusion.json, and a picture for each split, to `folder`, and return their paths.

    heading: what the JSON says of the run. Raises UserError where nothing can be written.
    """
    from train.pictures import confusion as picture
    from train.pictures import figures

    content = {
        **heading,
        "classes": list(classes.names),
        "splits": {split: _json(classes, split) for split in classes.each},
    }
    text = lists_in_rows(json.dumps(content, indent=1))
    written = [write_atomically(folder / "confusion.json", text + "\n", make_folder=True)]
    for split in classes.each:
        own = classes.of(split)
        about = [f"{own.examples.sum():,} {classes.counts}, step {heading['step']:,}", classes.remark]
        meaning = "Blue: recognized, brick: confused; the darker, the larger the share of the true class"
        page = picture.draw(own, f"{name}, {split}", f"{', '.join(filter(None, about))}. {meaning}.")
        written.append(figures.write(page, folder / f"confusion_{split}.png"))
    return written


def _json(classes: Classes, split: str) -> dict[str, Any]:
    """Return what confusion.json says of a split. A class without examples has the accuracy null."""
    own = classes.of(split)
    shares = {"accuracy": own.accuracy} | ({"iou": own.iou} if classes.overlaps else {})
    content: dict[str, Any] = {
        classes.counts: own.examples.tolist(),
        **{name: [None if np.isnan(share) else float(share) for share in each] for name, each in shares.items()},
        "confusion": own.counts.tolist(),
    }
    if len(classes.members) > 1:
        content["added"] = classes.remark
        content["replicas"] = [
            {"seed": member.seed, "setting": member.setting, "fold": member.fold, "confusion": matrix.tolist()}
            for member, matrix in zip(classes.members, classes.each[split], strict=True)
        ]
    return content


def written_to(folder: Path, default: bool, classes: Classes, heading: Mapping[str, Any], name: str) -> list[Path]:
    """Write the files to `folder`. Where the user did not name it and nothing can be written there, only say so."""
    try:
        return write_classes(folder, classes, heading, name)
    except UserError as error:
        if not default:
            raise
        note(f"{error}; --out FOLDER writes the confusion matrix elsewhere")
        return []
