"""Features of a frozen network: what it makes of each image of a split before its head, and the hash of its weights."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.algorithms.averages import evaluation_params
from train.core import State, devices
from train.data.inputs import Inputs
from train.data.sources import padded
from train.data.split import Split
from train.metrics.evaluation import batch_size


class Extractor:
    """`represent` of `model`, which has one, on images as evaluation shows them. Build it once: it compiles once."""

    def __init__(self, model: nn.Module, inputs: Inputs, mesh: Mesh | None = None) -> None:
        self._mesh = mesh
        # Whole on every device, so that each of several processes can read it.
        whole = None if mesh is None else NamedSharding(mesh, PartitionSpec())

        def represent(variables: Mapping[str, Any], x: Any) -> Any:
            return model.apply(variables, **inputs.evaluate({"x": x}), train=False, method="represent")

        self._represent = jax.jit(represent, out_shardings=whole)

    def __call__(self, variables: Mapping[str, Any], split: Split, positions: np.ndarray | None = None) -> np.ndarray:
        """(N, D) float32, of the images at `positions` of `split` (None: all), by {"params", ...} of the model."""
        positions = np.arange(len(split)) if positions is None else positions
        size = batch_size(len(positions), self._mesh)
        made = []
        for start in range(0, len(positions), size):
            some = positions[start : start + size]
            x = padded({"x": split.batch(some)["x"]}, size)["x"]
            features = self._represent(variables, devices.place(x, self._mesh, devices.AXIS))
            made.append(np.asarray(devices.settle(features), np.float32)[: len(some)])
        return np.concatenate(made)


def frozen(state: State) -> dict[str, Any]:
    """The variables of the one network of `state`: its parameters (their average, if one is kept) and statistics."""
    return {"params": evaluation_params(state), **state.vars["net"]}


def fingerprint(variables: Mapping[str, Any]) -> str:
    """SHA-256 over every parameter and statistic: name, type, shape and bits. One changed bit changes it."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()
