"""Readings: what a claim takes from the files of a run whose seeds stopped early, diverged, or reached their goal."""

import dataclasses
import math
from pathlib import Path

import pytest
from rich.console import Console

import train.loop.run
from train.config import Data, Experiment, Model, files
from train.history.claims import Claim, Effect, TrainedArm, metric, readings
from train.history.claims.claim_run import ClaimRun
from train.loop.run import Run
from train.loop.summary import ReplicaResult, Summary
from zoo.errors import UserError

QUIET = Console(quiet=True)
EXPERIMENT = Experiment(Model("mlp"), Data("digits"), steps=40, eval_every_steps=10, seeds=2)

OTHER = dataclasses.replace(EXPERIMENT, seed=7)


def written(folder: Path, losses: dict[int, list], *replicas: ReplicaResult, steps: int = 40) -> Run:
    """A run whose lines of training are `losses`, one for each seed, by step."""
    run = train.loop.run.create("by_hand", EXPERIMENT, folder)
    run.write_metrics([
        {"step": step, "split": "train", "seconds": 1.0, "loss": 0.0, "replicas": {"loss": values}}
        for step, values in losses.items()
    ])  # fmt: skip
    run.summarize(Summary(steps=steps, replicas=replicas, seconds=60.0))
    return run


def replica(seed: int, **fields) -> ReplicaResult:
    return ReplicaResult(seed, {}, {}, {"loss": 0.5}, **fields)


def test_a_seed_that_diverged_after_its_goal_did_not_reach_it(tmp_path) -> None:
    losses = {10: [0.5, 0.5], 20: [0.1, 0.1], 30: [0.1, None], 40: [0.1, None]}
    run = written(tmp_path, losses, replica(0), replica(1, diverged_at_step=25))
    assert readings.read(run, metric("steps to reach train loss 0.2")) == [20.0, 40.0]
    assert [found.at_least for found in readings.measure(run, metric("steps to reach train loss 0.2"))] == [False, True]
    never = readings.measure(run, metric("steps to reach train loss 0.01"))
    assert [(found.value, found.at_least) for found in never] == [(40.0, True)] * 2


def test_the_train_loss_of_a_run_that_stopped_early_is_that_of_the_states_it_keeps(tmp_path) -> None:
    """It ended at step 30 of 40, so that the last ten steps were none: 0 / 0."""
    losses = {5: [9.0, 9.0], 10: [4.0, 3.0], 15: [2.0, 5.0], 20: [1.0, 6.0], 30: [7.0, None]}
    stopped = replica(0, best_step=20, stopped_at_step=30), replica(1, best_step=10, stopped_at_step=20)
    run = written(tmp_path, losses, *stopped, steps=30)
    assert readings.read(run, metric("train loss")) == [1.5, 6.0]


def test_a_whole_run_is_read_over_its_last_evaluation(tmp_path) -> None:
    run = written(tmp_path, {20: [9.0, 9.0], 35: [4.0, 3.0], 40: [1.0, 6.0]}, replica(0), replica(1))
    assert readings.read(run, metric("train loss")) == [(4 * 15 + 1 * 5) / 20, (3 * 15 + 6 * 5) / 20]


def claim(arms: dict[str, TrainedArm], **fields) -> Claim:
    effect = Effect("a", "b", "lower", "", margin=0.001)
    return Claim(2000, "Nobody", "https://example.org", "It works.", arms, (effect,),
                 metric="train loss", seeds=2, **fields)  # fmt: skip


def test_the_seconds_of_arms_that_are_one_run_count_once(tmp_path, monkeypatch) -> None:
    lines = {10: [1.0, 1.0], 40: [1.0, 1.0]}
    run = written(tmp_path, lines, replica(0), replica(1))
    other = written(tmp_path, lines, replica(0), replica(1))
    arms = {"a": TrainedArm("a", EXPERIMENT), "b": TrainedArm("b", OTHER), "c": TrainedArm("c", EXPERIMENT)}
    there = ClaimRun("mine", claim(arms), tmp_path, QUIET)
    monkeypatch.setattr(there.trained, "ensure", lambda name, experiment: other if name == "b" else run)
    assert [round(arm["seconds"]) for arm in there.run()["arms"]] == [60, 60, 0]


def test_data_of_a_start_that_are_missing_are_seen_before_the_first_arm(tmp_path) -> None:
    missing = dataclasses.replace(EXPERIMENT, data=Data("folder:/nowhere/at/all"))
    arms = {"a": TrainedArm("a", EXPERIMENT, start="pretrained"), "b": TrainedArm("b", OTHER, start="pretrained")}
    with pytest.raises(UserError, match="nowhere"):
        ClaimRun("mine", claim(arms, starts={"pretrained": missing}), tmp_path, QUIET).check()


@pytest.mark.parametrize(
    "name", ["validation loss", "test bleu", "mean validation loss", "steps to reach validation perplexity 2"]
)
def test_a_metric_that_the_task_does_not_give_is_said_before_anything_is_trained(name: str, tmp_path: Path) -> None:
    """Both arms were trained first, for as long as that takes."""
    agent = files.load("cartpole_dqn")
    arms = {"a": TrainedArm("", agent), "b": TrainedArm("", dataclasses.replace(agent, seed=7))}
    wrong = dataclasses.replace(claim(arms), metric=name)
    with pytest.raises(UserError, match=f"'q_learning' has no {name}: its evaluations give return, length"):
        ClaimRun("mine", wrong, tmp_path, QUIET).check()
    for there in ("mean validation return", "test return", "train loss"):
        readings.require_measured(metric(there), agent)


def test_the_mean_log_loss_weights_each_chunk_by_its_steps_and_loses_a_seed_that_diverged(tmp_path) -> None:
    wanted = metric("mean log train loss")
    readings.require_measured(wanted, EXPERIMENT)
    run = written(tmp_path, {10: [1.0, 1.0], 40: [math.e, 2.0]}, replica(0), replica(1, diverged_at_step=40))
    assert readings.read(run, wanted) == [pytest.approx(0.75), None]
    assert wanted.better == "lower"
