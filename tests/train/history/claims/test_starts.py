"""Arms that begin with a run: one for all seeds, or each seed with its own."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_claim import MLP, QUIET, SLOW, claim, runs, tried

import train.loop.run
from train.config import override
from train.history.claims import Effect, TrainedArm, Tune, cost, sham
from train.history.claims.claim_run import ClaimRun
from train.loop.restore import restore_replicas


@pytest.mark.slow
def test_arms_begin_with_a_run_that_is_trained_once(tmp_path) -> None:
    start = override(MLP, {"steps": 60})
    longer = override(SLOW, {"steps": 41})
    arms = {
        "begun": TrainedArm("", SLOW, start="base"),
        "again": TrainedArm("", longer, start="base"),
        "scratch": TrainedArm("", SLOW),
    }
    found = tried(
        claim(arms, Effect("begun", "scratch", "lower", "", margin=0.001), seeds=2, starts={"base": start}), tmp_path
    )
    begun, again, scratch = (arm["mean"] for arm in found["arms"])
    assert max(begun, again) < scratch - 0.3
    (base,) = runs(tmp_path, "start.base")
    ran = [base] + [path for arm in arms for path in runs(tmp_path, arm)]
    seconds = sum(train.loop.run.read_summary(path).seconds for path in ran)
    assert seconds - 0.3 < found["seconds"] < seconds + 2  # each of them once; reading takes next to none


def begun(tmp_path: Path, **fields) -> ClaimRun:
    """A run of a claim whose arms begin with a run, of steps that leave the weights where they are."""
    still = override(MLP, {"steps": 1, "eval_every_steps": 1, "optim": {"lr": 1e-12}})
    arms = {
        "one": TrainedArm("", override(still, {"seed": 7}), Tune(("optim.lr=1e-12,2e-12",), 1, seeds=2), "base"),
        "other": TrainedArm("", override(still, {"seed": 7, "optim": {"name": "momentum"}}), start="base"),
    }
    lower = Effect("one", "other", "lower", "", margin=0.001)
    made = claim(arms, lower, seeds=2, starts={"base": override(still, {"optim": {"lr": 0.1}})}, **fields)
    trial = ClaimRun("mine", made, tmp_path, QUIET)
    trial.run()
    return trial


def test_where_pre_training_varies_each_seed_starts_from_its_own(tmp_path) -> None:
    """One start was trained for all seeds, so that their interval was of fine-tuning alone."""
    trial = begun(tmp_path, varies=("initial weights", "order of batches", "pre-training"))
    starts = {run.experiment.seed: run for run in trial.trained.done if not run.experiment.init_from}
    assert {seed: run.experiment.seeds for seed, run in starts.items()} == {7: 2, 10_000: 2}
    for run in trial.trained.done:
        if run.experiment.init_from:
            own = starts[run.experiment.seed]
            assert run.experiment.init_from == str(own.path)
            theirs = restore_replicas(own)[2].params["net"]["head"]["kernel"]
            mine = restore_replicas(run)[2].params["net"]["head"]["kernel"]
            np.testing.assert_allclose(mine[:2], theirs, atol=1e-6)
            assert np.abs(theirs[0] - theirs[1]).max() > 0.01
    twin = sham.sham(trial.claim)
    start = twin.start_of(twin.arms["sham.other"], twin.arms["sham.other"].experiment)
    assert start.seed == 7 + sham.SHIFT
    assert cost.flops(trial.claim) == cost.flops(dataclasses.replace(trial.claim, varies=None)) * 12 / 9
