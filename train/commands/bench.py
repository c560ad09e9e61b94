"""`zoo bench`: time training steps and decoding."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import tyro
from rich import box
from rich.table import Table

from train.commands.console import emit
from train.config.parse import parse
from train.studies.bench import LINE
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.studies.bench.steps import Row


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """Measure training steps on random examples of each card's own size (sgd with momentum, float32)."""

    models: tyro.conf.Positional[tuple[str, ...]] = LINE
    """Names or patterns such as "resnet*"; "*" is every classifier, model of text and pair."""
    batch: int = 32
    """Examples per step."""
    length: int | None = None
    """Tokens of a text, at least 8; by default those on the model's card, at most 128."""
    steps: int | None = None
    """Steps in a round, at least 2; by default as many as fill half a second."""
    rounds: int = 7
    """Rounds; the table has the median over rounds and half the distance between their quartiles."""
    peers: bool = False
    """Also time the same models in PyTorch, eager, with as many threads (needs a clone and the extra `peers`)."""
    decode: bool = False
    """Measure instead how many tokens a second greedy decoding makes, with the cache and without."""
    json: bool = False
    """Print JSON with the times of every round instead of a table."""


def bench_command(args: Sequence[str]) -> None:
    """`zoo bench [MODEL ...] [OPTIONS]`."""
    options = parse(BenchOptions, args, prog="zoo bench")
    import jax

    from train.core import machine
    from train.studies.bench import decode as bench_decode
    from train.studies.bench.steps import bench, bench_decoding

    machine.prepare_backend()
    jax.config.update("jax_enable_compilation_cache", False)  # the compile time is one of the figures
    if options.decode:
        if options.peers or options.steps:
            raise UserError("zoo bench: --decode measures no training steps, so that --peers and --steps mean nothing")
        speeds = bench_decoding(options.models, batch=options.batch, length=options.length, rounds=options.rounds)
        print(bench_decode.as_json(speeds)) if options.json else emit(bench_decode.as_table(speeds))
        return
    rows = bench(
        options.models,
        batch=options.batch,
        length=options.length,
        steps=options.steps,
        rounds=options.rounds,
        peers=options.peers,
    )
    print(as_json(rows)) if options.json else emit(as_table(rows))


def as_json(rows: list[Row]) -> str:
    """Every figure, and the device they were measured on."""
    figures = [
        dataclasses.asdict(row)
        | {"examples_per_second": row.examples_per_second}
        | {"loop_over_bare": row.loop_over_bare, "over_peer": row.over_peer}
        for row in rows
    ]
    import jax

    from train.core import machine

    return json.dumps({"device": machine.describe(), "jax": jax.__version__, "rows": figures}, indent=2)


def as_table(rows: list[Row]) -> Table:
    """A line per model; see the caption for what the columns are."""
    import jax

    from train.core import machine

    caption = (
        f"{machine.describe()}, JAX {jax.__version__}, float32. ms/step: in the training loop, median ± half "
        "the distance between quartiles. loop/bare: speed of the loop over that of the jitted step called from Python. "
        "of peak: 3 forward passes' FLOPs a second, over those of a large product of matrices measured here."
    )
    if any(row.length for row in rows):
        caption += " batch: examples × tokens of a text, by default those on its card and at most 128."
    if any(row.peer_ms for row in rows):
        caption += " PyTorch: its time over ours, so above 1 ours is faster."
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption, caption_justify="left")
    table.add_column("model", no_wrap=True)
    heads = ["batch", "ms/step", "examples/s", "loop/bare", "of peak", "MiB", "compile s"]
    for head in heads + ["PyTorch ms", "PyTorch"] * any(row.peer_ms for row in rows):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        size = f"{row.batch} × {row.length}" if row.length else str(row.batch)
        cells = [row.name, size, _median(row.loop_ms), f"{row.examples_per_second:,.0f}"]
        cells += [f"{row.loop_over_bare:.2f}", f"{100 * row.peak_share:.0f} %", f"{row.memory_bytes / 2**20:,.0f}"]
        cells += [f"{row.compile_seconds:.1f}"]
        if row.peer_ms:
            cells += [_median(row.peer_ms), f"{row.over_peer:.2f}"]
        table.add_row(*cells)
    return table


def _median(times: list[float]) -> str:
    quarters = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return f"{statistics.median(times):,.2f} ± {(quarters[2] - quarters[0]) / 2:.2f}"
