"""`zoo claim`: all within a budget, what is recorded, bad names in one line."""

from pathlib import Path

import pytest
from repositories import commit_all

from train import cli
from train.commands import claim
from train.config import files
from train.core import machine
from train.history.claims import cost, results
from train.history.claims import files as claim_files
from train.history.claims.run import parse_time
from train.history.timeline import findings
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["xorr"], "unknown claim 'xorr': did you mean xor?"),
        (["no/such.py"], "no claim file at no/such.py"),
        (["xor", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["xor", "--budget", "9m"], "--budget goes with --all"),
        (["xor", "--jobs", "2"], "--jobs goes with --all"),
        (["--all", "--jobs", "0"], "--jobs must be 1 to "),
        (["--all", "--jobs", "99999"], "--jobs must be 1 to "),
        (["--all", "--budget", "soon"], "--budget must be a time such as 90m, 45s or 1h30m, not 'soon'"),
        (["xor", "--full"], "this claim has no full setting"),
    ],
)
def test_a_command_that_cannot_be_is_one_line(words: list[str], line: str, capsys) -> None:
    assert cli.run(["claim", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"zoo: {line}")
    assert error.count("\n") == 1


@pytest.fixture
def three(tmp_path, monkeypatch) -> Path:
    """A folder of claim files of which one needs data that are not here; results are recorded beside it."""
    folder = tmp_path / "configs" / "claims"
    folder.mkdir(parents=True)
    head = "from train.history.claims import *\nfrom train.config import *\n"
    tail = "effects=(Effect('a', 'b', 'lower', 'less', margin=0.1),), metric=Metric('x'), seeds=3"
    for name, seconds in (("quick", 1), ("long", 500)):
        arms = "{'a': FunctionArm('[red]A', lambda s: 1 + s / 100), 'b': FunctionArm('B', lambda s: 2.0)}"
        text = f"CLAIM = Claim(1990, 'N 1990', 'https://e.org', 'It {name}.', {arms}, {tail}, seconds={seconds})\n"
        (folder / f"{name}.py").write_text(f'"""Doc."""\n{head}{text}')
    arms = "{x: TrainedArm(x, Experiment(Model('mlp'), Data('no_such_set'), seed=ord(x))) for x in 'ab'}"
    text = f"CLAIM = Claim(1980, 'N 1980', 'https://e.org', 'Absent.', {arms}, {tail}, seconds=2)\n"
    (folder / "absent.py").write_text(head + text)
    commit_all(tmp_path)
    monkeypatch.setattr(files, "FOLDER", tmp_path / "configs")
    monkeypatch.setattr(results, "FILE", tmp_path / "results" / "claims.json")
    monkeypatch.setattr(results.record, "__defaults__", (tmp_path / "results" / "claims.json",))
    monkeypatch.setattr(results.read, "__defaults__", (tmp_path / "results" / "claims.json",))
    return tmp_path


def test_all_runs_the_quickest_first_within_the_budget_and_says_what_is_left(three: Path, capsys) -> None:
    assert cli.run(["claim", "--all", "--budget", "60s", "--record", "--workdir", str(three / "runs")]) == 0
    out = capsys.readouterr().out
    assert "not run: long: would take about 500 s" in out
    assert "not run: absent: " in out
    assert list(results.read()) == ["quick"]
    assert (three / "runs" / "claims" / "quick" / "claim.png").read_bytes()[:4] == b"\x89PNG"
    assert not (three / "runs" / "claims" / "long").exists()
    assert cli.run(["claim", "long", "--workdir", str(three / "runs")]) == 0
    assert "[red]A" in capsys.readouterr().out
    assert list(results.read()) == ["quick"]  # only what was asked to be recorded is
    assert cli.run(["claim", "--list", "--workdir", str(three / "elsewhere")]) == 0
    listed = {words[1]: words for words in map(str.split, capsys.readouterr().out.splitlines()) if len(words) > 3}
    assert listed["quick"][4:6] == ["holds", "*"]
    assert "–" in listed["long"]


def test_a_claim_of_ones_own_does_not_take_the_place_of_the_project_s(three: Path, capsys) -> None:
    """A copy with one direction changed was shown, and recorded, as the claim of the project."""
    shipped, copy = three / "configs" / "claims" / "quick.py", three / "mine" / "quick.py"
    copy.parent.mkdir()
    copy.write_text(shipped.read_text().replace("'lower'", "'higher'"))
    runs = ["--workdir", str(three / "runs"), "--record"]
    assert cli.run(["claim", "quick", *runs]) == 0
    assert cli.run(["claim", str(copy), *runs]) == 0
    assert cli.run(["claim", str(shipped), *runs]) == 0  # the project's own file by its path
    verdicts = {name: found["verdict"] for name, found in results.read().items()}
    (own,) = verdicts.keys() - {"quick"}
    assert verdicts == {"quick": "holds", own: "contradicted"}
    assert own.startswith("quick.")
    assert results.read()[own]["file"]["path"] == str(copy)
    assert "file" not in results.read()["quick"]
    found = {finding.name: finding.verdict for finding in findings.read_own(three / "runs")}
    assert found == verdicts
    capsys.readouterr()
    assert cli.run(["claim", "--list", "--workdir", str(three / "runs")]) == 0
    assert "contradicted" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(machine.cores() < 2, reason="needs two cores")
def test_side_by_side_the_same_claims_are_run_and_a_broken_one_stops_no_other(three: Path, capsys) -> None:
    text = (three / "configs" / "claims" / "quick.py").read_text()
    (three / "configs" / "claims" / "broken.py").write_text(text.replace("1 + s / 100", "1 / 0"))
    (three / "configs" / "claims" / "timed.py").write_text(text.replace("seconds=1", "seconds=900, alone=True"))
    assert cli.run(["claim", "--all", "--jobs", "2", "--workdir", str(three / "runs")]) == 1
    out, err = capsys.readouterr()
    assert out.count("The claim: holds") == 3
    assert out.index("timed, 1990") < out.index("quick, 1990")  # what must run alone has ended before others begin
    assert "3 claims in" in out
    assert "not run: absent: " in out
    assert "not run: broken: ended with code 1: ZeroDivisionError: division by zero" in out
    assert err == "zoo: broken did not end; the same command goes on\n"


def test_results_are_merged_by_name_and_oldest_first(tmp_path) -> None:
    file = tmp_path / "results" / "claims.json"
    for name, year, verdict in (("b", 1990, "holds"), ("a", 1980, "holds"), ("b", 1990, "undecided")):
        results.record({"name": name, "year": year, "verdict": verdict}, file)
    assert [(claim["name"], claim["verdict"]) for claim in results.read(file).values()] == [
        ("a", "holds"),
        ("b", "undecided"),
    ]
    file.write_text("{")
    with pytest.raises(UserError, match=r"claims\.json cannot be read"):
        results.read(file)
    with pytest.raises(UserError, match="cannot be read"):
        results.record({"name": "c", "year": 1}, file)  # what is there is not lost
    assert file.read_text() == "{"


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("1h30m", 5400), ("45s", 45), ("0.5h", 1800)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.skipif(machine.cores() < 2, reason="needs two cores")
@pytest.mark.parametrize("budget", [None, "900s"])
def test_side_by_side_the_longest_begins_first_unless_time_is_short(
    budget: str | None, three: Path, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(claim, "side_by_side", lambda commands, jobs: asked.extend(name for name, _ in commands) or ())
    words = ["claim", "--all", "--jobs", "2", "--workdir", str(three / "runs")]
    assert cli.run([*words, *(["--budget", budget] if budget else [])]) == 0
    expected = ["long", "quick"] if budget is None else ["quick", "long"]
    assert [name for name in asked if name != "absent"] == expected


def test_every_value_is_a_line_of_the_csv_with_what_became_of_its_seed(tmp_path: Path) -> None:
    arms = [
        {"name": "a", "seeds": [5, 6, 7], "values": [0.5, None, 40], "at_least": [False, False, True],
         "failed": [True, False, False]},
        {"name": "e", "seeds": [0], "values": [0.25], "of": [[0, 1, 2]]},
        {"name": "x", "seeds": [], "values": [3], "exact": True},
    ]  # fmt: skip
    results.record({"name": "c", "year": 1, "arms": arms}, tmp_path / "claims.json")
    assert (tmp_path / "claims.csv").read_text().splitlines() == [
        "claim,arm,seed,value,state", "c,a,5,0.5,failed", "c,a,6,,no value", "c,a,7,40,at least",
        "c,e,0+1+2,0.25,value", "c,x,,3,exact",
    ]  # fmt: skip


FULL = """
from train.history.claims import *
from train.config import *
NET = Experiment(Model("mlp", {{"widths": (4,)}}), Data("digits", batch=8), steps=2, eval_every_steps=2)
TUNE = Tune(("optim.lr=0.1,1",), 3, seeds=2)
arms = {{"a": TrainedArm("a", NET, {tune}), "b": TrainedArm("b", override(NET, {{"seed": 5}}))}}
CLAIM = Claim(1990, "N", "https://e.org", "It.", arms, (Effect("a", "b", "lower", "less", margin=0.1),), "train loss",
              seeds=2, full={{"steps": {steps}, "eval_every_steps": {steps}}}, plot=Plot("bars"))
"""


@pytest.fixture
def full(three: Path) -> Path:
    """Two claims with a full setting beside those without one: `short`, and `endless` of a million steps."""
    for name, steps in (("short", 2), ("endless", 10_000_000)):
        (three / "configs" / "claims" / f"{name}.py").write_text(FULL.format(steps=steps, tune=None))
    return three


def test_the_full_settings_are_planned_by_their_flops_the_cheapest_first_and_go_on(full: Path, capsys) -> None:
    words = ["claim", "--all", "--full", "--budget", "3m", "--workdir", str(full / "runs")]
    assert cli.run(words) == 0
    out = capsys.readouterr().out
    assert "planned: short: about 0.3 minutes" in out
    assert out.index("planned: short") < out.index("planned: endless: about ") < out.index("planned in all: about 0.3")
    assert ", beyond the budget" in out
    assert "not run: endless: would take about " in out
    assert "not run: quick: this claim has no full setting" in out
    stamps = {path: path.stat().st_mtime_ns for path in (full / "runs").rglob("summary.json")}
    assert stamps
    assert cli.run(words) == 0
    assert "planned: short: done" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (full / "runs").rglob("summary.json")} == stamps


def test_flops_count_seeds_steps_examples_and_the_settings_of_tuning(full: Path) -> None:
    file = full / "configs" / "claims" / "short.py"
    file.write_text(FULL.format(steps=2, tune="TUNE"))
    claim, _ = claim_files.load_claim(str(file))
    forward = 2 * (64 * 4 + 4 * 10)
    assert cost.flops(claim) == forward * 3 * 8 * (2 * 2 + 2 * 2 + 2 * 2 * 3)
    waiting = 3 * cost.RUN_SECONDS + (2 + 2 + 3) * cost.STEP_SECONDS
    assert cost.seconds(claim, 1e6) == pytest.approx(cost.flops(claim) / 1e6 + waiting)
