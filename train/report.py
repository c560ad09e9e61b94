"""Metrics as people write them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

SHARES = ("accuracy", "exact_match")


def figure(metric: str, value: float) -> str:
    """A metric's value as people write it: shares in percent, perplexity, BLEU and returns with 2 digits, losses 4."""
    if metric.endswith(SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:.2f}" if metric in ("perplexity", "bleu", "chrf", "return", "length") else f"{value:.4f}"


def title(metric: str) -> str:
    """A metric's name in prose: bits_per_byte -> "bits per byte"."""
    return {"bleu": "BLEU", "chrf": "chrF"}.get(metric, metric.replace("_", " "))


def comparison(rows: Sequence[Mapping[str, Any]], counts: str, heading: str | None = None) -> Table:
    """A table of the settings of a run, as `replicas.summarize` gives them. Over several seeds: mean ± standard
    deviation, and below it the 95 % interval of the mean.
    """
    fields, names = list(rows[0]["setting"]), [name for name in rows[0]["test"] if name != "count"]
    seeds = len(rows[0]["seeds"])
    said = [f"{seeds} seeds: mean ± standard deviation, 95 % interval of the mean"] * (seeds > 1)
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


def _cell(name: str, mean: float, spread: Mapping[str, float] | None) -> str:
    if spread is None:
        return figure(name, mean)
    low, high = (min(max(spread[end], 0), 1) if name.endswith(SHARES) else spread[end] for end in ("low", "high"))
    deviation, low, high = figure(name, spread["deviation"]), figure(name, low), figure(name, high)
    return f"{figure(name, mean)} ± {deviation}\n{low} to {high}"
