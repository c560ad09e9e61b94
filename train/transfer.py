"""Start a run from another's parameters and batch statistics: fine-tuning."""

from pathlib import Path
from typing import Any

import jax
from jax import Array

import train.run
from train.checkpoints import Checkpoints
from train.core import State
from zoo.errors import UserError

ENCODER = "encoder"  # where a SimCLR model keeps the network that is wanted alone
SHOWN = 6  # names of arrays that stay as they were


def start_from(state: State, path: Path) -> tuple[State, str]:
    """`state` with the parameters and batch statistics of the run at `path`, wherever a network has an array of that
    path and shape, and one line that says what was taken.

    What the run keeps under "encoder" stands for the same network alone. The best checkpoint is taken, its averaged
    weights not. Raises UserError where nothing fits.
    """
    run = train.run.load(path)
    saved = Checkpoints(run.checkpoints, read_only=True).networks()
    inside = {_alone(name): array for name, array in saved.items() if f"/{ENCODER}/" in name}
    ours = {"params": state.params, "vars": state.vars}
    left: list[str] = []

    def one(where: Any, leaf: Array) -> Array:
        name = "/".join(str(key.key) for key in where)
        for found in (saved.get(name), inside.get(name)):
            if found is not None and found.shape == leaf.shape:
                return jax.device_put(found.astype(leaf.dtype), leaf.sharding)
        left.append(name)
        return leaf

    new = jax.tree_util.tree_map_with_path(one, ours)
    every = jax.tree_util.tree_leaves(ours)
    if all(name.startswith("vars/") for name in _names(ours) if name not in left):
        raise UserError(f"init_from: no parameter of {run.path} ({run.experiment.model.name}) fits this model")
    taken = f"took {len(every) - len(left)} of {len(every)} arrays from {run.path} ({run.experiment.model.name})"
    names = [name.removeprefix("params/").removeprefix("vars/") for name in left]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    rest = f"; as they were: {', '.join(names[:SHOWN])}{more}" if names else ""
    return state.replace(params=new["params"], vars=new["vars"]), f"init_from: {taken}{rest}"


def _names(tree: Any) -> list[str]:
    return ["/".join(str(key.key) for key in path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _alone(name: str) -> str:
    """ "params/net/encoder/stem/conv/kernel" -> "params/net/stem/conv/kernel"."""
    before, _, after = name.partition(f"/{ENCODER}/")
    return f"{before}/{after}"
