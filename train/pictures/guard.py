"""A picture never decides whether a run finishes."""

import contextlib
from collections.abc import Iterator

import jax

from zoo.errors import note
from zoo.weights.checkpoint import reason


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn an error while something is drawn or written into one printed line: "filters.png is missing: …".

    Where another process of the run was lost, the error is raised: the run cannot go on.
    """
    try:
        yield
    except Exception as error:  # drawing reaches into models, data and files of the user
        if isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
            raise
        note(f"{what} is missing: {reason(error)}")
