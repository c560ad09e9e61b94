"""The State that a run starts from: a new one, one with the parameters of another run, or its last checkpoint."""

from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from train.config import Experiment
from train.core import State, devices
from train.loop import transfer
from train.loop.checkpoints import Checkpoints
from train.loop.replicas import ReplicaSet
from train.loop.stopping import EarlyStopping


class Start(NamedTuple):
    """Where a run starts."""

    state: State
    step: int = 0
    reader: Any = None  # where the data reader continues; None: at the beginning
    remark: str = ""  # what the user should know of where the parameters came from


def initialize(experiment: Experiment, replicas: ReplicaSet, mesh: Mesh | None) -> Start:
    """Return the start of a new run, with the parameters that `init_from` names, if it does."""
    sharding = None
    if mesh is not None:  # else the State need not be traced once more
        sharding = devices.state_sharding(jax.eval_shape(replicas.init, replicas.key), mesh, experiment.shard)
    state = devices.settle(jax.jit(replicas.init, out_shardings=sharding)(replicas.key))
    if not experiment.init_from:
        return Start(state)
    pairs = zip(replicas.each(state), replicas.members, strict=True)
    transferred = [transfer.start_from(one, experiment, member.seed) for one, member in pairs]
    state = replicas.join([one for one, _ in transferred])
    _, remark = transferred[0]
    return Start(state, remark=remark)


def restore_last(
    checkpoints: Checkpoints,
    abstract: State,
    tokenizer: str | None,
    early_stopping: EarlyStopping,
) -> Start:
    """Return the start of a resumed run, its last checkpoint, and restore `early_stopping` to what it was then."""
    state, extra = checkpoints.restore(abstract, tokenizer=tokenizer)
    if extra.stopping:
        kept = checkpoints.restore_kept(abstract)
        early_stopping.resume(extra.stopping, state if kept is None else kept)
    return Start(state, checkpoints.steps()[-1], extra.reader)
