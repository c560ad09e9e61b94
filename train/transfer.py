"""Start a run from other parameters, of another run or published ones: fine-tuning."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax.traverse_util import flatten_dict
from jax import Array

import train.run
import zoo
from train.checkpoints import Checkpoints
from train.config import Experiment
from train.core import State
from zoo.errors import UserError
from zoo.weights import runs
from zoo.weights.fit import IN_TRAINING

OF_THE_DATA = ("classes", "vocab", "source_vocab", "head", "actions")
"""Fields of a model that may differ from those of the weights: what depends on them begins anew."""


def start_from(state: State, experiment: Experiment) -> State:
    """`state` with what `experiment.init_from` names wherever a network has an array of that path and shape.

    Of a run the parameters of the best checkpoint are taken, their average not; published weights bring their batch
    statistics too. Raises UserError where nothing fits, or published weights are of another network.
    """
    source = experiment.init_from
    if is_published(source):
        name, saved = source, _published(experiment)
    else:
        run = train.run.load(source)
        name = f"{run.path} ({run.experiment.model.name})"
        arrays = Checkpoints(run.checkpoints, read_only=True).parameters()
        saved = {f"params/{path}": array for path, array in arrays.items()}
    taken = 0

    def one(where: Any, leaf: Array) -> Array:
        nonlocal taken
        found = saved.get("/".join(str(key.key) for key in where))
        if found is None or found.shape != leaf.shape:
            return leaf
        taken += 1
        return jax.device_put(found.astype(leaf.dtype), leaf.sharding)

    new = jax.tree_util.tree_map_with_path(one, {"params": state.params, "vars": state.vars})
    if not taken:
        raise UserError(f"init_from: no parameter of {name} fits this model")
    return state.replace(**new)


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
