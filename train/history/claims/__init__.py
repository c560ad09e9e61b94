"""The names that a claim file imports: the claim, its arms, metrics, effects and plot."""

from train.history.claims.claim import (
    Claim,
    DerivedArm,
    Difference,
    Effect,
    FunctionArm,
    Metric,
    Outcome,
    Plot,
    RemeasuredArm,
    TrainedArm,
    Tune,
    metric,
)

__all__ = [
    "Claim",
    "DerivedArm",
    "Difference",
    "Effect",
    "FunctionArm",
    "Metric",
    "Outcome",
    "Plot",
    "RemeasuredArm",
    "TrainedArm",
    "Tune",
    "metric",
]
