"""Load weights from a run of this project: the best checkpoint in its folder, read with Orbax, without `train`."""

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.errors import UserError
from zoo.weights.files import Opened, Tensor, read_json


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
    """Open the parameters (their average, if there is one) and batch statistics of the best checkpoint."""
    model = read_json(folder / "config.json")["model"]
    card = zoo.card(model.get("name", ""))
    about = {
        "name": card.name,
        "family": type(card.config).__module__.rpartition(".")[2],
        "fields": model.get("fields", {}),
    }
    arrays = _arrays(folder / "checkpoints")
    tensors = {path: Tensor(array.shape, lambda array=array: np.asarray(array)) for path, array in arrays.items()}
    return Opened(str(folder), tensors, {"zoo": json.dumps(about)}, folder=folder)


def _arrays(checkpoints: Path) -> dict[str, Any]:
    """Return the arrays of the best checkpoint by path, "params/head/kernel". Optimizer states are not read."""
    import orbax.checkpoint as ocp

    steps = [path for path in checkpoints.glob("*") if path.name.isdigit()]
    if not steps:
        raise UserError(f"{checkpoints} contains no finished checkpoint")
    best = max(steps, key=lambda path: (_score(path), int(path.name)))
    state = (best / "state").absolute()
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)  # every problem becomes a UserError of one line
    try:
        handler = ocp.PyTreeCheckpointHandler()
        saved: Any = ocp.Checkpointer(handler).metadata(state)
        tree = getattr(saved, "item_metadata", saved).tree
        wanted = _wanted(tree, checkpoints)
        whole = _restore(state, tree, wanted)
    except UserError:
        raise
    except Exception as error:  # a damaged folder can raise almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UserError(f"checkpoint {best} is damaged ({reason})") from None
    finally:
        log.setLevel(level)
    return {f"{collection}/{path}": array for (collection, path), array in whole.items()}


def _wanted(tree: Mapping[str, Any], checkpoints: Path) -> dict[tuple[str, ...], tuple[str, str]]:
    """Map the keys of the saved arrays that are variables of the network to (collection, path)."""
    import jax

    networks = list(tree["params"])
    if len(networks) != 1:
        raise UserError(f"{checkpoints.parent} has several networks ({', '.join(networks)}); only one can be loaded")
    found, average = {}, {}
    for keys, _ in jax.tree_util.tree_leaves_with_path(tree):
        names = tuple(str(getattr(key, "key", getattr(key, "idx", key))) for key in keys)
        if names[0] == "params":
            found[names] = ("params", "/".join(names[2:]))
        elif names[0] == "vars":
            found[names] = (names[2], "/".join(names[3:]))
        elif names[0] == "opt" and "params" in names:  # only the average of the parameters has this name
            average[names] = ("params", "/".join(names[names.index("params") + 1 :]))
    if average:
        found = {names: what for names, what in found.items() if names[0] != "params"} | average
    return found


def _restore(state: Path, tree: Any, wanted: Mapping[tuple[str, ...], Any]) -> dict[Any, Any]:
    import jax
    import orbax.checkpoint as ocp

    place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def one(keys: Any, leaf: Any) -> Any:
        names = tuple(str(getattr(key, "key", getattr(key, "idx", key))) for key in keys)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place) if names in wanted else ocp.PLACEHOLDER

    item = jax.tree_util.tree_map_with_path(one, tree)
    arguments = jax.tree.map(
        lambda leaf: ocp.RestoreArgs() if leaf is ocp.PLACEHOLDER else ocp.ArrayRestoreArgs(sharding=place), item
    )
    restored = ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).restore(
        state, args=ocp.args.PyTreeRestore(item=item, restore_args=arguments)
    )
    found = {}
    for keys, leaf in jax.tree_util.tree_leaves_with_path(restored):
        names = tuple(str(getattr(key, "key", getattr(key, "idx", key))) for key in keys)
        if names in wanted:
            found[wanted[names]] = leaf
    return found


def _score(step: Path) -> float:
    with contextlib.suppress(UserError, KeyError, TypeError, ValueError):
        return float(read_json(step / "extra" / "metadata")["score"])
    return -np.inf
