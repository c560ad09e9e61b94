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
from train.config import Data, Experiment, Model
from train.core import State, devices
from train.data.images import augment, catalog
from train.loop.checkpoints import Checkpoints
from zoo import vit
from zoo.errors import UserError
from zoo.weights import layouts, runs, table
from zoo.weights.compare import Headless
from zoo.weights.fit import IN_TRAINING, equal

OF_THE_DATA = ("classes", "vocab", "source_vocab", "head", "actions")
"""Model fields that may differ from those of the weights. The arrays that depend on them keep their initial values."""

ENCODER = "encoder"  # where a SimCLR model keeps the network that is of use by itself
SHOWN = 6  # names of arrays that keep their initial values


Grid = tuple[int, int]


class Weights(NamedTuple):
    """The arrays to start from."""

    source: str  # for messages
    arrays: Mapping[str, Any]  # by their path in a State: "params/net/stem/conv/kernel"
    grid: Grid | None  # the patches (rows, columns) of its images, of which a ViT has a table; None: not known


def start_from(state: State, experiment: Experiment, seed: int | None = None) -> tuple[State, str]:
    """Return `state` with the parameters and batch statistics that `init_from` names, and a line on what was taken.

    An array is taken wherever this network has one of the same path and shape. From a run the best checkpoint is
    taken, without its averaged parameters; the arrays of its "encoder" also match the same network without that prefix.
    From a run of several seeds, of which the checkpoint with the best mean is taken, each seed takes its own number.
    The position table of a ViT is resampled where its images had as many patches in another arrangement.
    seed: that of the replica; None: the experiment's.
    Raise UserError where no parameter matches, or where published weights are of another network.
    """
    weights = _load(experiment, network_of(state), experiment.seed if seed is None else seed)
    matching = _matching(weights, state)
    grid, remark = _grid(experiment), ""
    kept: list[str] = []

    def transfer(path: Any, leaf: Array) -> Array:
        nonlocal remark
        name = _name(path)
        if name not in matching:
            kept.append(name)
            return leaf
        found = matching[name]
        if grid and name.endswith("/positions"):
            found, remark = _arranged(found, weights.grid, grid)
        return devices.put(np.asarray(found).astype(leaf.dtype), leaf.sharding)

    new = jax.tree_util.tree_map_with_path(transfer, _variables(state))
    line = f"init_from: took {len(matching)} of {len(matching) + len(kept)} arrays from {weights.source}"
    if kept:
        names = [name.removeprefix("params/").removeprefix("vars/") for name in kept]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        line += f"; as they were: {', '.join(names[:SHOWN])}{more}"
    line += remark
    return state.replace(params=new["params"], vars=new["vars"]), line


def require_fit(abstract: State, experiment: Experiment) -> None:
    """Raise UserError where `start_from` would. abstract: the shapes of the State of one replica."""
    _matching(_load(experiment, network_of(abstract), experiment.seed), abstract)


def _matching(weights: Weights, state: State) -> dict[str, Any]:
    """Return path -> the array to start from, of each array of a State that has one. UserError for no parameter."""
    inside = {_without_encoder(name): array for name, array in weights.arrays.items() if f"/{ENCODER}/" in name}
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(_variables(state)):
        name = _name(path)
        for array in (weights.arrays.get(name), inside.get(name)):
            if array is not None and array.shape == leaf.shape:
                found.setdefault(name, array)
    if all(name.startswith("vars/") for name in found):
        raise UserError(f"init_from: no parameter of {weights.source} fits this model")
    return found


def _variables(state: State) -> dict[str, Any]:
    """Return the parts of a State that a run can take from another one."""
    return {"params": state.params, "vars": state.vars}


def network_of(state: State) -> str:
    """Return the name of the only network, "net" or an agent's "q", or of the first one."""
    return next(iter(state.params))


def _load(experiment: Experiment, network: str, seed: int) -> Weights:
    source = str(experiment.init_from)
    if is_published(source):
        return _published(experiment, source, network)
    run = train.loop.run.load(source)
    arrays: Mapping[str, Any] = Checkpoints(run.checkpoints, read_only=True).networks()
    if run.experiment.seeds > 1:  # the arrays of all seeds are stacked
        train.loop.run.require_seeds(run, seed)
        number = seed - run.experiment.seed
        arrays = {name: array[number] for name, array in arrays.items()}
    return Weights(f"{run.path} ({run.experiment.model.name})", arrays, _grid(run.experiment))


