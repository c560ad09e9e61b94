"""Select parts of a model by pattern: which arrays to freeze, to decay, or to inspect."""

import fnmatch
from collections.abc import Mapping
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from zoo.errors import UserError


def select(tree: Mapping[str, Any], *patterns: str) -> dict[str, Any]:
    """Return a tree like `tree`: True where a path ("block0/mlp/up/kernel") matches one of the shell patterns.

    For optax: `optax.transforms.freeze(zoo.weights.select(params, "stem/*", "s[012]b*"))`. UserError if a pattern
    matches nothing.
    """
    flat = flatten_dict(tree, sep="/")
    for pattern in patterns:
        if not fnmatch.filter(flat, pattern):
            raise UserError(f"no array matches {pattern!r}; paths look like {next(iter(flat), 'none')}")
    return unflatten_dict({path: any(fnmatch.fnmatchcase(path, p) for p in patterns) for path in flat}, sep="/")
