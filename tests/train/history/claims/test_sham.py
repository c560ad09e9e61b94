"""Controls: an arm against itself with other seeds must not hold, and without its mechanism an effect must be lost."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from repositories import commit_all
from rich.console import Console

from train import cli
from train.config import Data, Experiment, Model, files
from train.core import machine
from train.history.claims import (
    Claim,
    Difference,
    Effect,
    Fails,
    FunctionArm,
    MembersArm,
    Metric,
    RemeasuredArm,
    TrainedArm,
    Tune,
    design,
    results,
    sham,
)
from train.history.claims.claim_run import ClaimRun
from zoo.errors import UserError

FILE = """
import numpy as np
from train.history.claims import Claim, Effect, FunctionArm, Metric
def noise(seed):
    return float(np.random.default_rng(seed).normal())
arms = {"low": FunctionArm("low", noise), "high": FunctionArm("high", lambda s: noise(s) + 9, exact=%s),
        "lame": FunctionArm("lame", lambda s: noise(s + 99) + 9.1)}
CLAIM = Claim(1990, "N", "https://e.org", "It.", arms, (Effect("low", "high", "lower", "less", margin=3.0),),
              Metric("x"), seeds=5, sabotage="lame")
"""
MLP = Experiment(Model("mlp", {"widths": (4,)}), Data("digits", batch=8), steps=2, eval_every_steps=2)
LOWER = Effect("a", "b", "lower", "less", margin=0.1)


def claim(*words: str) -> int:
    return cli.run(["claim", *words])


def made(arms: dict, **fields) -> Claim:
    given = {"metric": Metric("x"), "seeds": 3} | fields
    return Claim(1990, "N", "https://e.org", "It.", arms, (LOWER,), **given)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two claims of numbers: `mine`, and `fixed`, whose compared arms are exact."""
    folder = tmp_path / "configs" / "claims"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text(FILE % "False")
    (folder / "fixed.py").write_text(FILE.replace("noise),", "noise, exact=True),") % "True")
    commit_all(tmp_path)
    monkeypatch.setattr(files, "FOLDER", tmp_path / "configs")
    monkeypatch.setattr("train.history.claims.picture.save", lambda *_: None)
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "claims.json")
    for function in (results.record, results.read):
        monkeypatch.setattr(function, "__defaults__", (results.FILE,))
    return tmp_path


def test_a_sham_is_run_by_the_headline_s_rule_and_joins_the_record(project: Path, capsys) -> None:
    where = ("--workdir", str(project / "runs"))
    assert claim("mine", "--sham", "--record", *where) == 2
    assert capsys.readouterr().err == (
        "zoo: mine has no record of this design that a sham could join: zoo claim mine --record makes it\n"
    )
    assert claim("mine", "--record", *where) == 0
    values = project / "runs" / "claims" / "mine" / "high" / "values.json"
    before = values.stat().st_mtime_ns
    assert claim("mine", "--sham", "--record", *where) == 0
    assert values.stat().st_mtime_ns == before  # the arm itself is not computed again
    found = results.read()["mine"]
    control = found["sham"]
    assert (control["arm"], control["against"], control["seeds"]) == ("sham.high", "high", [5, 5])
    assert (control["verdict"], control["paired"]) == ("too small to matter", found["effects"][0]["paired"])
    own, twin = ([np.random.default_rng(seed + shift).normal() + 9 for seed in range(5)] for shift in (0, sham.SHIFT))
    assert control["values"] == pytest.approx(twin, rel=1e-5)
    assert control["value"] == pytest.approx(np.mean(twin) - np.mean(own), rel=1e-4)
    assert control["design"] == found["design"]
    capsys.readouterr()
    assert claim("mine", "--record", *where) == 0  # recorded anew, the claim keeps its sham
    assert results.read()["mine"]["sham"] == control
    out = " ".join(capsys.readouterr().out.split())
    assert "Sham: high against itself with other seeds: " in out
    assert claim("--list", *where) == 0
    assert "0 of 1 shams hold" in capsys.readouterr().out
    assert claim("--markdown") == 0
    assert "0 of 1 shams hold (an arm against itself" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(machine.cores() < 2, reason="needs two cores")
def test_shams_are_run_side_by_side(project: Path, capsys) -> None:
    assert claim("--all", "--sham", "--jobs", "2", "--workdir", str(project / "runs")) == 0
    out = capsys.readouterr().out
    assert "mine: high against itself with other seeds: " in out
    assert "0 of 1 shams hold, in " in out
    assert "not run: fixed: fixed has no sham: the arms of its headline are exact" in out


