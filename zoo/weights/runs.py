"""Load weights from a run of this project: the best checkpoint in its folder, read with Orbax, without `train`."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.errors import UserError
from zoo.files import read_json
from zoo.weights import checkpoint
from zoo.weights.files import Opened, Tensor, listed


def find(folder: Path) -> Path | None:
    """Return `folder` if it is a run, the newest run in it if it is a config's folder, otherwise None."""
    if _is_run(folder):
        return folder
    runs = sorted(path.parent for path in folder.glob("*/config.json") if _is_run(path.parent))
    return runs[-1] if runs else None


def _is_run(folder: Path) -> bool:
    config = folder / "config.json"
    if not config.is_file() or (folder / "model.safetensors").exists():
        return False
    content = read_json(config)
    return isinstance(content, dict) and isinstance(content.get("model"), dict) and "steps" in content


def open_run(folder: Path) -> Opened:
    """Open the parameters and batch statistics of the best checkpoint, their averages if the run keeps such."""
    config = read_json(folder / "config.json")
    require_single(config, folder)
    model = config["model"]
    if strange := sorted(model.keys() - {"name", "fields"}):
        raise UserError(f"{folder}/config.json: model has unknown keys: {listed(strange)}")
    card = zoo.card(model.get("name", ""))
    about = {
        "name": card.name,
        "family": type(card.config).__module__.rpartition(".")[2],
        "fields": model.get("fields", {}),
    }
    arrays = _arrays(folder / "checkpoints")
    tensors = {path: Tensor(array.shape, lambda array=array: np.asarray(array)) for path, array in arrays.items()}
    return Opened(str(folder), tensors, {"zoo": json.dumps(about)}, folder=folder)


def require_single(config: Mapping[str, Any], folder: Path) -> None:
    """Raise UserError for a run of several replicas, whose arrays have them as their first axis."""
    if config.get("seeds", 1) != 1 or config.get("sweep") or config.get("folds"):
        place = shlex.quote(str(folder))
        raise UserError(f"{folder} holds several replicas: take one out with zoo extract {place} NUMBER, from 0")


def _arrays(checkpoints: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the best checkpoint by path, "params/head/kernel"."""
    step, extra = checkpoint.find(checkpoints, "best")
    arrays = checkpoint.read_arrays(checkpoints, step, extra)
    found = _wanted(list(arrays), checkpoints)
    return {f"{collection}/{path}": arrays[names] for names, (collection, path) in found.items()}


def _wanted(saved: Sequence[tuple[str, ...]], checkpoints: Path) -> dict[tuple[str, ...], tuple[str, str]]:
    """Map the keys of the saved arrays that are variables of the network to (collection, path)."""
    networks = list(dict.fromkeys(names[1] for names in saved if names[0] == "params"))
    if len(networks) != 1:
        raise UserError(f"{checkpoints.parent} has several networks ({', '.join(networks)}); only one can be loaded")
    found, average = {}, {}
    for names in saved:
        if names[0] == "params":
            found[names] = ("params", "/".join(names[2:]))
        elif names[0] == "vars":
            found[names] = (names[2], "/".join(names[3:]))
        elif names[0] == "opt" and "params" in names:  # only the averages have these two names
            average[names] = ("params", "/".join(names[names.index("params") + 1 :]))
        elif names[0] == "opt" and "variables" in names:
            collection, *path = names[names.index("variables") + 1 :]
            average[names] = (collection, "/".join(path))
    # Parameters and batch statistics must belong together, and older runs averaged the parameters alone.
    return average if set(average.values()) == set(found.values()) else found
