"""Parts of a model by pattern: which arrays to hold still, to decay, or to look at."""

import fnmatch
from collections.abc import Mapping
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from zoo.errors import UserError


def select(tree: Mapping[str, Any], *patterns: str) -> dict[str, Any]:
    """A tree like `tree` of True where a path ("block0/mlp/up/kernel") matches one of the shell patterns, else False.

    For optax: `optax.transforms.freeze(zoo.weights.select(params, "stem/*", "s[012]b*"))`. UserError where a pattern
    matches nothing.
    """
    flat = flatten_dict(tree, sep="/")
    for pattern in patterns:
        if not fnmatch.filter(flat, pattern):
            raise UserError(f"no array matches {pattern!r}; paths are like {next(iter(flat), 'none at all')}")
    return unflatten_dict({path: any(fnmatch.fnmatchcase(path, p) for p in patterns) for path in flat}, sep="/")
