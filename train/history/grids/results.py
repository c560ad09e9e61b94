"""The results of grids: what a grid's cells came to, and results/grids.json and .csv, the recorded ones."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from train.config import override
from train.history.claims.results import FILE as CLAIMS
from train.history.claims.results import in_lines
from train.history.grids import variance
from train.history.grids.cells import Cell, name_of
from train.history.grids.grid import Grid
from train.metrics.statistics import mean_interval
from zoo.errors import UserError
from zoo.files import parse_json, write_atomically

FILE = CLAIMS.with_name("grids.json")
LEAST_SEEDS = 5  # of each cell of a recorded grid


def facts(name: str, grid: Grid) -> dict[str, Any]:
    """Return what the result of a grid says of the grid itself."""
    return {
        "name": name,
        "title": grid.title,
        "row": grid.row,
        "column": grid.column,
        "rows": [
            {
                "name": row.name,
                "says": row.title,
                "year": row.year,
                "model": override(grid.base, row.changes).model.name,
            }
            for row in grid.rows
        ],
        "columns": [
            {
                "name": column.name,
                "says": column.title,
                "year": column.year,
                "paper": column.paper,
                "departs": column.departs,
            }
            for column in grid.columns
        ],
        "dataset": grid.base.data.name,
        "images": grid.images,
        "seeds": grid.seeds,
        "tune_images": grid.tune_images or grid.images,
        "tune_seeds": grid.tune_seeds,
    }


def assemble(known: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the result of a grid from its facts and those of its cells that are there, with what they say.

    Only a whole grid says something: every cell with equally many seeds, and at least two rows and two columns.
    """
    there = {name_of(cell["row"], cell["column"]): dict(cell) for cell in cells}
    order = [name_of(row["name"], column["name"]) for row in known["rows"] for column in known["columns"]]
    ordered = [there[name] for name in order if name in there]
    found = {
        **known,
        "seconds": round(sum(cell["seconds"] for cell in ordered), 1),
        "date": max((cell["date"] for cell in ordered), default=""),
        "analysis": None,
        "cells": ordered,
    }
    several = min(len(known["rows"]), len(known["columns"])) > 1
    if several and len(ordered) == len(order) and len({len(cell["values"]) for cell in ordered}) == 1:
        found["analysis"] = _analysis(found)
    return found


def _analysis(found: Mapping[str, Any]) -> dict[str, Any]:
    rows, columns = ([one["name"] for one in found[side]] for side in ("rows", "columns"))
    errors = [variance.log_errors(cell["values"], cell["examples"]) for cell in found["cells"]]
    said = variance.analyse(np.array(errors).reshape(len(rows), len(columns), -1))
    return {
        "parts": {
            name: {"share": round(part.share, 4), "low": round(part.low, 4), "high": round(part.high, 4)}
            for name, part in said.parts.items()
        },
        "best_column": {
            row: {"name": columns[best.index], "sure": round(best.sure, 3)}
            for row, best in zip(rows, said.best_column, strict=True)
        },
        "best_row": {
            column: {"name": rows[best.index], "sure": round(best.sure, 3)}
            for column, best in zip(columns, said.best_row, strict=True)
        },
    }


def interval(cell: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the mean test accuracy of a cell, and its interval of 95 % over seeds."""
    low, high = mean_interval(cell["values"])
    return float(np.mean(cell["values"])), max(0.0, low), min(1.0, high)


def read(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return name -> the recorded grid; {} where there is no such file."""
    path = FILE if path is None else path
    if not path.is_file():
        return {}
    try:
        return {grid["name"]: grid for grid in parse_json(path.read_text(encoding="utf-8"))["grids"]}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def current(found: Mapping[str, Any] | None, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """Return name -> the result, of those of these cells that a result has at the design that they have now."""
    held = {name_of(cell["row"], cell["column"]): cell for cell in (found or {}).get("cells", ())}
    return {cell.name: held[cell.name] for cell in cells if held.get(cell.name, {}).get("design") == cell.design}


def record(
    known: Mapping[str, Any], cells: Sequence[Cell], new: Sequence[Mapping[str, Any]], path: Path | None = None
) -> None:
    """Put the results of some cells into the record of their grid. A lock lets several processes do so.

    cells: all of the grid, whose other results stay where they are of the design that they have now.
    """
    path = FILE if path is None else path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.parent / ".lock"):
            grids = read(path)
            kept = current(grids.get(known["name"]), cells)
            kept |= {name_of(cell["row"], cell["column"]): dict(cell) for cell in new}
            grids[known["name"]] = assemble(known, kept.values())
            ordered = [grids[name] for name in sorted(grids)]
            write_atomically(path, '{"grids": [\n' + ",\n".join(map(in_lines, ordered)) + "\n]}\n")
            write_atomically(path.with_suffix(".csv"), csv_text(ordered))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def csv_text(grids: Iterable[Mapping[str, Any]]) -> str:
    """Return every value of every seed of every cell as CSV: grid, row, column, seed, rate, accuracy, state.

    state: "value", or "diverged" where the seed diverged and its accuracy is that of chance.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("grid", "row", "column", "seed", "rate", "accuracy", "state"))
    for grid in grids:
        for cell in grid["cells"]:
            for seed, value in zip(cell["seeds"], cell["values"], strict=True):
                state = "diverged" if seed in cell["diverged"] else "value"
                table.writerow(
                    (grid["name"], cell["row"], cell["column"], seed, f"{cell['rate']:g}", repr(value), state)
                )
    return text.getvalue()
