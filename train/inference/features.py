"""Features of a frozen network: its output before the head for each image of a split, and the hash of its weights."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.algorithms.averages import evaluation_variables
from train.core import State, devices
from train.data.inputs import Inputs
from train.data.sources import padded
from train.data.split import Split
from train.metrics.evaluation import batch_size


class Extractor:
    """Computes `model.represent` of images that are preprocessed as in evaluation. One instance compiles once."""

    def __init__(self, model: nn.Module, inputs: Inputs, mesh: Mesh | None = None) -> None:
        self._mesh = mesh
        # The result is replicated, so that each of several processes can read all of it.
        replicated = None if mesh is None else NamedSharding(mesh, PartitionSpec())

        def represent(variables: Mapping[str, Any], x: Any) -> Any:
            arguments: dict[str, Any] = dict(inputs.evaluate({"x": x}))
            return model.apply(variables, **arguments, train=False, method="represent")

        self._represent = jax.jit(represent, out_shardings=replicated)

    def __call__(self, variables: Mapping[str, Any], split: Split, positions: np.ndarray | None = None) -> np.ndarray:
        """Return the features (N, D) float32 of the images at `positions` of `split` (None: of all images)."""
        positions = np.arange(len(split)) if positions is None else positions
        size = batch_size(len(positions), self._mesh)
        blocks = []
        for start in range(0, len(positions), size):
            block = positions[start : start + size]
            x = padded({"x": split.batch(block)["x"]}, size)["x"]
            features = self._represent(variables, devices.place(x, self._mesh, devices.AXIS))
            blocks.append(np.asarray(devices.settle(features), np.float32)[: len(block)])
        return np.concatenate(blocks)


def frozen(state: State) -> dict[str, Any]:
    """Return the variables of the network in `state`. They are averages if the optimizer keeps them."""
    return evaluation_variables(state)


def fingerprint(variables: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all parameters and statistics: of their names, types, shapes and bits."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()
