"""What a parameter is: a matrix or a vector, and of the matrices which are hidden. Weight decay, LARS and Muon ask.

Shapes decide where they can. Flax's own names decide where shapes cannot, and so do the names that a network gives to
its embeddings and to its output layer.
"""

import math
from typing import Any

import jax
from jax import Array

VECTORS = ("bias", "scale")
"""Flax's names of vectors. Those of its attention layers have the shape (heads, width), and are no matrices either."""

OUTPUTS = ("head", "pixels", "next")
"""Names of output layers: of most networks, of the GAN's generator, of BERT's second task."""


def path_of(path: Any) -> str:
    """Return the path of a parameter as text: "block0/attention/qkv/kernel"."""
    return "/".join(str(getattr(key, "key", key)) for key in path)


def matrices(params: Any) -> Any:
    """Mark the matrices: what weight decay shrinks, and what LARS gives a rate of its own."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: is_matrix(path_of(path), leaf), params)


def hidden_matrices(params: Any) -> Any:
    """Mark the matrices that Muon takes: those between the embedding of the input and the output layer."""

    def is_hidden(path: Any, leaf: Array) -> bool:
        name = path_of(path)
        return is_matrix(name, leaf) and leaf.ndim > 1 and not is_embedding(name, leaf) and not is_output(name)

    return jax.tree_util.tree_map_with_path(is_hidden, params)


def is_matrix(name: str, leaf: Array) -> bool:
    """Say whether a parameter is a matrix: a kernel of any layer, a recurrent matrix, an embedding, a position table.

    Biases, scales and shifts are vectors, and so is a class token (1, 1, D): all its axes but the last have size 1.
    """
    last = name.rpartition("/")[2]
    return last == "kernel" or (last not in VECTORS and math.prod(leaf.shape[:-1]) > 1)


def is_embedding(name: str, leaf: Array) -> bool:
    """Say whether a matrix embeds the input: a table of tokens or of positions, or the projection of patches."""
    *_, parent, last = ("", *name.split("/"))
    added = last != "kernel" and leaf.ndim > 2 and leaf.shape[0] == 1  # a table (1, T, D), the same for all examples
    return added or any(word in part for part in (parent, last) for word in ("embed", "position"))


def is_output(name: str) -> bool:
    """Say whether a parameter belongs to an output layer: "head/kernel", or the last layer "out" of a deeper head."""
    *above, parent, _ = ("", *name.split("/"))
    return parent in OUTPUTS or (parent == "out" and "head" in above)
