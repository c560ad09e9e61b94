"""The summary of a run: its JSON is that of the run folders of all versions, and what is read back is the same."""

import json
import math
from pathlib import Path

import pytest

from train.config.replicas import Member
from train.loop.run import read_summary
from train.loop.stopping import Stops
from train.loop.summary import Spread, Summary, best_score, mean, replica_results, setting_results, spread

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


def chosen(*losses: tuple[float, ...]) -> int:
    """The setting that wins, each with the validation losses of its three seeds."""
    members = [Member(seed, {"optim.lr": float(lr)}) for lr, _ in enumerate(losses) for seed in range(3)]
    validation = [results(loss) | {"accuracy": 0.9} for own in losses for loss in own]
    found = replica_results(members, validation, validation, {}, [])
    settings = setting_results(found, lambda own: -own["loss"])
    return [setting.best for setting in settings].index(True)


NAN = float("nan")


def test_a_setting_is_not_chosen_by_its_survivors() -> None:
    assert chosen((1.50, NAN, NAN), (1.52, 1.53, 1.51)) == 1
    assert chosen((1.52, 1.53, 1.51), (1.50, 1.50, NAN)) == 0
    assert chosen((1.0, NAN, NAN), (9.0, 9.0, NAN)) == 1
    assert chosen((NAN, NAN, NAN), (NAN, NAN, 7.0)) == 1
    assert chosen((1.5, 1.5, 1.5), (1.4, 1.4, 1.4)) == 1


def test_all_means_of_a_row_are_over_the_same_replicas() -> None:
    rows = [{"loss": 1.0, "accuracy": 0.8, "count": 5}, {"loss": NAN, "accuracy": 0.1, "count": 5}]
    assert mean(rows) == {"loss": 1.0, "accuracy": 0.8, "count": 5}
    assert spread([*rows, {"loss": 3.0, "accuracy": 0.6}])["accuracy"].deviation == pytest.approx(0.1414, abs=1e-3)
    gone = mean([rows[1], rows[1] | {"accuracy": 0.3}])
    assert gone["accuracy"] == pytest.approx(0.2)
    assert gone["loss"] != gone["loss"]


def test_the_score_of_a_checkpoint_does_not_rise_when_a_bad_replica_is_lost() -> None:
    def score(*losses: float, sweep: bool = False) -> float:
        members = [Member(seed, {"optim.lr": 0.1 * seed} if sweep else {}) for seed in range(len(losses))]
        return best_score(members, [results(loss) for loss in losses], lambda own: -own["loss"])

    assert score(1.0, 5.0) == -3.0
    assert score(1.0, NAN) == -math.inf
    assert score(1.0, NAN, sweep=True) == -1.0
    assert score(NAN, NAN, sweep=True) == -math.inf
