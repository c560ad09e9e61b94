"""What a resumed run may change of its config: what decides no result of the steps that are done.

The readers of a streamed set (`data.workers`) never do. The number of steps does not where the rate of learning, and
whatever else the task schedules, is the same at each step of a longer run; the run then ends with the same bits as one
of that length from the start.
"""

import dataclasses

from train.config import Data, Experiment, QLearning
from train.config.ways import WAYS
from train.loop.run import Run
from zoo.errors import UserError
from zoo.weights import checkpoint

OF_ALL_STEPS = ("linear", "cosine", "one_cycle")
"""The schedules that stretch with the number of steps."""


def changed(run: Run, steps: int | None, workers: int | None) -> Experiment:
    """Return the run's experiment with other steps or reader processes. UserError where that would change results."""
    experiment, data = run.experiment, run.experiment.data
    if steps is not None and steps != experiment.steps:
        _require_longer(run, steps)
        experiment = dataclasses.replace(experiment, steps=steps)
    if workers is not None:
        if not isinstance(data, Data):
            raise UserError(
                f"--data.workers: {run.path} learns from {data.KIND}, which no process reads while it trains"
            )
        experiment = dataclasses.replace(experiment, data=dataclasses.replace(data, workers=workers))
    return experiment


def apply(run: Run, experiment: Experiment) -> None:
    """Go on with `experiment`, which `changed` returned: write it into the run folder, with what was changed and when.

    The summary of a finished run, which is a longer one from now on, is removed.
    """
    done = _steps_done(run)
    before, after = dataclasses.asdict(run.experiment), dataclasses.asdict(experiment)
    pairs = {"steps": (before["steps"], after["steps"])}
    if isinstance(experiment.data, Data):
        pairs["data.workers"] = (before["data"]["workers"], after["data"]["workers"])
    notes = [
        {"field": field, "from": old, "to": new, "at_step": done} for field, (old, new) in pairs.items() if old != new
    ]
    if notes:
        run.change(experiment, notes)


def _require_longer(run: Run, steps: int) -> None:
    """Raise UserError, which says how to go on, where a longer run would not begin with this one."""
    own = run.experiment
    if steps < own.steps:
        raise UserError(f"--steps can only make a run longer: {run.path} has {own.steps:,} steps, not {steps:,}")
    reason, done = None, _steps_done(run)
    if own.optim.schedule in OF_ALL_STEPS:
        reason = f"optim.schedule={own.optim.schedule} stretches over all steps, so its first ones would be others"
    elif isinstance(own.task, QLearning) and own.task.priority > 0:
        reason = "task.priority_beta rises over all steps, so the first ones would be others"
    elif (owner := WAYS.owner(own.task.name)) is not None:
        reason = f"the task {own.task.name!r} of {owner} may depend on the number of steps"
    elif own.patience is not None and (done == own.steps or _stopped_early(run)):
        reason = "early stopping has put its best State in the place of the last one"
    elif done == own.steps and done % own.eval_every_steps:
        reason = f"its last step is no evaluation of a longer run, which evaluates every {own.eval_every_steps:,} steps"
    if reason:
        raise UserError(
            f"--steps {steps}: {run.path} cannot go on as a longer run: {reason}; a new run starts from its weights "
            f"with: zoo train CONFIG --init-from {run.path} --steps N"
        )


def _stopped_early(run: Run) -> bool:
    """Return whether every replica has stopped at the last checkpoint."""
    if not checkpoint.steps(run.checkpoints):
        return False
    standings = checkpoint.find(run.checkpoints, "last")[1].stopping
    return bool(standings) and all(standing.get("stopped_at_step") is not None for standing in standings)


def _steps_done(run: Run) -> int:
    return max(checkpoint.steps(run.checkpoints), default=0)
