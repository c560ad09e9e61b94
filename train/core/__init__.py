"""The core of training: State, Task, and a compiled chunk of steps."""

from train.core.chunk import PerReplica, ReplicaTasks, chunk, replicate, run_chunk, run_evaluate, run_replicas
from train.core.task import Mean, Metrics, Source, State, Task, descend

__all__ = [
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
    "run_evaluate",
    "run_replicas",
]
