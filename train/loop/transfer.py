"""Transfer learning: start a run with the parameters of another run, or with published weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax import Array

import train.loop.run
import zoo
from train.config import Experiment
from train.core import State, devices
from train.loop.checkpoints import Checkpoints
from zoo.errors import UserError
from zoo.weights import runs
from zoo.weights.fit import IN_TRAINING

OF_THE_DATA = ("classes", "vocab", "source_vocab", "head", "actions")
"""Model fields that may differ from those of the weights. The arrays that depend on them keep their initial values."""

ENCODER = "encoder"  # where a SimCLR model keeps the network that is of use by itself
SHOWN = 6  # names of arrays that keep their initial values


class Weights(NamedTuple):
    """The arrays to start from."""

    source: str  # for messages
    arrays: Mapping[str, Any]  # by their path in a State: "params/net/stem/conv/kernel"


def start_from(state: State, experiment: Experiment) -> tuple[State, str]:
    """Return `state` with the parameters and batch statistics that `init_from` names, and a line on what was taken.

    An array is taken wherever this network has one of the same path and shape. From a run the best checkpoint is
    taken, without its averaged parameters; the arrays of its "encoder" also match the same network without that prefix.
    Raise UserError where no parameter matches, or where published weights are of another network.
    """
    weights = _load(experiment)
    inside = {_without_encoder(name): array for name, array in weights.arrays.items() if f"/{ENCODER}/" in name}
    ours = {"params": state.params, "vars": state.vars}
    taken: list[str] = []
    kept: list[str] = []

    def transfer(path: Any, leaf: Array) -> Array:
        name = _name(path)
        for found in (weights.arrays.get(name), inside.get(name)):
            if found is not None and found.shape == leaf.shape:
                taken.append(name)
                return devices.put(np.asarray(found).astype(leaf.dtype), leaf.sharding)
        kept.append(name)
        return leaf

    new = jax.tree_util.tree_map_with_path(transfer, ours)
    if all(name.startswith("vars/") for name in taken):
        raise UserError(f"init_from: no parameter of {weights.source} fits this model")
    line = f"init_from: took {len(taken)} of {len(taken) + len(kept)} arrays from {weights.source}"
    if kept:
        names = [name.removeprefix("params/").removeprefix("vars/") for name in kept]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        line += f"; as they were: {', '.join(names[:SHOWN])}{more}"
    return state.replace(params=new["params"], vars=new["vars"]), line


def _load(experiment: Experiment) -> Weights:
    source = str(experiment.init_from)
    if is_published(source):
        return Weights(source, _published(experiment, source))
    run = train.loop.run.load(source)
    arrays = Checkpoints(run.checkpoints, read_only=True).networks()
    return Weights(f"{run.path} ({run.experiment.model.name})", arrays)


def _name(path: Any) -> str:
    return "/".join(str(key.key) for key in path)


def _without_encoder(name: str) -> str:
    """Turn "params/net/encoder/stem/conv/kernel" into "params/net/stem/conv/kernel"."""
    before, _, after = name.partition(f"/{ENCODER}/")
    return f"{before}/{after}"


def is_published(source: str) -> bool:
    """Return whether `init_from` names published weights (a file, a folder, a hub name) rather than a run."""
    path = Path(source)
    return source.startswith("hf://") or path.is_file() or (path.is_dir() and _holds_weights(path))


def _holds_weights(folder: Path) -> bool:
    files = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz", ".bin", ".pth")]
    return bool(files) and runs.find(folder) is None


def _published(experiment: Experiment, source: str) -> Mapping[str, Array]:
    """Return published weights by their path in a State."""
    model = experiment.model
    fields = {name: value for name, value in model.fields.items() if name not in OF_THE_DATA}
    loaded = zoo.load_model(model.name, source, **fields)
    here, there = zoo.create(model.name, **model.fields).cfg, loaded.model.cfg
    wrong = {
        field.name: getattr(there, field.name)
        for field in dataclasses.fields(here)
        if field.name not in (*OF_THE_DATA, *IN_TRAINING) and getattr(there, field.name) != getattr(here, field.name)
    }
    if wrong:
        options = " ".join(_option(name.replace("_", "-"), value) for name, value in wrong.items())
        raise UserError(f"init_from: {loaded.source} is of another network than this config's model: add {options}")
    arrays: dict[str, Any] = flatten_dict(loaded.variables, sep="/")
    return {
        f"params/net{path.removeprefix('params')}" if path.startswith("params/") else f"vars/net/{path}": array
        for path, array in arrays.items()
    }


def _option(name: str, value: Any) -> str:
    """Return the command-line option that sets a field of the model."""
    if isinstance(value, bool):
        return f"--model.{name}" if value else f"--model.no-{name}"
    return f"--model.{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