def _arranged(table: Any, old: Grid | None, new: Grid) -> tuple[Any, str]:
    """Return a table of as many positions as `new` has patches for that arrangement of them, and a remark."""
    if old is None:
        return (
            table,
            f"; whether its positions are of {new[0]}x{new[1]} patches too is not known",
        )
    if old == new or old[0] * old[1] != new[0] * new[1]:
        return table, ""
    resampled = vit.resample_positions({"params": {"positions": table}}, old, new)["params"]["positions"]
    return resampled, f"; its positions of {old[0]}x{old[1]} patches are resampled to {new[0]}x{new[1]}"


def _grid(experiment: Experiment) -> Grid | None:
    """Return the patches (rows, columns) of the images that a ViT with a table of positions reads; None: not known."""
    patch, data = _patch(experiment.model), experiment.data
    if patch is None or not isinstance(data, Data):
        return None
    try:
        shape = catalog.find(data).stores["train"].shape
        height, width, _ = augment.output_shape(augment.parse(data.augment, shape), shape)
    except (UserError, KeyError):  # the set is not here any more
        return None
    return height // patch, width // patch


def _patch(model: Model) -> int | None:
    config = getattr(zoo.create(model.name, **model.fields), "cfg", None)
    if hasattr(config, "make_encoder"):  # SimCLR: the positions are its encoder's
        config = getattr(config.make_encoder(), "cfg", None)  # pyright: ignore[reportOptionalMemberAccess]
    return getattr(config, "patch", None) if getattr(config, "positions", None) == "learned" else None


def _name(path: Any) -> str:
    return "/".join(str(key.key) for key in path)


def _without_encoder(name: str) -> str:
    """Turn "params/net/encoder/stem/conv/kernel" into "params/net/stem/conv/kernel"."""
    before, _, after = name.partition(f"/{ENCODER}/")
    return f"{before}/{after}"


def is_published(source: str) -> bool:
    """Return whether `init_from` names weights (a file, a folder, a hub name, a name in the table) rather than a run.

    UserError, which offers near names, where it is neither a path nor a name.
    """
    path = Path(source)
    if source.startswith("hf://") or path.is_file() or (path.is_dir() and _holds_weights(path)):
        return True
    return not path.exists() and table.named_by(source) is not None


def _holds_weights(folder: Path) -> bool:
    files = [path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz", ".bin", ".pth")]
    return bool(files) and runs.find(folder) is None


def _published(experiment: Experiment, source: str, network: str = "net") -> Weights:
    """Return published weights, by their paths in a State whose network is called `network`."""
    model = experiment.model
    fields = {name: value for name, value in model.fields.items() if name not in OF_THE_DATA}
    headless = False
    try:
        loaded = zoo.load_model(model.name, source, **fields)
    except Headless:
        loaded, headless = zoo.load_model(model.name, source, new_head=True, **fields), True
    here, there = zoo.create(model.name, **model.fields).cfg, loaded.model.cfg
    wrong = {
        field.name: getattr(there, field.name)
        for field in dataclasses.fields(here)
        if field.name not in (*OF_THE_DATA, *IN_TRAINING)
        and not equal(getattr(there, field.name), getattr(here, field.name))
    }
    if wrong:
        options = " ".join(_option(name.replace("_", "-"), value) for name, value in wrong.items())
        raise UserError(f"init_from: {loaded.source} is of another network than this config's model: add {options}")
    arrays: dict[str, Any] = flatten_dict(loaded.variables, sep="/")
    if headless:  # the config's own head stays as it is
        layout = layouts.named(type(loaded.model), loaded.layout)
        arrays = {path: array for path, array in arrays.items() if not layout.in_head(path)}
    by_path = {
        f"params/{network}{path.removeprefix('params')}" if path.startswith("params/") else f"vars/{network}/{path}": (
            array
        )
        for path, array in arrays.items()
    }
    patch, grid = _patch(model), None
    if patch is not None and (loaded.layout != layouts.OWN or loaded.preprocessing is not None):
        height, width, _ = loaded.inputs["x"][0]  # our own files without preprocessing do not tell it
        grid = height // patch, width // patch
    return Weights(source, by_path, grid)


def _option(name: str, value: Any) -> str:
    """Return the command-line option that sets a field of the model."""
    if isinstance(value, bool):
        return f"--model.{name}" if value else f"--model.no-{name}"
    return f"--model.{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
