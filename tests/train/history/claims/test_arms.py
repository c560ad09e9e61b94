"""Arms whose values are not one for each seed: ensembles, their members, and what depends on no seed."""

import dataclasses
from pathlib import Path

import pytest
from rich.console import Console

import train.loop.run
from train.config import Data, Experiment, Model
from train.history.claims import (
    Claim,
    DerivedArm,
    Difference,
    Effect,
    FunctionArm,
    Measured,
    MembersArm,
    Metric,
    Outcome,
    RemeasuredArm,
    TrainedArm,
    Tune,
    metric,
    readings,
    table,
    tuning,
)
from train.history.claims.claim_run import ClaimRun
from train.loop.run import Run
from train.loop.summary import ReplicaResult, Summary
from zoo.errors import UserError

QUIET = Console(quiet=True)
EXPERIMENT = Experiment(Model("mlp"), Data("digits"), steps=40, eval_every_steps=40, seeds=3)


def written(folder: Path, losses: list[float | None]) -> Run:
    """A finished run whose seeds have these training losses; one without a loss has diverged."""
    run = train.loop.run.create("by_hand", dataclasses.replace(EXPERIMENT, seeds=len(losses)), folder)
    run.write_metrics([
        {"step": 40, "split": "train", "seconds": 1.0, "loss": 0.0, "replicas": {"loss": losses}}
    ])  # fmt: skip
    replicas = tuple(
        ReplicaResult(i, {}, {}, {"loss": 0.5}, diverged_at_step=None if loss is not None else 7)
        for i, loss in enumerate(losses)
    )
    run.summarize(Summary(steps=40, replicas=replicas, seconds=60.0))
    return run


def pairs(run: Run) -> list[Measured]:
    """The better of two neighbouring seeds, less one: an ensemble that is better than both."""
    values = [value or 0.0 for value in readings.read(run, metric("train loss"))]
    return [Measured(min(values[i : i + 2]) - 1, of=(i, i + 1)) for i in range(len(values) - 1)]


NETS = {"nets": TrainedArm("", EXPERIMENT), "other": TrainedArm("", dataclasses.replace(EXPERIMENT, steps=41))}
ENSEMBLES = NETS | {
    "best": RemeasuredArm("", "nets", Metric("train loss", of=pairs)),
    "members": MembersArm("", "nets", "best"),
}


def claim(arms: dict) -> Claim:
    effects = (Effect("best", "members", "lower", "", margin=0.1),)
    return Claim(2000, "N", "https://e.org", "It.", arms, effects, "train loss", seeds=3)


def judged(folder: Path, losses: list[float | None], monkeypatch: pytest.MonkeyPatch) -> dict:
    there = ClaimRun("mine", claim(ENSEMBLES), folder, QUIET)
    run = written(folder, losses)
    monkeypatch.setattr(there.trained, "ensure", lambda name, experiment: run)
    return there.run()


def test_an_ensemble_is_measured_on_a_run_with_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(tmp_path, [2.0, 3.0, 4.0], monkeypatch)
    _, _, best, members = found["arms"]
    assert (best["of"], best["seeds"], best["values"]) == ([[0, 1], [1, 2]], [0, 1], [1, 2])
    assert members["values"] == [2.5, 3.5]
    (effect,) = found["effects"]
    assert (effect["paired"], effect["value"], effect["verdict"]) == (True, -1.5, "holds")


def test_an_ensemble_of_which_a_seed_diverged_has_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(tmp_path, [2.0, 3.0, None], monkeypatch)
    assert [arm["values"] for arm in found["arms"][2:]] == [[1, None], [2.5, None]]
    assert found["verdict"] == "undecided"
    assert found["effects"][0]["why"].startswith("best: 1 of 2 seeds diverged or have no finite value; members: 1 of 2")


