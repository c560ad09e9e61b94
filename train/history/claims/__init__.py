"""The names that a claim file imports: the claim, its arms, metrics, effects and plot."""

from train.history.claims.arms import (
    DerivedArm,
    Difference,
    FunctionArm,
    Measured,
    MembersArm,
    Metric,
    Outcome,
    RemeasuredArm,
    TrainedArm,
    Tune,
    metric,
)
from train.history.claims.claim import Claim, Plot
from train.history.claims.effects import Effect
from train.history.claims.failures import Fails

__all__ = [
    "Claim",
    "DerivedArm",
    "Difference",
    "Effect",
    "Fails",
    "FunctionArm",
    "Measured",
    "MembersArm",
    "Metric",
    "Outcome",
    "Plot",
    "RemeasuredArm",
    "TrainedArm",
    "Tune",
    "metric",
]
