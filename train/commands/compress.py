"""`zoo compress RUN`: the dense kernels of a trained network as products of two thin matrices, and what that costs."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich import box
from rich.progress import track
from rich.table import Table

import train.loop.named
import train.loop.run
from train.commands.options import OwnParts, named
from train.core.console import Console
from train.loop.run import Run
from train.metrics.format import figure, human, title
from zoo.errors import UserError
from zoo.files import atomic_file, write_atomically

if TYPE_CHECKING:
    from train.core import State
    from train.studies.compress.curve import Network, Point
    from train.tasks.setup import Setup


@dataclasses.dataclass(frozen=True)
class CompressOptions(OwnParts):
    """Cut the kernels of dense layers and 1x1 convolutions to their largest singular values, wherever that makes the
    network smaller. Nothing is trained. Writes factors (safetensors), a table (JSON) and a picture (PNG).
    """

    energy: float | None = None
    """Share of each kernel's squared singular values that is kept, above 0 to 1; 0.9 without --rank."""
    rank: int | None = None
    """Instead of an energy: the rank of every kernel."""
    windows: bool = False
    """Also convolutions with windows larger than 1x1: each becomes one of fewer features and a 1x1."""
    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the highest score on validation."""
    out: Path | None = None
    """Folder for what is written; by default the run's own."""


def compress_command(args: Sequence[str]) -> None:
    """`zoo compress RUN`."""
    path, options = named(args, "RUN", CompressOptions, "zoo compress")
    energy = _energy(options)
    run = train.loop.named.load_or_named(path, options.config)
    train.loop.run.require_single(run)
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out: {options.out} is no folder")
    from train.core import machine
    from train.loop.restore import restore
    from train.studies.compress.curve import levels

    machine.prepare_backend()
    parts, state = restore(run, options.checkpoint)
    network = take_apart(run, parts, state, options.windows)
    validate = parts.evaluator("validation", None)
    if validate is None:
        raise UserError(f"{run.path} held out no validation split (data.validation=0), and the curve is drawn on it")
    console = Console()
    points = _trace(console, network, levels(network, energy, options.rank), validate)
    chosen = next(p for p in points[1:] if (p.energy, p.rank) == (energy, options.rank))
    test = _tested(parts, network, chosen)
    target = (options.out or run.outputs) / _stem(chosen, options.windows)
    written = _write(target, run, parts, network, points, chosen, test)
    console.print(_table(run, parts, points, chosen))
    for line in _lines(parts, chosen, points[0], test):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"written: {', '.join(map(str, written))}", soft_wrap=True, highlight=False)


def _energy(options: CompressOptions) -> float | None:
    """The energy that was asked for, None with a rank; UserError for what cannot be."""
    if options.energy is not None and options.rank is not None:
        raise UserError("--energy and --rank exclude each other")
    if options.rank is not None:
        if options.rank < 1:
            raise UserError(f"--rank must be at least 1, not {options.rank}")
        return None
    energy = 0.9 if options.energy is None else options.energy
    if not 0 < energy <= 1:
        raise UserError(f"--energy must be above 0 and at most 1, not {energy:g}")
    return energy


def take_apart(run: Run, parts: Setup, state: State, windows: bool = False) -> Network:
    """The network of a run with the singular values of its kernels. UserError where it has none that can be cut."""
    if len(state.params) > 1:
        raise UserError(f"{run.path}: zoo compress works on one network, and this run has {', '.join(state.params)}")
    if "net" not in state.params:
        raise UserError(
            f"{run.path}: zoo compress measures a network on its data, and this is a run of the task "
            f"{run.experiment.task.name!r}, which has none"
        )
    import jax

    from train.algorithms.averages import evaluation_params
    from train.studies.compress.curve import Network, timed_batch
    from zoo import low_rank

    if parts.example:  # at the size of training: a task may begin with a shorter text
        call = low_rank.find(parts.model, **parts.example, train=False, windows=windows)
    else:
        call = low_rank.find_in(lambda: parts.task.init(jax.random.key(0)), windows=windows)
    spectra = low_rank.decompose(evaluation_params(state), call.layers)
    if not any(spectrum.saves(1) for spectrum in spectra.values()):
        what = "dense kernel or convolution" if windows else "dense kernel or 1x1 convolution"
        raise UserError(f"{run.path}: {run.experiment.model.name} has no {what} that factors would make smaller")
    return Network(parts.model, state, call, spectra, timed_batch(run.experiment))