def test_a_rate_at_the_end_of_its_sweep_leaves_every_effect_of_its_nets_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S5: the remark said so at most, and the effects held."""
    why = "its best optim.lr is still the end of its sweep"
    monkeypatch.setattr(tuning, "choose", lambda *_: tuning.Choice({"optim.lr": 1.0}, "chosen: optim.lr 1", why))
    arms = NETS | {
        "nets": dataclasses.replace(NETS["nets"], tune=Tune(("optim.lr=0.1,1",), 20)),
        "again": RemeasuredArm("", "nets", metric("train loss")),
        "gain": Difference("", "again", "other"),
    }
    effects = tuple(Effect(name, 9.0, "lower", "", margin=0.1) for name in ("other", "nets", "again", "gain"))
    whole = Claim(2000, "N", "https://e.org", "It.", arms, effects, "train loss", seeds=3)
    there, run = ClaimRun("mine", whole, tmp_path, QUIET), written(tmp_path, [2.0, 3.0, 4.0])
    monkeypatch.setattr(there.trained, "ensure", lambda name, experiment: run)
    found = there.run()
    assert [effect["verdict"] for effect in found["effects"]] == ["holds", *["undecided"] * 3]
    assert [effect["why"] for effect in found["effects"][1:]] == [
        f"nets: {why}",
        f"again: {why}",
        f"gain: again: {why}",
    ]
    assert found["arms"][0]["remark"] == "chosen: optim.lr 1"


def test_the_mean_of_members_is_of_arms_that_are_there() -> None:
    with pytest.raises(UserError, match="unknown arm of a mean of members 'x'"):
        claim(ENSEMBLES | {"members": MembersArm("", "x", "best")})
    with pytest.raises(UserError, match="computed is no trained arm: only an ensemble of networks has members"):
        claim(ENSEMBLES | {"computed": FunctionArm("", float), "members": MembersArm("", "computed", "best")})


def test_what_is_exact_is_computed_once(tmp_path) -> None:
    calls = []

    def three(seed: int) -> float:
        calls.append(seed)
        return 3.0

    arms = {"three": FunctionArm("", three, exact=True), "drawn": FunctionArm("", lambda s: s / 10)}
    arms["more"] = Difference("", "three", "drawn")
    arms["six"] = DerivedArm("", ("three",), lambda x: 2 * x)
    effects = [Effect(name, 1.0, "higher", name, margin=1) for name in ("three", "more", "six")]
    claim = Claim(2000, "N", "https://e.org", "It.", arms, tuple(effects), Metric("m"), seeds=3)
    found = ClaimRun("mine", claim, tmp_path, QUIET).run()
    assert calls == [0]
    three_arm, _, more, six = found["arms"]
    assert (three_arm["values"], three_arm["seeds"], three_arm["exact"]) == ([3], [], True)
    assert (more["values"], more["seeds"]) == ([3, 2.9, 2.8], [0, 1, 2])
    assert (six["values"], six["exact"]) == ([6], True)
    assert [effect["exact"] for effect in found["effects"]] == [True, False, True]
    assert [effect["verdict"] for effect in found["effects"]] == ["holds"] * 3
    printed = Console(width=120)
    with printed.capture() as capture:
        printed.print(table.show(found))
    assert "+2 (exact)" in capture.get()


def test_a_computed_arm_has_a_unit_of_its_own_and_values_that_are_only_bounds(tmp_path: Path) -> None:
    """A net that never reached its goal was counted as one that reached it at the last step."""
    arms = {
        "slow": FunctionArm("", lambda seed: Outcome(100.0, at_least=seed == 1)),
        "fast": FunctionArm("", lambda seed: 10.0 + seed),
        "range": FunctionArm("", lambda seed: 2.0, exact=True, unit="powers of ten"),
    }
    effect = Effect("fast", "slow", "higher", "", kind="ratio", margin=2)
    mine = Claim(2000, "Nobody 2000", "https://example.org", "", arms, (effect,), metric="train loss", seeds=8)
    for _ in range(2):  # the second time from the file
        found = ClaimRun("mine", mine, tmp_path, QUIET).run()
        assert [arm["unit"] for arm in found["arms"]] == ["nats", "nats", "powers of ten"]
        assert found["arms"][0]["at_least"] == [False, True, *[False] * 6]
        assert found["effects"][0]["verdict"] == "undecided"
        assert "never reached the goal" in found["effects"][0]["why"]


def test_a_doubt_about_a_computed_arm_leaves_its_effects_undecided(tmp_path: Path) -> None:
    """Only the arms that a Tune gave a rate had one: a best rate at the end of a computed grid decided all the same."""
    arms = {
        "tuned": FunctionArm("", lambda seed: Outcome(20.0 + seed, doubt="its best rate is the end of its grid")),
        "other": FunctionArm("", lambda seed: 1.0 + seed),
    }
    effect = Effect("tuned", "other", "higher", "", margin=1)
    mine = Claim(2000, "Nobody 2000", "https://example.org", "", arms, (effect,), metric="train loss", seeds=4)
    for _ in range(2):  # the second time from the file
        (found,) = ClaimRun("mine", mine, tmp_path, QUIET).run()["effects"]
        assert found["verdict"] == "undecided"
        assert found["why"] == "tuned: its best rate is the end of its grid"
