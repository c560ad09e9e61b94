"""A model of ours in the layout of another library: the tables of `load`, read from right to left."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict
from safetensors import SafetensorError
from safetensors.numpy import save_file

from zoo.errors import UserError
from zoo.files import atomic_file, write_atomically
from zoo.weights import layouts, preprocessing
from zoo.weights.files import listed
from zoo.weights.fit import card_of, demand_fields
from zoo.weights.layout import Layout
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import SAME, rule

COUNTED = ".running_mean"


def convert_arrays(model: nn.Module, variables: Mapping[str, Any], layout: str = "zoo") -> dict[str, np.ndarray]:
    """The arrays of `model` named and shaped as `layout` has them, as views of ours wherever that is possible.

    UserError where the architecture has no such layout, the network of that library is another one than `model`
    (another epsilon, another stride), or `variables` are not the model's.
    """
    card, table = card_of(model), layouts.named(type(model), layout)
    if reason := table.refuses(model.cfg):
        raise UserError(f"{card.name} has no layout {layout}: {reason}")
    demand_fields(f"the {layout} network", table, table.facts(model.cfg), model.cfg, card, ())
    flat = flatten_dict(variables, sep="/")
    rules = [rule(path, path, SAME) for path in flat] if layout == layouts.OWN else table.rules(model.cfg)
    wanted = {path for each in rules for path in each.ours}
    if wrong := sorted(wanted ^ flat.keys()):
        raise UserError(f"these variables are not those of the model: {listed(wrong)}")
    arrays = {}
    for each in rules:
        parts = each.write({path: np.asarray(flat[path]) for path in each.ours})
        arrays |= dict(zip(each.theirs, parts, strict=True))
        arrays |= dict.fromkeys(each.copies, parts[0])
    for name in [name for name in arrays if name.endswith(COUNTED)]:  # of a torch.nn.BatchNorm, which counts batches
        arrays[name.removesuffix(COUNTED) + ".num_batches_tracked"] = np.zeros((), np.int64)
    return arrays


def save_weights(
    path: str | os.PathLike[str],
    model: nn.Module,
    variables: Mapping[str, Any],
    *,
    layout: str = "zoo",
    inputs: Preprocessing | None = None,
    labels: Sequence[str] | None = None,
) -> Path:
    """Write a file of weights, or a folder, and return its path; see `zoo.save_weights`."""
    path = Path(path).expanduser()
    card, table = card_of(model), layouts.named(type(model), layout)
    arrays = convert_arrays(model, variables, layout)
    if path.suffix == "":
        return _save_folder(path, arrays, model, table, card.name, inputs, labels)
    if path.suffix not in (".safetensors", ".npz"):
        raise UserError(f"{path}: weights are written to .safetensors or .npz, or to a folder (a name without ending)")
    if path.suffix == ".npz":
        _write_npz(path, arrays)
    else:
        write_safetensors(path, arrays, _about(model, card.name, layout, inputs, labels))
    return path


def _save_folder(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    model: nn.Module,
    table: Layout,
    name: str,
    given: Preprocessing | None,
    labels: Sequence[str] | None,
) -> Path:
    """As Hugging Face lays it: model.safetensors, and what their library must know of the network in config.json."""
    metadata = _about(model, name, table.name, given, labels)
    write_safetensors(folder / "model.safetensors", arrays, metadata, make_folder=True)
    if table.describe is not None:
        content = table.describe(model.cfg, {name: array.shape for name, array in arrays.items()})
        if labels:
            content |= {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
        write_atomically(folder / "config.json", json.dumps(content, indent=2) + "\n")
        if isinstance(given, preprocessing.Images):
            text = json.dumps(preprocessing.to_hugging_face(given), indent=2) + "\n"
            write_atomically(folder / "preprocessor_config.json", text)
    return folder


def _about(
    model: nn.Module, name: str, layout: str, given: Preprocessing | None, labels: Sequence[str] | None
) -> dict[str, str]:
    """Metadata of a safetensors file. "format" is what Hugging Face's library asks for."""
    about = {
        "name": name,
        "family": type(model.cfg).__module__.rpartition(".")[2],
        "fields": dataclasses.asdict(model.cfg),
        "layout": layout,
        "preprocessing": preprocessing.to_json(given),
        "labels": list(labels) if labels else None,
    }
    return {"format": "pt", "zoo": json.dumps(about, default=dict)}


def write_safetensors(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: dict[str, str], *, make_folder: bool = False
) -> None:
    """Write arrays and metadata as a safetensors file, atomically. Raise UserError where it cannot be written."""
    # The library writes the memory of an array as it lies there, so a transposed view must be copied first.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_file(path, make_folder=make_folder) as temporary:
        try:
            save_file(contiguous, temporary, metadata=metadata)
        except SafetensorError as error:
            raise UserError(f"cannot write {path}: {str(error)[:160]}") from None


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