def _trace(console: Console, network: Network, hows: list[dict[str, Any]], validate: Any) -> list[Point]:
    steps = iter(
        track(range(len(hows) + 1), "networks", console=console, disable=not console.is_terminal, transient=True)
    )
    from train.studies.compress.curve import trace

    def advance() -> None:
        next(steps, None)

    points = trace(network, hows, validate, advance)
    list(steps)
    return points


def _tested(parts: Setup, network: Network, chosen: Point) -> dict[str, dict[str, float]]:
    """{"full", "chosen"} -> means over the test split, touched here, once."""
    evaluate = parts.evaluator("test", None)
    assert evaluate is not None, "every data set has a test split"
    cut = network.cut(**_how(chosen))
    from zoo import low_rank

    with low_rank.run_factors():
        return {
            "full": evaluate(network.with_params(network.params)),
            "chosen": evaluate(network.with_params(cut.params)),
        }


def _stem(chosen: Point, windows: bool) -> str:
    """The name of what is written, without its ending."""
    return "compressed_" + "".join(f"{name}{value:g}" for name, value in _how(chosen).items()) + "_windows" * windows


def _how(point: Point) -> dict[str, Any]:
    return {"rank": point.rank} if point.energy is None else {"energy": point.energy}


def _write(
    target: Path, run: Run, parts: Setup, network: Network, points: list[Point], chosen: Point, test: dict[str, Any]
) -> list[Path]:
    """Factors, table and picture, each whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {folder}: {error.strerror}") from None
    factors, table, image = (folder / f"{target.name}.{kind}" for kind in ("safetensors", "json", "png"))
    variables = {"params": network.cut(**_how(chosen)).params, **network.statistics}
    from train.core import machine
    from train.studies.compress import picture
    from train.studies.compress.curve import busy
    from zoo import low_rank

    low_rank.save(factors, parts.model, variables)
    content = {
        "run": str(run.path),
        "step": int(network.state.step),
        **_how(chosen),
        "full": dataclasses.asdict(points[0]) | {"test": test["full"]},
        "chosen": dataclasses.asdict(chosen) | {"test": test["chosen"]},
        "curve": [dataclasses.asdict(point) for point in points[1:]],
        "speed_batch": network.batch,
        "device": machine.describe(),
        "remark": busy(),
        "date": datetime.date.today().isoformat(),
    }
    write_atomically(table, json.dumps(content, indent=2) + "\n")
    page = FigureCanvasAgg(picture.draw(run.name, network, points, chosen, parts.best))
    with atomic_file(image) as temporary:
        page.print_png(str(temporary))
    return [factors, table, image]


def _table(run: Run, parts: Setup, points: list[Point], chosen: Point) -> Table:
    full, metric = points[0], parts.best
    from train.core import machine
    from train.studies.compress.curve import timed_batch

    examples = timed_batch(run.experiment)
    caption = (
        f"{title(metric)} on validation; ms: a forward pass of {examples} examples in the fastest round; "
        f"speed: the full network's time over it; {machine.describe()}; * chosen"
    )
    table = Table(title=str(run.path), caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("energy" if chosen.rank is None else "rank", no_wrap=True)
    for head in (title(metric), "parameters", "", "FLOPs", "ms", "speed"):
        table.add_column(head, justify="right", no_wrap=True)
    for point in points:
        level = "full" if point is full else f"{point.energy:g}" if point.rank is None else str(point.rank)
        table.add_row(
            level + " *" * (point is chosen),
            figure(metric, point.validation[metric]),
            f"{point.params:,}",
            f"{100 * point.params / full.params:.0f} %",
            human(point.flops),
            f"{point.milliseconds:.2f}",
            f"× {point.speed:.2f}",
        )
    return table


def _lines(parts: Setup, chosen: Point, full: Point, test: dict[str, dict[str, float]]) -> list[str]:
    metric = parts.best
    ranks = ", ".join(f"{name} {rank}" for name, rank in chosen.ranks.items())
    level = f"energy {chosen.energy:g}" if chosen.rank is None else f"rank {chosen.rank}"
    if metric in test["full"]:
        before, after = (figure(metric, test[which][metric]) for which in ("full", "chosen"))
        result = f"test {title(metric)} {after}, {before} before ({test['full']['count']:,} {parts.counts})"
    else:
        result = "not measured on test"
    from train.studies.compress.curve import busy

    remarks = [said] if (said := busy()) else []
    return [
        *remarks,
        f"ranks: {ranks}" if ranks else "no kernel becomes smaller: the network is as it was",
        f"{level}: {chosen.params:,} of {full.params:,} parameters, {result}",
    ]
