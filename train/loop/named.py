"""The run of weights by name: opened by every command that takes the folder of a run and writes nothing into it."""

import os
from pathlib import Path

import train.loop.run
from train.loop.run import Run
from zoo.errors import UserError
from zoo.weights import store, table

CONFIG = "run.json"  # config.json of a run, in the folder of its weights: a Hugging Face folder has the other name


def row_of(path: str | os.PathLike[str]) -> table.Row | None:
    """Return the row of the weights called `path`; None for a folder, which comes before a name, and for others."""
    return None if Path(path).is_dir() else table.named_by(str(path))


def load_or_named(path: str | os.PathLike[str], config: str | os.PathLike[str] | None = None) -> Run:
    """Return the run in folder `path`, or that of the weights called `path`. UserError where those are not ours."""
    row = row_of(path)
    if row is None:
        return train.loop.run.load(path, config)
    if row.recipe is None:
        raise UserError(
            f"{row.name} has no run, it was not trained here: zoo predict … --weights {row.name} asks it, and "
            f"zoo train CONFIG --init-from {row.name} trains it further"
        )
    run = train.loop.run.read(store.folder_of(row), CONFIG, config)
    return Run(run.path, run.experiment, source=run.source, config=row.recipe.config, weights=row.name)
