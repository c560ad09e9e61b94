"""The summary of a run: its JSON is that of the run folders of all versions, and what is read back is the same."""

import json
from pathlib import Path

import pytest

from train.config.replicas import Member
from train.loop.run import read_summary
from train.loop.stopping import Stops
from train.loop.summary import Spread, Summary, replica_results, setting_results

FACTS = {
    "name": "digits_mlp", "model": "mlp", "task": "classify", "dataset": "digits", "steps": 60, "examples": 1920,
    "seed": 3, "params": 1210, "flops": 2420,
}  # fmt: skip
COST = {
    "seconds": 1.25, "compile_seconds": 0.5, "device": "cpu, 2 cores", "date": "2026-11-22",
    "versions": {"jax": "0.10.2", "flax": "0.12.0"},
}  # fmt: skip


def results(loss: float, count: int = 10) -> dict[str, float]:
    return {"loss": loss, "count": count}


def summary(replicas) -> Summary:
    settings = setting_results(replicas, lambda validation: -validation["loss"])
    best = next(setting for setting in settings if setting.best)
    return Summary(
        **FACTS, validation=best.validation, test=best.test, settings=settings, replicas=replicas, notes={}, **COST
    )


def test_the_json_of_one_replica_holds_its_results_alone() -> None:
    one = replica_results([Member(3, {})], [results(0.5)], [results(0.75)], {}, [Stops(40, 60)])
    content = summary(one).to_json()
    wanted = {**FACTS, "validation": results(0.5), "test": results(0.75), "best_step": 40, "stopped_at_step": 60} | COST
    assert content == wanted
    assert list(content) == list(wanted)
    assert Summary.from_json(json.loads(json.dumps(content))) == summary(one)


def test_the_json_of_several_replicas_compares_their_settings() -> None:
    members = [Member(seed, {"optim.lr": lr}) for lr in (0.1, 0.2) for seed in (3, 4)]
    validation = [results(loss) for loss in (4.0, 6.0, 1.0, 3.0)]
    test = [results(loss) for loss in (5.0, 5.0, 2.0, float("nan"))]
    several = summary(replica_results(members, validation, test, {3: 17}, []))
    content = several.to_json()
    assert list(content) == [*FACTS, "validation", "test", "settings", "replicas", *COST]
    first, best = content["settings"]
    assert list(best) == ["setting", "seeds", "validation", "validation_spread", "test", "test_spread", "best"]
    assert (first["best"], best["best"], content["validation"]) == (False, True, {"loss": 2.0, "count": 10})
    assert best["test"] == {"loss": 2.0, "count": 10}  # over the replica in which it is finite
    assert set(best["validation_spread"]["loss"]) == {"deviation", "low", "high"}
    assert content["replicas"][0] == {
        "seed": 3, "setting": {"optim.lr": 0.1}, "test": results(5.0), "validation": results(4.0),
    }  # fmt: skip
    assert content["replicas"][3]["diverged_at_step"] == 17
    again = Summary.from_json(json.loads(json.dumps(content)))
    assert again.settings == several.settings
    assert isinstance(again.best_setting.validation_spread["loss"], Spread)
    assert again.replicas[:3] == several.replicas[:3]
    assert again.replicas[3].diverged_at_step == 17


def test_folds_are_kept_and_without_validation_the_first_setting_is_the_best() -> None:
    members = [Member(0, {}, fold) for fold in (0, 1)]
    folded = replica_results(members, [], [results(1.0), results(2.0)], {}, [])
    (setting,) = setting_results(folded, lambda validation: 0.0)
    assert (setting.folds, setting.best, setting.validation) == ((0, 1), True, {})
    assert [replica.to_json()["fold"] for replica in folded] == [0, 1]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"steps": "many", "seconds": -1, "test": [1], "settings": {"a": 1}, "replicas": [3], "versions": "all"},
        {"settings": [{"setting": 1, "seeds": "0", "test_spread": {"loss": {"low": 1}}}], "replicas": [{"seed": None}]},
    ],
)
def test_values_of_a_wrong_type_count_as_missing(content: dict) -> None:
    found = Summary.from_json(content)
    assert (found.steps, found.seconds, found.test, found.versions) == (0, 0.0, {}, {})
    assert len(found.replicas) == len(found.settings) == 1
    assert found.best_setting.test_spread == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_run_whose_summary_cannot_be_read_is_not_finished(text: str, tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None
    (tmp_path / "summary.json").write_bytes(text.encode("latin-1"))
    assert read_summary(tmp_path) is None
