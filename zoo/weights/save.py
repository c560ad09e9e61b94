"""Save a model in the layout of another library, with the same rules that `load` uses."""

import dataclasses
import json
import os
import zipfile
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
from zoo.weights import adapt, layouts, preprocessing, processors
from zoo.weights.files import NPZ_MARK, listed
from zoo.weights.fit import card_of, require_fields
from zoo.weights.layout import Layout
from zoo.weights.preprocessing import Preprocessing
from zoo.weights.rules import SAME, rule

COUNTED = ".running_mean"


def convert_arrays(model: Any, variables: Mapping[str, Any], layout: str = "zoo") -> dict[str, np.ndarray]:
    """Return the arrays of `model` with the names and shapes of `layout`, as views of ours where possible.

    UserError if the architecture has no such layout, if that library's network differs from `model` (another epsilon,
    another stride), or if `variables` do not belong to the model.
    """
    card, table = card_of(model), layouts.named(type(model), layout)
    if reason := table.refuses(model.cfg) or table.only_reads(model.cfg):
        raise UserError(f"{card.name} has no layout {layout}: {reason}")
    require_fields(f"the {layout} network", table, table.facts(model.cfg), model.cfg, card, ())
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
    for name in [name for name in arrays if name.endswith(COUNTED)]:  # torch.nn.BatchNorm also counts batches
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
    """Write weights to a file or a folder and return its path; see `zoo.save_weights`."""
    path = Path(path).expanduser()
    card, table = card_of(model), layouts.named(type(model), layout)
    arrays = convert_arrays(model, variables, layout)
    _require_channels(model, variables, inputs)
    if path.suffix == "":
        return _save_folder(path, arrays, model, table, card.name, inputs, labels)
    if path.suffix not in (".safetensors", ".npz"):
        raise UserError(f"{path}: weights are written to .safetensors, .npz, or a folder (a name without an extension)")
    if path.suffix == ".npz":
        _write_npz(path, arrays, describe(model, card.name, layout, inputs, labels))
    else:
        write_safetensors(path, arrays, describe(model, card.name, layout, inputs, labels))
    return path


def _require_channels(model: nn.Module, variables: Mapping[str, Any], inputs: Preprocessing | None) -> None:
    """Raise UserError if `inputs` prepares images of other channels than the model reads."""
    if not isinstance(inputs, preprocessing.Images):
        return
    flat: dict[str, Any] = flatten_dict(variables, sep="/")
    channels = adapt.channels_of(flat, model, layouts.own(type(model)), [rule(path, path, SAME) for path in flat])
    if channels not in (None, len(inputs.mean)):
        raise UserError(f"inputs are images of {len(inputs.mean)} channels, and the model reads {channels}")


def _save_folder(
    folder: Path,
    arrays: Mapping[str, np.ndarray],
    model: nn.Module,
    table: Layout,
    name: str,
    given: Preprocessing | None,
    labels: Sequence[str] | None,
) -> Path:
    """Write a folder in Hugging Face's format: model.safetensors, and config.json with the network's description."""
    metadata = describe(model, name, table.name, given, labels)
    write_safetensors(folder / "model.safetensors", arrays, metadata, make_folder=True)
    if table.describe is not None:
        content = table.describe(model.cfg, {name: array.shape for name, array in arrays.items()})
        if labels:
            content |= {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
        write_atomically(folder / "config.json", json.dumps(content, indent=2) + "\n")
        if isinstance(given, preprocessing.Images):
            text = json.dumps(processors.to_hugging_face(given), indent=2) + "\n"
            write_atomically(folder / "preprocessor_config.json", text)
    return folder


def describe(
    model: nn.Module, name: str, layout: str, given: Preprocessing | None, labels: Sequence[str] | None
) -> dict[str, str]:
    """Return the metadata of a file of weights: "zoo", a JSON object. Hugging Face's library requires "format"."""
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


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays as an npz file; the metadata become the comment of the archive, which other readers ignore.

    NumPy has no bfloat16: such arrays are written as float32, which holds the same numbers.
    """
    record = metadata["zoo"].encode()
    if len(NPZ_MARK + record) > zipfile.ZIP_MAX_COMMENT:
        raise UserError(f"{path}: an npz has no room for so many labels: write .safetensors instead")
    arrays = {name: np.asarray(a, np.float32) if a.dtype.kind == "V" else a for name, a in arrays.items()}
    with atomic_file(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = NPZ_MARK + record
