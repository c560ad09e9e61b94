"""Print the rows of `zoo bench` as JSON, as a table that grows on a terminal, and as lines in a pipe."""

import dataclasses
import json
import statistics
from collections.abc import Sequence

import jax
from rich import box
from rich.table import Table

from train.core import machine
from train.studies.bench.steps import Row, half_spread

HEADS = {  # title -> width of the column in a pipe
    **{"model": 24, "batch": 9, "ms/step": 18, "examples/s": 10, "loop/bare": 9},
    **{"of peak": 7, "MiB": 7, "compile s": 9},
}
PEER_HEADS = {"PyTorch ms": 18, "its best": 13, "PyTorch": 7}


def as_json(rows: Sequence[Row]) -> str:
    """Every figure, and the device they were measured on."""
    figures = [
        dataclasses.asdict(row)
        | {"examples_per_second": row.examples_per_second}
        | {"loop_over_bare": row.loop_over_bare, "best_peer": row.best_peer, "over_peer": row.over_peer}
        for row in rows
    ]
    return json.dumps({"device": machine.describe(), "jax": jax.__version__, "rows": figures}, indent=2)


def caption(rows: Sequence[Row]) -> str:
    """Say what the columns are."""
    text = (
        f"{machine.describe()}, JAX {jax.__version__}, float32. ms/step: in the training loop, median ± half "
        "the distance between quartiles. loop/bare: speed of the loop over that of the jitted step called from Python. "
        "of peak: 3 forward passes' FLOPs a second, over those of a large product of matrices measured here. "
        "MiB: the most memory that the loop needs at once, as XLA plans it: State, four batches, temporaries."
    )
    if any(row.length for row in rows):
        text += " batch: examples × tokens of a text, by default those on its card and at most 128."
    if any(row.peer_ms for row in rows):
        text += " PyTorch: the time of its fastest way over ours, so above 1 ours is faster."
    failures = {f"{way}: {reason}" for row in rows for way, reason in row.peer_failures.items()}
    return text + "".join(f" PyTorch's {failure}." for failure in sorted(failures))


def as_table(rows: Sequence[Row], peers: bool | None = None) -> Table:
    """A line per model; see the caption for what the columns are. peers: with PyTorch's columns; None: if measured."""
    peers = any(row.peer_ms for row in rows) if peers is None else peers
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption(rows), caption_justify="left"
    )
    for head in _heads(peers):
        table.add_column(head, justify="left" if head in ("model", "its best") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row))
    return table


def _heads(peers: bool) -> dict[str, int]:
    return HEADS | PEER_HEADS if peers else HEADS


def header(peers: bool) -> str:
    """Return the titles of the columns as one line."""
    return _line(list(_heads(peers)))


def line(row: Row) -> str:
    """Return a row as one line, its cells under those of `header`."""
    return _line(cells(row))


def _line(texts: Sequence[str]) -> str:
    widths = _heads(peers=True).values()
    padded = [texts[0].ljust(HEADS["model"])]
    padded += [text.rjust(width) for text, width in list(zip(texts, widths, strict=False))[1:]]
    return "  ".join(padded).rstrip()


def cells(row: Row) -> list[str]:
    """Return the texts of a row: those of HEADS, and with a peer those of PEER_HEADS."""
    size = f"{row.batch} × {row.length}" if row.length else str(row.batch)
    share = "–" if row.peak_share is None else f"{100 * row.peak_share:.0f} %"
    texts = [row.name, size, _median(row.loop_ms), f"{row.examples_per_second:,.0f}"]
    texts += [f"{row.loop_over_bare:.2f}", share, f"{row.memory_bytes / 2**20:,.0f}", f"{row.compile_seconds:.1f}"]
    if row.best_peer is not None:
        texts += [_median(row.peer_ms[row.best_peer]), row.best_peer, f"{row.over_peer:.2f}"]
    return texts


def _median(times: list[float]) -> str:
    return f"{statistics.median(times):,.2f} ± {half_spread(times):.2f}"
