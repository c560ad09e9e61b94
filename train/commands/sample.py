"""`zoo sample`: what a run makes depends on what it learned, text or images."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import train.loop.run
from zoo.errors import UserError


def sample_command(args: Sequence[str]) -> None:
    """Hands `args` to the command of the run's task; where no run is named, to that of text, which says so."""
    if _task(args) == "adversarial":
        from train.commands import sample_images

        sample_images.sample_command(args)
    else:
        from train.commands import sample_text

        sample_text.sample_command(args)


def _task(args: Sequence[str]) -> str | None:
    """The task of the run among `args`: the first of them that is a folder."""
    folder = next((arg for arg in args if not arg.startswith("-") and Path(arg).is_dir()), None)
    if folder is not None:
        with contextlib.suppress(UserError):  # said by the command itself
            return train.loop.run.load(folder).experiment.task.name
    return None
