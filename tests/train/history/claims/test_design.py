"""The hash of a claim's design: what it depends on, and what becomes of results of earlier designs."""

import ast
import dataclasses
import functools
import json
from pathlib import Path

import pytest
from repositories import commit_all

from train import cli
from train.config import Data, Experiment, Model, files
from train.history.claims import (
    Claim,
    DerivedArm,
    Effect,
    Fails,
    FunctionArm,
    Metric,
    Plot,
    RemeasuredArm,
    TrainedArm,
    Tune,
    design,
    results,
)
from train.history.claims import files as claim_files
from train.history.timeline import findings
from zoo.errors import UserError

MLP = Experiment(Model("mlp", {"widths": (8,)}), Data("digits"), steps=40)
STEPS = 7


def twice(seed: int) -> float:
    """It says something."""
    return helper(seed) * STEPS


def helper(seed: int) -> float:
    return 2.0 * seed


def scaled(factor: float, seed: int) -> float:
    return factor * seed


ARMS = {
    "trained": TrainedArm("it is trained", MLP, Tune(("optim.lr=0.1,1",), 20)),
    "other": TrainedArm("it is too", dataclasses.replace(MLP, seed=3), start="begin"),
    "again": RemeasuredArm("again", "trained", Metric("half", of=lambda run: [0.5])),
    "computed": FunctionArm("computed", functools.partial(scaled, 2.0)),
    "derived": DerivedArm("derived", ("computed",), lambda x: x + 1),
    "twice": FunctionArm("twice", twice),
}
CLAIM = Claim(
    2000, "N", "https://e.org", "It.", ARMS, (Effect("trained", "other", "lower", "less", margin=0.1),), "train loss",
    starts={"begin": MLP}, seeds=8,
)  # fmt: skip


def with_arm(name: str, **changes) -> Claim:
    return dataclasses.replace(CLAIM, arms=ARMS | {name: dataclasses.replace(ARMS[name], **changes)})


def with_effect(**changes) -> Claim:
    return dataclasses.replace(CLAIM, effects=(dataclasses.replace(CLAIM.effects[0], **changes),))


@pytest.mark.parametrize(
    "other",
    [
        with_arm("trained", experiment=dataclasses.replace(MLP, steps=41)),
        with_arm("trained", tune=Tune(("optim.lr=0.1,2",), 20)),
        with_arm("trained", tune=Tune(("optim.lr=0.1,1",), 20, seeds=4)),
        with_arm("other", start=None),
        with_arm("again", metric=Metric("half", of=lambda run: [0.25])),
        with_arm("computed", value=functools.partial(scaled, 3.0)),
        with_arm("computed", exact=True),
        with_arm("derived", value=lambda x: x + 2),
        with_effect(margin=0.2),
        with_effect(expected="higher"),
        with_effect(kind="ratio", margin=2.0),
        dataclasses.replace(CLAIM, metric="validation loss"),
        dataclasses.replace(CLAIM, seeds=9),
        dataclasses.replace(CLAIM, fails=Fails()),
        dataclasses.replace(CLAIM, fails=Fails("above", 0.5)),
        dataclasses.replace(CLAIM, starts={"begin": dataclasses.replace(MLP, steps=1)}),
        dataclasses.replace(CLAIM, varies=("initial weights", "pre-training")),  # a start for each seed
        dataclasses.replace(CLAIM, arms=ARMS | {"more": FunctionArm("", float)}),
    ],
)
def test_whatever_could_be_tuned_changes_the_design(other: Claim) -> None:
    assert design.digest(other) != design.digest(CLAIM)


@pytest.mark.parametrize(
    "other",
    [
        with_arm("trained", says="other words"),
        with_arm("trained", experiment=dataclasses.replace(MLP, smoke={"steps": 2})),
        with_effect(says="other words"),
        with_arm("again", metric=Metric("half", of=lambda run: [0.5])),
        dataclasses.replace(CLAIM, says="Other.", plot=Plot("curve"), reason="x", smaller="y", pilots="z", seconds=1),
    ],
)
def test_words_and_plots_are_no_part_of_the_design(other: Claim) -> None:
    assert design.digest(other) == design.digest(CLAIM)


FILE = """
from train.history.claims import Claim, Effect, FunctionArm, Metric
STEPS = {steps}
def helper(seed):
    "{said}"
    return {factor} * seed
def value(seed):
    # {said}
    return helper(seed) + STEPS
arms = {{"a": FunctionArm("{said}", value), "b": FunctionArm("b", lambda s: s + 100.0)}}
CLAIM = Claim(1990, "N", "https://e.org", "It.", arms, (Effect("a", "b", "lower", "less", margin={margin}),),
              Metric("x"), seeds={seeds})
"""
FIRST = {"steps": 1, "said": "one", "factor": 2.0, "margin": 0.1, "seeds": 3}