def test_the_shams_of_all_recorded_claims_join_their_records(project: Path, capsys) -> None:
    every = ("--all", "--record", "--workdir", str(project / "runs"))
    assert claim(*every, "--sham") == 0
    out = capsys.readouterr().out
    assert "no sham was run, in " in out
    assert "not run: mine: mine has no record of this design that a sham could join" in out
    assert claim(*every) == 0
    assert claim(*every, "--sham") == 0
    assert "0 of 1 shams hold, in " in capsys.readouterr().out
    assert {name: "sham" in found for name, found in results.read().items()} == {"fixed": False, "mine": True}


def test_all_shams_are_counted_and_what_is_exact_has_none(project: Path, capsys) -> None:
    assert claim("--all", "--sham", "--workdir", str(project / "runs")) == 0
    out = capsys.readouterr().out
    assert "0 of 1 shams hold, in " in out
    assert "not run: fixed: fixed has no sham: the arms of its headline are exact" in out
    assert (
        json.loads((project / "runs" / "claims" / "mine" / "sham.json").read_text())["verdict"] == "too small to matter"
    )


def test_a_sabotaged_arm_takes_the_place_of_the_winner_and_is_told(project: Path, capsys) -> None:
    assert claim("mine", "--workdir", str(project / "runs")) == 0
    found = results.own(project / "runs" / "claims" / "mine")
    assert (found["verdict"], found["sabotage"]["arm"], found["sabotage"]["verdict"]) == (
        "holds",
        "lame",
        "too small to matter",
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "Sabotaged: lame, high: " in said
    assert "too small to matter; the effect is lost" in said
    kept = found | {"sabotage": found["sabotage"] | {"verdict": "holds"}}
    assert results.sabotage_text(kept).endswith("holds; the effect is not lost")


def test_a_sabotage_is_an_arm_and_part_of_the_design() -> None:
    arms = {name: FunctionArm(name, float) for name in "abc"}
    with pytest.raises(UserError, match="unknown arm of a sabotage 'd'"):
        made(arms, sabotage="d")
    assert made(arms, sabotage="c").sabotaged == dataclasses.replace(LOWER, arm="c", says="without the mechanism: less")
    worse = made(arms, sabotage="c", metric=Metric("x", better="higher"))
    assert worse.sabotaged.against == "c"  # the paper's effect favours the other arm
    assert design.digest(made(arms, sabotage="c")) != design.digest(made(arms))


def test_a_sham_has_all_that_its_arm_is_made_of(tmp_path: Path) -> None:
    halves = Metric("half", of=lambda run: [run.experiment.seed + i for i in range(run.experiment.seeds)])
    arms = {
        "net": TrainedArm("", MLP, tune=Tune(("optim.lr=0.1,1",), 2, seeds=1)),
        "other": TrainedArm("", dataclasses.replace(MLP, seed=9)),
        "measured": RemeasuredArm("", "net", halves),
        "a": FunctionArm("", float),
        "b": Difference("", "measured", "other"),
        "members": MembersArm("", "net", "measured"),
    }
    trial = sham.sham(made(arms, metric="train loss"))
    assert set(trial.arms) == {*(names := ("net", "other", "measured", "b")), *(f"sham.{name}" for name in names)}
    assert (trial.arms["sham.b"].of, trial.arms["sham.measured"].of) == (("sham.measured", "sham.other"), "sham.net")
    assert trial.arms["sham.net"].experiment.seed == sham.SHIFT
    with pytest.raises(UserError, match="a sham needs seeds below 5,000, and an arm begins at 6000"):
        sham.sham(made({"a": arms["a"], "b": TrainedArm("", dataclasses.replace(MLP, seed=6_000))}))
    alone = dataclasses.replace(LOWER, against=0.0)
    against_number = Claim(1990, "N", "https://e.org", "It.", {"a": arms["a"]}, (alone,), Metric("x"))
    assert sham.sham_arm(against_number) == "a"
    eight = made({"a": arms["a"], "b": FunctionArm("", float)}, seeds=8, fails=Fails("above", 5.0))
    assert sham.sham(eight).fails == eight.fails


def test_a_trained_sham_is_paired_as_its_claim_and_tunes_nothing_anew(tmp_path: Path) -> None:
    tuned = TrainedArm("", MLP, tune=Tune(("optim.lr=0.1,1",), 2, seeds=1))
    arms = {"a": TrainedArm("", dataclasses.replace(MLP, steps=1)), "b": tuned}
    whole = made(arms, metric="train loss", seeds=2)
    trial = sham.sham(whole)

    def run() -> dict:
        both = sham.with_twins(whole, trial)
        return sham.run_sham(whole, trial, ClaimRun("mine", both, tmp_path, Console(quiet=True)))

    found = run()
    assert (found["arm"], found["paired"], found["seeds"]) == ("sham.b", True, [2, 2])
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "sham.b.tune").exists()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")}
    assert run()["values"] == found["values"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("summary.json")} == stamps
