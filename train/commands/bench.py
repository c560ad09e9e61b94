"""`zoo bench`: time training steps and decoding."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Group
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from train.commands.console import console_for, emit
from train.config.parse import parse
from train.core.console import Console
from train.core.signals import Stopped
from train.studies.bench import BATCHES, LINE
from zoo.errors import UserError

if TYPE_CHECKING:
    from train.studies.bench.steps import Row, Trial


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """Measure training steps on random examples of each card's own size (sgd with momentum, float32).

    The agent dqn_mlp is measured as its config cartpole_dqn has it: a step is 4 steps of CartPole and one of Adam.
    """

    models: tyro.conf.Positional[tuple[str, ...]] = LINE
    """Names or patterns such as "resnet*"; "*" is every classifier, model of text and pair. With --peers the default is
    one small model of each family."""
    batch: Annotated[tuple[int, ...], tyro.conf.UseAppendAction] = ()
    """Examples per step; several: --batch 32 --batch 128. By default 32, with --peers 32 and 128. For dqn_mlp: the
    transitions that one update learns from."""
    length: int | None = None
    """Tokens of a text, at least 8; by default those on the model's card, at most 128."""
    steps: int | None = None
    """Steps in a round, at least 2; by default as many as fill half a second."""
    rounds: int | None = None
    """Rounds; the table has the median over rounds and half the distance between their quartiles. By default 7, with
    --peers 5."""
    peers: bool = False
    """Also time the same models in PyTorch on the CPU with as many threads: eager, channels_last (of models with
    convolutions) and torch.compile, each warmed up; the fastest is the peer. Needs a clone and the extra `peers`. Each
    row is kept in RESULTS as soon as it is measured, unless its rounds differ so much that something else must have
    been running. SimCLR's views are drawn on neither side."""
    results: Path | None = None
    """With --peers: folder in which rows are kept, a file for each device; a row replaces that of the same model,
    batch, length and device. By default results/bench of the clone."""
    missing: bool = False
    """With --peers: leave out what RESULTS has of this device and these versions of JAX and PyTorch."""
    decode: bool = False
    """Measure instead how many tokens a second greedy decoding makes, with the cache and without."""
    json: bool = False
    """Print JSON with the times of every round instead of a table."""


def bench_command(args: Sequence[str]) -> None:
    """`zoo bench [MODEL ...] [OPTIONS]`."""
    options = parse(BenchOptions, args, prog="zoo bench")
    _require_sense(options)
    import jax

    from train.core import machine

    machine.prepare_backend()
    jax.config.update("jax_enable_compilation_cache", False)  # the compile time is one of the figures
    _decoding(options) if options.decode else _training(options)


def _require_sense(options: BenchOptions) -> None:
    """Raise UserError for options that mean nothing together."""
    if options.decode and (options.peers or options.steps):
        raise UserError("zoo bench: --decode measures no training steps, so that --peers and --steps mean nothing")
    if options.decode and len(options.batch) > 1:
        raise UserError("zoo bench: --decode takes one --batch")
    for name, given in (("--results", options.results is not None), ("--missing", options.missing)):
        if given and not options.peers:
            raise UserError(f"zoo bench: {name} goes with --peers")


def _decoding(options: BenchOptions) -> None:
    from train.studies.bench import decode as bench_decode
    from train.studies.bench.steps import bench_decoding

    batch, rounds = (*options.batch, 32)[0], 7 if options.rounds is None else options.rounds
    speeds = bench_decoding(options.models, batch=batch, length=options.length, rounds=rounds)
    print(bench_decode.as_json(speeds)) if options.json else emit(bench_decode.as_table(speeds))


def _training(options: BenchOptions) -> None:
    from train.studies.bench import peers
    from train.studies.bench.results import FOLDER, Keeper
    from train.studies.bench.steps import bench, plan

    trials = plan(
        options.models,
        batches=options.batch or (BATCHES if options.peers else BATCHES[:1]),
        length=options.length,
        steps=options.steps,
        rounds=options.rounds if options.rounds is not None else 5 if options.peers else 7,
        peers=options.peers,
    )
    torch_steps = keeper = None
    if options.peers:
        torch_steps = peers.load()
        keeper = Keeper.of(options.results or FOLDER)
        trials = [trial for trial in trials if not (options.missing and keeper.has(trial))]
        if not trials:
            raise UserError(f"zoo bench: {keeper.path} has a row of each of these models and batches already")
    rows: list[Row] = []
    busy: list[Row] = []  # rows that were not kept
    view = _View(options)
    try:
        with view.shown(rows):
            for row in bench(trials, torch_steps, view.begin):
                if keeper and not keeper.keep(row) and row.best_peer:
                    busy.append(row)
                rows.append(row)
                view.update(rows)
    except KeyboardInterrupt:
        where = f", and kept in {keeper.path}: --missing measures the others" if keeper and rows else ""
        raise Stopped(f"stopped; {len(rows)} of {len(trials)} rows are measured{where}", 130) from None
    finally:
        _say_busy(busy)


def _say_busy(rows: Sequence[Row]) -> None:
    """Say which rows were not kept, and why, on standard error."""
    if rows:
        sizes = ", ".join(f"{row.name} {row.batch}" for row in rows)
        Console(stderr=True).print(
            f"zoo bench: not kept, since their rounds differ too much: {sizes}. Let nothing else run; --missing "
            "measures them again",
            soft_wrap=True,
            highlight=False,
        )


class _View:
    """Shows rows as they are measured: in a table on a terminal, as lines in a pipe; as JSON at the end."""

    def __init__(self, options: BenchOptions) -> None:
        self.peers = options.peers
        self.json = options.json
        self.console = console_for()
        self.table: list[Table] = []  # none before the first row
        self.live: Live | None = None
        self.status: Status | None = None

    @contextlib.contextmanager
    def shown(self, rows: Sequence[Row]) -> Iterator[None]:
        """Show rows until the block ends, by an error too: then print what only the end tells."""
        from train.studies.bench import table

        try:
            if self.console.is_terminal and not self.json:
                with Live(console=self.console, auto_refresh=False) as self.live:
                    try:
                        yield
                    finally:
                        self.live.update(Group(*self.table), refresh=True)
            else:
                with Console(stderr=True).status("") as self.status:
                    yield
        finally:
            if self.json:
                print(table.as_json(rows))
            elif rows and not self.live:
                emit(table.caption(rows))

    def begin(self, trial: Trial) -> None:
        """Say what is measured now."""
        doing = f"{trial.card.name}, batch {trial.batch} …"
        if self.live:
            self.live.update(Group(*self.table, Text(doing)), refresh=True)
        elif self.status:
            self.status.update(doing)

    def update(self, rows: Sequence[Row]) -> None:
        """Show the last row."""
        from train.studies.bench import table

        if self.live:
            self.table = [table.as_table(rows, self.peers)]
            self.live.update(self.table[0], refresh=True)
        elif not self.json:
            if len(rows) == 1:
                print(table.header(self.peers))
            print(table.line(rows[-1]), flush=True)
