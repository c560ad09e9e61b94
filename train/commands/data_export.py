"""`zoo data export scenes --to DIR`: scenes, composed from real digits, as pictures that `folder:DIR` reads back."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from train.commands.console import say
from train.commands.data_show import OfScenes
from train.commands.options import named
from train.config import Scenes
from train.config.data import is_scenes
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(OfScenes):
    """Write scenes, composed from real digits, as pictures in folders, with exact labels, licence and datasheet."""

    to: Path
    """The new folder. It appears whole or not at all."""
    images: int = 8_000
    """Training scenes."""
    validation: float = 0.1
    """Share of the training digits that is held out for validation (0 to below 1)."""
    split_seed: int = 0
    """Seed of the validation digits and of the training scenes. The test scenes are always the same."""


def export_command(args: Sequence[str]) -> None:
    """`zoo data export scenes --to DIR`."""
    name, options = named(args, "NAME", ExportOptions, "zoo data export")
    if not is_scenes(name):
        raise UserError(f"only scenes are exported, and this is {name}: zoo data export scenes --to DIR")
    from train.data.scenes import export, sets

    fields = {"images": options.images, "validation": options.validation, "split_seed": options.split_seed}
    data = Scenes(name, **options.given(), **fields)
    sets.check(data)
    export.require_free(options.to)
    counts = export.export(data, options.to)
    said = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    say(f"{options.to}: {said} scenes composed from real digits ({sets.version(data)}); read them with")
    say(f"--data.name folder:{options.to}")
