"""What a claim should cost that was not run before: the FLOPs of its training, and the seconds that they take."""

import dataclasses
from typing import Any

from train.config import Experiment
from train.config.replicas import members
from train.history.claims.arms import FunctionArm, TrainedArm
from train.history.claims.claim import Claim
from train.history.claims.tuning import trials
from train.loop.restore import assemble_run

FLOPS_PER_SECOND = {"cpu": 2e10, "gpu": 2e12}
"""What small networks reach, as a first guess: two cores, and a small part of a GPU, which waits for its programs."""

STEP_SECONDS = 1e-4  # of a step, whatever its network
RUN_SECONDS = 10.0  # of a run, for its data and its compilation


def flops(claim: Claim) -> float:
    """Return the FLOPs of all training of a claim: of its arms, their tuning, and the runs that arms start from.

    A step costs about three forward passes of each example. Raises UserError for data that are not here.
    """
    found: list[tuple[Any, float]] = []  # what decides the FLOPs of an example, and these
    return float(sum(_of_run(run, found) for run in _runs(claim)))


def _runs(claim: Claim) -> list[Experiment]:
    """Return the runs of a claim: those that arms start from, the arms, and their tuning."""
    starts: list[Experiment] = []
    runs: list[Experiment] = []
    for arm in claim.arms.values():
        if isinstance(arm, TrainedArm):
            own = [dataclasses.replace(arm.experiment, seeds=claim.seeds)]
            own += [trial.experiment for trial in trials(arm.experiment, arm.tune)] if arm.tune else []
            begun = [claim.start_of(arm, experiment) for experiment in own]
            starts += [start for start in begun if start is not None]
            runs += own
    return [start for i, start in enumerate(starts) if start not in starts[:i]] + runs


def _of_run(experiment: Experiment, found: list[tuple[Any, float]]) -> float:
    """Return the FLOPs of a run. found: those of an example, which arms of the same net, task and data share."""
    deciding = (experiment.model, experiment.task, experiment.data)
    each = next((flops for known, flops in found if known == deciding), None)
    if each is None:
        setup = assemble_run(dataclasses.replace(experiment, seeds=1, sweep=(), init_from=None))
        each = setup.flops * setup.passes
        found.append((deciding, each))
    return each * experiment.data.batch * experiment.steps * len(members(experiment))


def seconds(claim: Claim, rate: float) -> float:
    """Return what a claim should take at so many FLOPs in a second. Of its functions only its own guess is known.

    A step of the smallest network takes its time too, and so does the compilation of each run.
    """
    runs = _runs(claim)
    waiting = sum(RUN_SECONDS + STEP_SECONDS * run.steps for run in runs)
    computed = any(isinstance(arm, FunctionArm) for arm in claim.arms.values())
    return flops(claim) / rate + waiting + (claim.seconds if computed else 0.0)
