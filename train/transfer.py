"""Start a run from another's parameters: fine-tuning."""

from pathlib import Path
from typing import Any

import jax
from jax import Array

import train.run
from train.checkpoints import Checkpoints
from train.core import State
from zoo.errors import UserError


def start_from(state: State, path: Path) -> State:
    """`state` with the parameters of the run at `path` wherever a network has one of that path and shape.

    The best checkpoint is taken, its averaged weights not. Raises UserError where nothing fits.
    """
    run = train.run.load(path)
    saved = Checkpoints(run.checkpoints, read_only=True).parameters()
    taken = 0

    def one(where: Any, leaf: Array) -> Array:
        nonlocal taken
        found = saved.get("/".join(str(key.key) for key in where))
        if found is None or found.shape != leaf.shape:
            return leaf
        taken += 1
        return jax.device_put(found.astype(leaf.dtype), leaf.sharding)

    params = jax.tree_util.tree_map_with_path(one, state.params)
    if not taken:
        raise UserError(f"init_from: no parameter of {run.path} ({run.experiment.model.name}) fits this model")
    return state.replace(params=params)
