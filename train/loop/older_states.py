"""States of older versions: which arrays their checkpoints have that those of today do not."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from train.core import State


def with_idle_moments(abstract: State, saved: Mapping[str, tuple[tuple[int, ...], str]]) -> State:
    """Return an abstract State with whole moments of frozen parameters where a checkpoint has such.

    Today a number stands in their place. saved: the shape and dtype of each array of the checkpoint, by its path.
    """

    def one(name: str, leaf: Any) -> Any:
        shape, dtype = saved.get(name, ((), ""))
        if not name.startswith("opt/") or dtype != str(leaf.dtype) or shape[: leaf.ndim] != tuple(leaf.shape):
            return leaf
        return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=leaf.sharding)

    flat = ocp.tree.to_flat_dict(abstract, sep="/")
    whole = {name: one(name, leaf) if hasattr(leaf, "shape") else leaf for name, leaf in flat.items()}
    return ocp.tree.from_flat_dict(whole, target=abstract, sep="/")


def without_idle_moments(state: State, abstract: State) -> State:
    """Return a restored State with the zeros of `abstract` in place of moments that nothing moves by."""

    def one(leaf: jax.Array, like: Any) -> jax.Array:
        return leaf if leaf.shape == like.shape else jnp.zeros(like.shape, like.dtype, device=like.sharding)

    return jax.tree.map(one, state, abstract)
