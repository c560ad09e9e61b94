"""The table of a grid as Markdown and on the console, its notes, and what it says in two sentences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from train.history.grids import ladder
from train.history.grids.cells import name_of
from train.history.grids.results import interval
from train.pictures.style import LEAN

MARK = "*"  # of a cell that has a note


def line(cell: Mapping[str, Any]) -> str:
    """Return the line of a cell that has been run: "mlp/1986: 45.1 % (43.9 to 46.3), rate 0.0316, 12 s"."""
    notes = "".join(f"; {note}" for note in notes_of(cell))
    name = name_of(cell["row"], cell["column"])
    return f"{name}: {accuracy(cell)}, rate {cell['rate']:g}, {cell['seconds']:,.0f} s{notes}"


def accuracy(cell: Mapping[str, Any]) -> str:
    """Return the mean test accuracy of a cell with its interval: "97.8 % (97.2 to 98.4)"."""
    mean, low, high = interval(cell)
    return f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def notes_of(cell: Mapping[str, Any]) -> list[str]:
    """Return what must be said of a cell: its seeds that diverged, its rate, and what was left out."""
    found = [f"seed {seed} diverged and counts as chance, {100 * cell['chance']:.3g} %" for seed in cell["diverged"]]
    return [*found, *filter(None, [cell["doubt"]]), *cell["left_out"]]


def rows_of(found: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the head of a grid's table and its rows: the accuracy of each cell, and the best of each row and column.

    Of a ladder it is a row for each rung, with its error and what that is more or less than the one before.
    """
    if ladder.is_ladder(found):
        yield [found["column"], "test error", "change, points", "rate", "images"]
        for rung in ladder.rungs(found):
            mark = MARK * bool(notes_of(rung.cell))
            numbers = f"{rung.cell['rate']:g}", f"{rung.cell['images']:,}"
            yield [with_year(rung.column), rung.error_text + mark, rung.change_text, *numbers]
        return
    there = {name_of(cell["row"], cell["column"]): cell for cell in found["cells"]}
    analysis = found["analysis"] or {}
    best = [f"best {found['column']}"] if analysis else []
    yield [found["row"], *(column["says"] for column in found["columns"]), *best]
    for row in found["rows"]:
        cells = [there.get(name_of(row["name"], column["name"])) for column in found["columns"]]
        texts = ["–" if cell is None else accuracy(cell) + MARK * bool(notes_of(cell)) for cell in cells]
        own = [_best(analysis["best_column"][row["name"]], found["columns"])] if analysis else []
        yield [with_year(row), *texts, *own]
    if analysis:
        rows = [_best(analysis["best_row"][column["name"]], found["rows"]) for column in found["columns"]]
        yield [f"best {found['row']}", *rows, ""]


def with_year(one: Mapping[str, Any]) -> str:
    """Return the name of a row for readers, with its year where that is not in it."""
    year = one["year"]
    return one["says"] if year is None or str(year) in one["says"] else f"{one['says']} ({year})"


def _best(best: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    says = next(one["says"] for one in others if one["name"] == best["name"])
    return f"{says} ({100 * best['sure']:.0f} %)"


def sentences(found: Mapping[str, Any]) -> list[str]:
    """Return the two sentences that a whole grid says; [] for one of which cells are missing."""
    if ladder.is_ladder(found):
        return ladder.sentences(found)
    analysis, row, column = found["analysis"], found["row"], found["column"]
    if not analysis:
        return []
    parts = {
        name: f"{100 * one['share']:.0f} % ({100 * one['low']:.0f} to {100 * one['high']:.0f})"
        for name, one in analysis["parts"].items()
    }
    first = (
        f"Of the spread in log error, {parts['row']} goes with the {row}, {parts['column']} with the {column}, "
        f"{parts['both']} with both together and {parts['seeds']} with the seed."
    )
    nets, recipes = analysis["best_row"], analysis["best_column"]
    net, under = Counter(one["name"] for one in nets.values()).most_common(1)[0]
    recipe, of = Counter(one["name"] for one in recipes.values()).most_common(1)[0]
    names = {side: {one["name"]: one["says"] for one in found[side]} for side in ("rows", "columns")}
    second = (
        f"{names['rows'][net]} is the best {row} with {under} of {len(nets)} {column}s, and {names['columns'][recipe]} "
        f"the best {column} for {of} of {len(recipes)} {row}s."
    )
    return [first, second]


def budget(found: Mapping[str, Any]) -> str:
    """Return how the cells were trained, in one line."""
    tuned = f"{found['tune_images']:,} images and {found['tune_seeds']} other seed{'s' * (found['tune_seeds'] > 1)}"
    figure = f"Test error of {found['rows'][0]['says']}" if ladder.is_ladder(found) else "Test accuracy"
    return (
        f"{figure} on {found['dataset']}, mean of {found['seeds']} seeds and its interval of 95 %. Every cell learns "
        f"from {found['images']:,} images{_other_numbers(found)}; its rate was chosen on validation, after {tuned}."
    )


def _other_numbers(found: Mapping[str, Any]) -> str:
    """Name the columns with a number of images of their own; "" where there is none."""
    own = {cell["column"]: cell["images"] for cell in found["cells"] if cell["images"] != found["images"]}
    says = {one["name"]: one["says"] for one in found["columns"]}
    return "".join(f", with {says[name]} from {images:,}" for name, images in own.items())


def markdown(found: Mapping[str, Any]) -> str:
    """Return a grid as Markdown: how it was made, its table, what it says, and the notes of its cells."""
    head, *rows = rows_of(found)
    lines = [f"### {found['title']}", "", budget(found), "", _row(head), _row(["---"] * len(head)), *map(_row, rows)]
    if found["analysis"]:
        lines += ["", "Behind the best of a row or a column stands the share of resamples in which it is the best."]
    lines += ["", *sentences(found)]
    lines += ["", *_notes(found)]
    minutes = f"{found['seconds'] / 60:,.0f} minutes of training in all; {found['date']}."
    return "\n".join([*lines, minutes]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _notes(found: Mapping[str, Any]) -> list[str]:
    """Return a list of the notes of all cells, each note once with the cells that have it."""
    cells: dict[str, list[str]] = {}
    for cell in found["cells"]:
        marked = [f"{MARK} {note}" for note in notes_of(cell)]
        for note in (*marked, *cell["fitted"]):
            cells.setdefault(note, []).append(name_of(cell["row"], cell["column"]))
    lines = [f"- {note}: {', '.join(names)}" for note, names in cells.items()]
    return [*lines, ""] if lines else []


def show(found: Mapping[str, Any]) -> Table:
    """Return a grid as a table for the console."""
    head, *rows = rows_of(found)
    made = Table(title=found["title"], title_justify="left", **LEAN)
    for name in head:
        made.add_column(name)
    for row in rows:
        made.add_row(*row)
    return made
