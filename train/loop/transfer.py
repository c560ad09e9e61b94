"""Start a run from other parameters and batch statistics, of another run or published ones: fine-tuning."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax import Array

import train.loop.run
import zoo
from train.config import Experiment
from train.core import State
from train.loop.checkpoints import Checkpoints
from zoo.errors import UserError
from zoo.weights import runs
from zoo.weights.fit import IN_TRAINING

OF_THE_DATA = ("classes", "vocab", "source_vocab", "head", "actions")
"""Fields of a model that may differ from those of the weights: what depends on them begins anew."""

ENCODER = "encoder"  # where a SimCLR model keeps the network that is wanted alone
SHOWN = 6  # names of arrays that stay as they were


def start_from(state: State, experiment: Experiment) -> tuple[State, str]:
    """`state` with what `experiment.init_from` names, parameters and batch statistics, wherever a network has an array
    of that path and shape, and one line that says what was taken.

    Of a run the best checkpoint is taken, its averaged weights not; what it keeps under "encoder" stands for the same
    network alone. Raises UserError where nothing fits, or published weights are of another network.
    """
    source = experiment.init_from
    if is_published(source):
        whose, saved = source, _published(experiment)
    else:
        run = train.loop.run.load(source)
        whose = f"{run.path} ({run.experiment.model.name})"
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
        raise UserError(f"init_from: no parameter of {whose} fits this model")
    taken = f"took {len(every) - len(left)} of {len(every)} arrays from {whose}"
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


def is_published(source: str) -> bool:
    """Whether `init_from` names published weights (a file, a folder, a hub name) and not a run of this project."""
    path = Path(source)
    return source.startswith("hf://") or path.is_file() or (path.is_dir() and _holds_weights(path))


def _holds_weights(folder: Path) -> bool:
    files = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz", ".bin", ".pth")]
    return bool(files) and runs.find(folder) is None


def _published(experiment: Experiment) -> Mapping[str, Array]:
    """Published weights by their path in a State."""
    model = experiment.model
    fields = {name: value for name, value in model.fields.items() if name not in OF_THE_DATA}
    loaded = zoo.load_model(model.name, experiment.init_from, **fields)
    here, there = zoo.create(model.name, **model.fields).cfg, loaded.model.cfg
    wrong = {
        field.name: getattr(there, field.name)
        for field in dataclasses.fields(here)
        if field.name not in (*OF_THE_DATA, *IN_TRAINING) and getattr(there, field.name) != getattr(here, field.name)
    }
    if wrong:
        options = " ".join(_option(name.replace("_", "-"), value) for name, value in wrong.items())
        raise UserError(f"init_from: {loaded.source} is of another network than this config's model: add {options}")
    arrays = flatten_dict(loaded.variables, sep="/")
    return {
        f"params/net{path.removeprefix('params')}" if path.startswith("params/") else f"vars/net/{path}": array
        for path, array in arrays.items()
    }


def _option(name: str, value: Any) -> str:
    """A field of the model as the command line takes it."""
    if isinstance(value, bool):
        return f"--model.{name}" if value else f"--model.no-{name}"
    return f"--model.{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
