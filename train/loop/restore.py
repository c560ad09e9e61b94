"""Reopen a run: its Setup, its replicas, and the State of a checkpoint."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax
import jax
import jax.numpy as jnp
from tokenizers import Tokenizer

import train.loop.run
import zoo
from train.config import Experiment, Text
from train.config.files import ConfigFile
from train.core import State, devices
from train.data.text import tokenizers
from train.loop import known_data
from train.loop.checkpoints import Checkpoints
from train.loop.replicas import ReplicaSet, make_replica_set
from train.loop.run import TOKENIZER, Run
from train.loop.transfer import is_published, require_fit
from train.tasks.adversarial.task import NETWORKS as PAIR
from train.tasks.assemble import assemble
from train.tasks.check import check
from train.tasks.setup import Setup
from zoo.errors import Errors, UserError
from zoo.weights import table
from zoo.weights.load import open_row


def assemble_run(experiment: Experiment, folder: Path | None = None) -> Setup:
    """Return the Setup of a run, with the tokenizer, mean and deviation that it has already, if any.

    folder: the folder of an existing run; None for a new run, which may start from another one (`init_from`).
    What has changed in the data since the run was made is printed; UserError where their classes have.
    """
    errors = Errors()
    with errors.kept():
        check(experiment)
    with errors.kept():
        if folder is None:
            starting_run(experiment)  # raises for a missing run before any data is read
    errors.report()
    if isinstance(experiment.data, Text):
        setup = assemble(experiment, saved_tokenizer(experiment, folder))
    else:
        setup = assemble(known_data.normalizing_as_trained(experiment, folder))
    if folder is not None:
        known_data.compare(setup.dataset, folder)
    elif experiment.init_from:
        require_fit(setup.abstract, experiment)  # before a folder is made for the run
    return setup


def saved_tokenizer(experiment: Experiment, folder: Path | None) -> Tokenizer | None:
    """Return the tokenizer of the run in `folder`, else of the run that `init_from` names; None where there is none."""
    folder = folder or starting_run(experiment)
    if folder is None:
        return None
    if not (folder / TOKENIZER).is_file():
        raise UserError(f"{folder} has no {TOKENIZER}: it is not a run on text")
    return tokenizers.read(folder / TOKENIZER)


def restore(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Setup, State]:
    """Return the Setup of a run of one replica, and the State of one of its checkpoints."""
    train.loop.run.require_single(run)
    setup, _, state = restore_replicas(run, checkpoint)
    return setup, state


def restore_replicas(run: Run, checkpoint: Literal["last", "best"] = "last") -> tuple[Setup, ReplicaSet, State]:
    """Return the Setup of a run, its replicas, and the State of all of them from one of its checkpoints."""
    setup = assemble_run(run.experiment, run.path)
    replicas = make_replica_set(run.experiment, setup.task, setup.build)
    if run.weights:
        return setup, replicas, named_state(run, setup)
    mesh = devices.make_mesh()
    abstract = devices.placed(jax.eval_shape(replicas.init, replicas.key), mesh, run.experiment.shard)
    checkpoints = Checkpoints(run.checkpoints, read_only=True)
    state, _ = checkpoints.restore(abstract, checkpoint, setup.fingerprint)
    return setup, replicas, state


def named_state(run: Run, setup: Setup) -> State:
    """Return the State of weights by name; see `state_of`."""
    row = table.require(run.weights)
    variables = zoo.load_weights(setup.model, open_row(row))
    return state_of(setup, variables, row.recipe.step if row.recipe else 0)


def state_of(setup: Setup, variables: Mapping[str, Any], step: int) -> State:
    """Return a State that has all that evaluation uses: the variables of the networks, and nothing to train with.

    variables: of one model. That of a pair of adversarial networks has both, each below its own name, and of the
        discriminator's batch statistics only those of real images: a loss on generated ones is not that of training.
    """
    params, others = {}, {}
    for name in setup.abstract.params:
        inside = PAIR.get(name)
        own = {kind: tree.get(inside, {}) if inside else tree for kind, tree in variables.items()}
        params[name] = own.pop("params")
        own = {kind: tree for kind, tree in own.items() if tree}
        if inside == "discriminator":  # which keeps averages of real and of generated images, and a file those of real
            own = {"real": own, "fake": own}
        others[name] = own
    return State(jnp.int32(step), params, dict.fromkeys(setup.abstract.opt, ()), others)


class Opened(NamedTuple):
    """A run of an experiment: a finished one, one to continue, or a new one."""

    run: Run
    setup: Setup | None  # what to train it with; None where it is finished
    resume: bool = False


def opened(
    name: str,
    experiment: Experiment,
    workdir: Path,
    *,
    source: ConfigFile | None = None,
    usable: Callable[[Run], bool] = lambda run: True,
    over: Callable[[Path], bool] = lambda path: False,
) -> Opened:
    """Return the run of exactly this experiment in WORKDIR/<name>: a finished one, one that was stopped, or a new one.

    Of several it is the newest. source: the user's own config file, which a new run names. usable: which runs that are
    there may be used. over: whether an unfinished run, in the folder of that path, cannot be continued: it is returned
    as it is.
    """
    folders = sorted((config.parent for config in (workdir / name).glob("*/config.json")), reverse=True)
    there = [run for path in folders if (run := same(path, experiment)) and usable(run)]
    for ended in (is_finished, over):
        if done := next((run for run in there if ended(run.path)), None):
            return Opened(done, None)
    begun = next((run for run in there if train.loop.run.read_summary(run.path) is None), None)
    setup = assemble_run(experiment, begun and begun.path)
    if begun:
        return Opened(begun, setup, resume=True)
    return Opened(train.loop.run.create(name, experiment, workdir, setup.tokenizer, source=source), setup)


def is_finished(path: Path) -> bool:
    """Whether the run at `path` is finished, by these versions of the libraries."""
    summary = train.loop.run.read_summary(path)
    return summary is not None and summary.versions == {"jax": jax.__version__, "flax": flax.__version__}


def same(path: Path, experiment: Experiment) -> Run | None:
    """The run at `path` where it is of just this experiment; None for another, or one whose config file has changed."""
    try:
        run = train.loop.run.load(path)
    except UserError:
        return None
    return run if run.experiment == experiment else None


def starting_run(experiment: Experiment) -> Path | None:
    """Return the folder of the run that `init_from` names; None where it names no run (nothing, or other weights).

    It is a run of one replica; several seeds may also start from a run of these seeds. Raises UserError otherwise.
    """
    if not experiment.init_from or is_published(experiment.init_from):
        return None
    try:
        run = train.loop.run.load(experiment.init_from)
        several = experiment.seeds > 1 and run.experiment.seeds > 1
        if several and not run.experiment.sweep and not run.experiment.folds:
            for seed in range(experiment.seed, experiment.seed + experiment.seeds):
                train.loop.run.require_seeds(run, seed)
        else:
            train.loop.run.require_single(run)
        return run.path
    except UserError as error:
        raise UserError(f"init_from: {error}") from None
