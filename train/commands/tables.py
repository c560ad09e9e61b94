"""Tables that compare the settings and folds of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from train.metrics.format import SHARES, figure, title


def comparison(rows: Sequence[Mapping[str, Any]], counts: str, heading: str | None = None) -> Table:
    """A table of the settings of a run, as `replicas.summarize` gives them. Over several seeds: mean ± standard
    deviation, and below it the 95 % interval of the mean.
    """
    fields, names = list(rows[0]["setting"]), [name for name in rows[0]["test"] if name != "count"]
    several = len(rows[0]["seeds"])
    said = [f"{_several(rows[0])}: mean ± standard deviation, 95 % interval of the mean"] * (several > 1)
    said += ["* best on validation"] * (len(rows) > 1)
    counted = [counts] * (not fields)  # a sweep's table is wide enough without
    table = Table(title=heading, caption="; ".join(said) or None, box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*fields, "split", *counted, *names):
        table.add_column(title(head.rpartition(".")[2]), no_wrap=True)
    for row in rows:
        mark = " *" * (len(rows) > 1 and row["best"])
        first = [f"{value:g}{mark}" for value in row["setting"].values()]
        table.add_section()
        for split in ("validation", "test"):
            if means := row[split]:
                spread = row.get(f"{split}_spread", {})
                cells = [_cell(name, means[name], spread.get(name)) if name in means else "" for name in names]
                table.add_row(*first, split, *[f"{means['count']:,}" for _ in counted], *cells)
                first = [""] * len(first)
    return table


def _several(row: Mapping[str, Any]) -> str:
    """What the mean of a row is over."""
    seeds = len(set(row["seeds"]))
    if "folds" not in row:
        return f"{seeds} seeds"
    each = f" with {seeds} seeds each" * (seeds > 1)
    return f"{len(set(row['folds']))} folds{each}, which share training examples (so a rough interval)"


def each_fold(replicas: Sequence[Mapping[str, Any]]) -> Table:
    """A table of the replicas of a run with folds, as `replicas.summarize` gives them: one row for each."""
    names = [name for name in replicas[0]["test"] if name != "count"]
    seeds = ["seed"] * (len({one["seed"] for one in replicas}) > 1)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*(title(field.rpartition(".")[2]) for field in replicas[0]["setting"]), *seeds, "fold", "examples"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in (*(f"validation {title(name)}" for name in names), *(f"test {title(name)}" for name in names)):
        table.add_column(head, justify="right")
    for one in replicas:
        setting = [f"{value:g}" for value in one["setting"].values()]
        first = [*setting, *(str(one[name]) for name in (*seeds, "fold")), f"{one['validation']['count']:,}"]
        table.add_row(*first, *(figure(name, one[split][name]) for split in ("validation", "test") for name in names))
    return table


def _cell(name: str, mean: float, spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return figure(name, mean)
    low, high = (min(max(spread[end], 0), 1) if name.endswith(SHARES) else spread[end] for end in ("low", "high"))
    deviation, low, high = figure(name, spread["deviation"]), figure(name, low), figure(name, high)
    return f"{figure(name, mean)} ± {deviation}\n{low} to {high}"
