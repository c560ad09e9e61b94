"""`zoo sample` of a run that makes images."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import train.loop.named
from train.commands.console import say
from train.commands.options import OwnParts, named
from zoo.errors import UserError

MOST = 10_000  # images in one picture


@dataclasses.dataclass(frozen=True)
class ImageOptions(OwnParts):
    """Make images with a trained generator, as one PNG file."""

    n: int = 64
    """Images to make."""
    out: Path | None = None
    """The file; without one a new file in the run's own folder samples/."""
    overwrite: bool = False
    """Replace `out` if it is there."""
    label: int | None = None
    """Of a conditional pair: the label to make images of; without one each label in turn."""
    columns: int | None = None
    """Images side by side; by default the picture is about square."""
    checkpoint: Literal["last", "best"] = "last"
    """`last`: the end of the run; `best`: the one nearest to the validation images in pixels."""
    seed: int = 0
    """Another seed gives other images."""


def sample_command(args: Sequence[str]) -> None:
    """`zoo sample RUN [OPTIONS]` of a pair."""
    path, options = named(args, "RUN", ImageOptions, "zoo sample")
    for name, value, most in (("n", options.n, MOST), ("columns", options.columns, MOST)):
        if value is not None and not 1 <= value <= most:
            raise UserError(f"--{name} must be at least 1 and at most {most:,}, not {value}")
    if not 0 <= options.seed < 2**32:
        raise UserError(f"--seed must be at least 0 and below 2^32, not {options.seed}")
    run = train.loop.named.load_or_named(path, options.config)
    out = options.out or _free(run.samples, f"sample_{options.n}_seed{options.seed}")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out must end in .png, not {out.name!r}")
    if out.exists() and not options.overwrite:
        raise UserError(f"{out} is there already: --overwrite replaces it")
    if not out.parent.is_dir() and options.out:
        raise UserError(f"--out: there is no folder {out.parent}")
    from train.core import machine
    from train.inference import images as samples
    from train.loop.restore import restore
    from train.pictures import grids

    machine.prepare_backend()
    parts, state = restore(run, options.checkpoint)
    _check_label(run.path, parts.model.cfg.classes, options.label)
    z = samples.latents(parts.model, options.seed, options.n)
    told = samples.labels(parts.model, options.n, options.label)
    images = samples.bytes_of(samples.make(parts.model, samples.variables(state), z, told))
    grids.write(grids.grid(images, options.columns or _columns(options.n, parts.model.cfg.classes)), out)
    say(out)


def _check_label(path: Path, classes: int, label: int | None) -> None:
    if label is None:
        return
    if not classes:
        raise UserError(f"--label: {path} is not told labels; task.conditional trains a pair that is")
    if not 0 <= label < classes:
        raise UserError(f"--label must be 0 to {classes - 1}, not {label}")


def _columns(count: int, classes: int) -> int:
    """About the root of `count`; with labels in turn the number of classes, so that a column holds one class."""
    return classes if 1 < classes <= 20 and count > classes else max(1, round(count**0.5))


def _free(folder: Path, stem: str) -> Path:
    """folder/stem.png, or the first folder/stem_2.png, … that is not there."""
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}_{number}.png"
    return path
