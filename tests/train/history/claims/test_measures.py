"""Metrics that are measured on the restored states of a run."""

from pathlib import Path

import pytest
from small_claim import MLP, QUIET, claim

from train.config import override
from train.history.claims import Effect, RemeasuredArm, TrainedArm, metric
from train.history.claims.claim_run import ClaimRun
from train.history.claims.measures import learned
from train.loop.restore import restore_replicas


def test_what_was_learned_is_measured_on_the_training_examples_as_they_are_labelled(tmp_path: Path) -> None:
    noisy = override(MLP, {"data": {"wrong_labels": 0.3}, "model": {"fields": {"widths": (32,), "dropout": 0.5}}})
    arms = {
        "net": TrainedArm("", noisy),
        "learned": RemeasuredArm("", "net", learned("accuracy")),
        "loss": RemeasuredArm("", "net", learned("loss")),
        "test_loss": RemeasuredArm("", "net", metric("test loss")),
    }
    trial = ClaimRun("mine", claim(arms, Effect("net", 1.0, "lower", "", margin=0.1), seeds=2), tmp_path, QUIET)
    found = {arm["name"]: arm["values"] for arm in trial.run()["arms"]}
    parts, team, state = restore_replicas(trial.runs["net"])
    measured = [parts.evaluator("train", None)(one) for one in team.each(state)]
    assert found["learned"] == pytest.approx([one["accuracy"] for one in measured], rel=1e-5)
    assert found["loss"] == pytest.approx([one["loss"] for one in measured], rel=1e-5)  # six digits are kept
    assert found["learned"] != found["net"]
    assert [trial.claim.unit(name) for name in ("learned", "loss", "test_loss")] == ["share", "nats", "nats"]
