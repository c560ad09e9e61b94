"""The sham of a claim: one arm of its headline against itself with other seeds, judged by the headline's own rule.

Nothing differs but the seeds. Where a sham holds, the rule finds effects that are not there.
"""

import dataclasses
import datetime
import functools
from collections.abc import Callable
from typing import Any

from train.history.claims import design
from train.history.claims.arms import (
    TUNING_SEED,
    Arm,
    DerivedArm,
    FunctionArm,
    MembersArm,
    Outcome,
    RemeasuredArm,
    TrainedArm,
    sources,
)
from train.history.claims.claim import Claim, Plot
from train.history.claims.claim_run import ClaimRun
from train.history.claims.values import Values
from train.history.claims.verdict import result
from zoo.errors import UserError

SHIFT = 5_000  # from the seeds of a claim to those of its sham
TWIN = "sham."  # before the names of arms with other seeds
KEPT = (
    "arm", "against", "kind", "unit", "margin", "value", "low", "high", "bound", "paired", "seeds", "failures",
    "unseen", "verdict", "why",
)  # fmt: skip


def sham_arm(claim: Claim) -> str | None:
    """Return the arm of a claim's sham: the headline's `against`, as a rule the cheaper one, else its `arm`.

    None where both are exact: without seeds there is nothing to repeat.
    """
    effect = claim.effects[0]
    names = [name for name in (effect.against, effect.arm) if isinstance(name, str)]
    return next((name for name in names if not claim.is_exact(name)), None)


def sham(claim: Claim) -> Claim | None:
    """Return the sham of a claim as a claim of its own, with an arm and its twin; None where there is none."""
    name = sham_arm(claim)
    if name is None:
        return None
    needed = _needed(claim, name)
    own = {each: claim.arms[each] for each in claim.arms if each in needed}
    twins = {TWIN + each: _twin(claim.arms[each], claim.seeds) for each in own}
    effect = dataclasses.replace(claim.effects[0], arm=TWIN + name, against=name, says=f"{name} with other seeds")
    full: dict[str, Any] = {"full": {}, "full_arms": {}, "full_says": {}, "full_facts": {}}
    return dataclasses.replace(claim, arms=own | twins, effects=(effect,), plot=Plot(), sabotage="", **full)


def _needed(claim: Claim, name: str) -> set[str]:
    """Return the names of an arm and of those that it is made of."""
    return {name}.union(*(_needed(claim, one) for one in sources(claim.arms[name])))


def _twin(arm: Arm, seeds: int) -> Arm:
    """Return an arm with other seeds, made of the twins of its own arms."""
    match arm:
        case TrainedArm(experiment=experiment):
            if experiment.seed + SHIFT + seeds > TUNING_SEED:
                raise UserError(
                    f"a sham needs seeds below {TUNING_SEED - SHIFT:,}, and an arm begins at {experiment.seed}"
                )
            return dataclasses.replace(arm, experiment=dataclasses.replace(experiment, seed=experiment.seed + SHIFT))
        case FunctionArm(value=value, exact=False):
            return dataclasses.replace(arm, value=functools.partial(_shifted, value))
        case RemeasuredArm(of=of):
            return dataclasses.replace(arm, of=TWIN + of)
        case MembersArm(of=of, like=like):
            return dataclasses.replace(arm, of=TWIN + of, like=TWIN + like)
        case DerivedArm(of=names, unit=unit):
            return DerivedArm(arm.says, tuple(TWIN + name for name in names), arm.value, unit)
    return arm


def _shifted(value: Callable[[int], float | Outcome], seed: int) -> float | Outcome:
    return value(seed + SHIFT)


def run_sham(claim: Claim, trial: Claim, run: ClaimRun) -> dict[str, Any]:
    """Run the sham of a claim and return it as JSON. trial: `sham(claim)`. run: of `with_twins(claim, trial)`.

    The seeds of the twin count as those of the arm, so that they are paired where those of the headline are.
    """
    values = run.values(set(trial.arms))
    own = {name: _back(one) if name.startswith(TWIN) else one for name, one in values.items()}
    found = result(run.name, trial, "", own)
    (effect,) = found["effects"]
    seconds = sum(one.seconds for name, one in values.items() if name.startswith(TWIN))
    return {
        **{key: effect[key] for key in KEPT},
        "values": next(arm["values"] for arm in found["arms"] if arm["name"] == effect["arm"]),
        "design": design.digest(claim),
        "minutes": round(seconds / 60, 2),
        "date": datetime.date.today().isoformat(),
    }


def with_twins(claim: Claim, trial: Claim) -> Claim:
    """Return a claim with the arms of its sham beside its own, so that finished runs of its own are found."""
    return dataclasses.replace(trial, arms={**claim.arms, **trial.arms})


def _back(values: Values) -> Values:
    """Return the values of a twin as if they were of the seeds of its arm. Those of a function are so already."""
    if not any(seed >= SHIFT for seed in values.seeds):
        return values
    return dataclasses.replace(
        values,
        seeds=tuple(seed - SHIFT for seed in values.seeds),
        of=tuple(frozenset(seed - SHIFT for seed in key) for key in values.of),
        diverged=frozenset(seed - SHIFT for seed in values.diverged),
    )
