"""A small claim for the tests: a net that learns against one that hardly does, on the embedded digits."""

import json
from pathlib import Path

from rich.console import Console

from train.config import Data, Experiment, Model, Optim, override
from train.history.claims import Claim, Effect, TrainedArm
from train.history.claims.claim_run import ClaimRun

QUIET = Console(quiet=True)
MLP = Experiment(
    model=Model("mlp", {"widths": (32,)}),
    data=Data("digits", batch=32),
    optim=Optim("sgd", lr=0.1),
    steps=40,
    eval_every_steps=20,
)
SLOW = override(MLP, {"optim": {"lr": 1e-4}})
VALUES = {0: 0.9, 1: 0.8, 2: 0.85}


def claim(arms: dict, *effects: Effect, **fields) -> Claim:
    given = {"metric": "train loss", "seeds": 3} | fields
    return Claim(2000, "Nobody 2000, Fig. 1", "https://example.org", "It works.", arms, tuple(effects), **given)


def pair(**fields) -> Claim:
    """A net that learns and one that hardly does: the paper says that the first has the lower loss."""
    arms = {"fast": TrainedArm("rate 0.1", MLP), "slow": TrainedArm("rate 0.0001", SLOW)}
    return claim(arms, Effect("fast", "slow", "lower", "a rate that is not tiny learns", margin=0.001), **fields)


def tried(claim: Claim, folder: Path, key: str = "") -> dict:
    found = ClaimRun("mine", claim, folder, QUIET, key=key).run()
    json.dumps(found, allow_nan=False)
    return found


def runs(folder: Path, arm: str) -> list[Path]:
    return sorted(path.parent for path in (folder / arm).glob("*/config.json"))