@pytest.fixture
def claim_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the only claim of the project, `mine`; results are recorded beside it."""
    file = tmp_path / "configs" / "claims" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text(FILE.format(**FIRST))
    commit_all(tmp_path)
    monkeypatch.setattr(files, "FOLDER", tmp_path / "configs")
    monkeypatch.setattr("train.history.claims.picture.save", lambda *_: None)
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "claims.json")
    for function in (results.record, results.read):
        monkeypatch.setattr(function, "__defaults__", (results.FILE,))
    return file


def test_functions_are_what_they_and_their_helpers_do(claim_file: Path) -> None:
    def digest(**changes) -> str:
        claim_file.write_text(FILE.format(**(FIRST | changes)))
        return design.digest(claim_files.load_claim("mine")[0])

    first = digest()
    assert digest(said="two") == first  # docstrings, comments, texts
    assert len({first, digest(factor=3.0), digest(steps=2), digest(margin=0.2), digest(seeds=4)}) == 5
    assert digest() == first


def test_the_hash_of_code_is_of_what_it_does_and_not_of_how_it_is_typed() -> None:
    def tree(text: str):
        return design.tree_of_module(ast.parse(text))

    plain = tree("x = 3\ndef f(a, b=1):\n    return a")
    assert tree('"""Words."""\nx: int = 3\ndef f(a: list[int], b: int = 1) -> int:\n    return a  # why') == plain
    assert tree("x = 3\ndef f(a, b=2):\n    return a") != plain
    assert tree("x = 4\ndef f(a, b=1):\n    return a") != plain


def claim(*words: str) -> int:
    return cli.run(["claim", *words])


def test_a_changed_design_keeps_what_came_of_the_earlier_ones(claim_file: Path, tmp_path: Path, capsys) -> None:
    where = ("--workdir", str(tmp_path / "runs"))
    assert claim("mine", "--record", *where) == 0
    old = results.read()["mine"]
    assert (old["verdict"], old["history"]) == ("holds", [])
    assert claim("--list", *where) == 0
    assert "of an earlier design" not in capsys.readouterr().out
    claim_file.write_text(FILE.format(**(FIRST | {"margin": 1000.0})))
    assert claim("--list", *where) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "holds" in out
    assert "of an earlier design: zoo claim mine --record" in out
    assert claim("--markdown") == 0
    table = capsys.readouterr().out
    assert "| holds; of an earlier design |" in table
    assert "`zoo claim NAME --record` renews" in table
    assert claim("mine", "--record", *where) == 0
    new = results.read()["mine"]
    assert (new["verdict"], new["design"] != old["design"]) == ("too small to matter", True)
    (before,) = new["history"]
    assert before == {
        "design": old["design"], "setting": "small", "date": old["date"], "verdict": "holds",
        "effect": "less: -98 (-100.5 to -95.52)",
    }  # fmt: skip
    assert claim("mine", "--record", *where) == 0
    assert results.read()["mine"]["history"] == [before]  # the same design again adds nothing
    capsys.readouterr()
    assert claim("--markdown") == 0
    assert "earlier design" not in capsys.readouterr().out


def test_only_the_design_in_the_file_is_recorded(claim_file: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    where = ("--workdir", str(tmp_path / "runs"))
    assert claim("mine", "--seeds", "4", "--record", *where) == 2
    assert capsys.readouterr().err == (
        "zoo: only the design in the claim's file is recorded, and 4 seeds are another: no --seeds\n"
    )

    def edit(*_: object) -> None:  # while the claim runs, its author lowers the margin
        claim_file.write_text(FILE.format(**(FIRST | {"margin": 0.01})))

    monkeypatch.setattr("train.history.claims.picture.save", edit)
    assert claim("mine", "--record", *where) == 2
    assert capsys.readouterr().err == (
        "zoo: mine was changed while it ran: the result is of an earlier design, run it again\n"
    )
    assert results.read() == {}


def test_results_of_before_there_were_designs_are_read_and_count_as_earlier(claim_file: Path, tmp_path: Path) -> None:
    assert claim("mine", "--record", "--workdir", str(tmp_path / "runs")) == 0
    found = results.read()["mine"]
    assert not claim_files.is_earlier(found)
    old = {key: value for key, value in found.items() if key not in ("design", "history", "parts", "smaller", "varies")}
    old |= {"verdict": "does not hold"}
    assert claim_files.is_earlier(old)
    read = findings.read(json.loads(json.dumps(old)), "here")
    assert (read.verdict, read.design, read.parts) == ("does not hold", "", (0, 0))
    assert claim_files.is_earlier(found | {"name": "gone"})
    assert claim_files.is_earlier(found | {"setting": "full"})
    results.FILE.unlink()
    results.record(old)
    results.record(found)
    (before,) = results.read()["mine"]["history"]
    assert (before["design"], before["verdict"]) == ("", "does not hold")
    with pytest.raises(UserError):
        claim_files.load_claim("gone")
