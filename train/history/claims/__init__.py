"""What a claim file is written with: the claim, its arms, its metrics, its effects, its plot."""

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
