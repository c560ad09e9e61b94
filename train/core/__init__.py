"""The pure heart of training: State, Task, and a compiled chunk of steps.

The names are imported when they are first used: `train.core.signals` and the command line must not wait for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from train.core.chunks import (
        PerReplica,
        ReplicaTasks,
        chunk,
        replicate,
        run_chunk,
        run_confuse,
        run_evaluate,
        run_grouped,
        run_replicas,
    )
    from train.core.task import BySums, Loss, Mean, Metrics, Source, State, Task, descend

__all__ = [
    "BySums",
    "Loss",
    "Mean",
    "Metrics",
    "PerReplica",
    "ReplicaTasks",
    "Source",
    "State",
    "Task",
    "chunk",
    "descend",
    "replicate",
    "run_chunk",
    "run_confuse",
    "run_evaluate",
    "run_grouped",
    "run_replicas",
]
_IN_TASK = ("BySums", "Loss", "Mean", "Metrics", "Source", "State", "Task", "descend")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("train.core.task" if name in _IN_TASK else "train.core.chunks"), name)
