"""`zoo sample`: what a run makes depends on what it learned, text or images."""

from collections.abc import Sequence
from pathlib import Path

import train.loop.named
from train.config.parse import take


def sample_command(args: Sequence[str]) -> None:
    """`zoo sample RUN`: hand `args` to the command of the run's task."""
    if _task(args) == "adversarial":
        from train.commands import sample_images

        sample_images.sample_command(args)
    else:
        from train.commands import sample_text

        sample_text.sample_command(args)


def _task(args: Sequence[str]) -> str | None:
    """Return the task of the run that is named; None where only options are given."""
    named = [arg for arg in args if not arg.startswith("-")]
    folder = next((arg for arg in named if Path(arg).is_dir()), None)
    if folder is None and (not args or args[0] not in named):
        return None
    row = train.loop.named.row_of(folder or args[0])
    if row is not None and row.recipe is None:  # published, of which only language models make something
        return "language"
    _, config = take("--config", args)
    return train.loop.named.load_or_named(folder or args[0], config and Path(config)).experiment.task.name
