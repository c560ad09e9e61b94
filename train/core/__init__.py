"""The pure heart of training: State, Task, and a compiled chunk of steps."""

from train.core.chunk import PerReplica, chunk, replicate, run_chunk, run_evaluate, run_replicas
from train.core.task import Metrics, Source, State, Task, descend

__all__ = [
    "Metrics",
    "PerReplica",
    "Source",
    "State",
    "Task",
    "chunk",
    "descend",
    "replicate",
    "run_chunk",
    "run_evaluate",
    "run_replicas",
]
