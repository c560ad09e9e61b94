"""Open a run again: its Setup, its replicas, and the State of a checkpoint."""

from pathlib import Path
from typing import Literal

import flax
import jax
from tokenizers import Tokenizer

import train.loop.run
from train.config import Experiment, Text
from train.core import State, devices
from train.data.text import tokenizers
from train.loop import replicas
from train.loop.checkpoints import Checkpoints
from train.loop.replicas import ReplicaSet
from train.loop.run import TOKENIZER, Run
from train.loop.transfer import is_published
from train.tasks.assemble import assemble
from train.tasks.check import check
from train.tasks.setup import Setup
from zoo.errors import UserError


def assemble_run(experiment: Experiment, folder: Path | None = None) -> Setup:
    """Assemble `experiment` with the tokenizer that it already has, if any.

    folder: of a run that exists; None for a new run, which may start from another one (`init_from`).
    """
    check(experiment)
    if isinstance(experiment.data, Text):
        return assemble(experiment, saved_tokenizer(experiment, folder))
    if folder is None:
        starting_run(experiment)  # reports a missing run before any data are read
    return assemble(experiment)


def saved_tokenizer(experiment: Experiment, folder: Path | None) -> Tokenizer | None:
    """That of the run in `folder`, else of the run that `init_from` names; None: there is none yet."""
    folder = folder or starting_run(experiment)
    if folder is None:
        return None
    if not (folder / TOKENIZER).is_file():
        raise UserError(f"{folder} has no {TOKENIZER}: it is no run on text")
    return tokenizers.read(folder / TOKENIZER)


def restore(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Setup, State]:
    """The parts of a run of one member and the State of one of its checkpoints."""
    train.loop.run.require_single(run)
    parts, _, state = restore_replicas(run, checkpoint)
    return parts, state


def restore_replicas(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Setup, ReplicaSet, State]:
    """The parts of a run, its replicas, and the State of all of them from one of its checkpoints."""
    parts = assemble_run(run.experiment, run.path)
    team = replicas.make_replica_set(run.experiment, parts.task, parts.build)
    mesh = devices.make_mesh(run.experiment.data.batch)
    abstract = devices.placed(jax.eval_shape(team.init, team.key), mesh, run.experiment.shard)
    state, _ = Checkpoints(run.checkpoints, read_only=True).restore(abstract, checkpoint, parts.fingerprint)
    return parts, team, state


def finished(folder: Path, experiment: Experiment) -> Run | None:
    """The newest finished run in `folder` of just this experiment with just these library versions."""
    versions = {"jax": jax.__version__, "flax": flax.__version__}
    for path in sorted((config.parent for config in folder.glob("*/config.json")), reverse=True):
        summary = train.loop.run.read_summary(path)
        if summary and summary["versions"] == versions and train.loop.run.load(path).experiment == experiment:
            return Run(path, experiment)
    return None


def starting_run(experiment: Experiment) -> Path | None:
    """The folder of the run that `init_from` names; None without one, or where it names published weights."""
    if not experiment.init_from or is_published(experiment.init_from):
        return None
    try:
        run = train.loop.run.load(experiment.init_from)
        train.loop.run.require_single(run)
        return run.path
    except UserError as error:
        raise UserError(f"init_from: {error}") from None
