"""Hyperparameter search: Optuna chooses settings, the loop trains them as replicas."""

from typing import Literal

Sampler = Literal["tpe", "gp", "random"]
"""How the next trial is chosen."""
Pruner = Literal["median", "hyperband", "none"]
"""What stops a trial early."""
