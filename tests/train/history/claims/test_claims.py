"""Claims: arms are ordinary runs and resume, what diverges is said, what cannot be is one line."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from small_claim import MLP, QUIET, SLOW, claim, pair, runs, tried

import train.loop.run
from train.config import override
from train.core.signals import Stopped
from train.history.claims import (
    DerivedArm,
    Difference,
    Effect,
    FunctionArm,
    Metric,
    Outcome,
    Plot,
    RemeasuredArm,
    TrainedArm,
    Tune,
    design,
    metric,
    picture,
    readings,
    results,
    table,
)
from train.history.claims.claim_run import ClaimRun
from zoo.errors import UserError


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("done")
    return folder, tried(pair(plot=Plot("curve", of="train loss")), folder)


def test_a_trained_claim_holds_and_says_on_what(done: tuple[Path, dict]) -> None:
    folder, found = done
    (effect,) = found["effects"]
    assert (found["verdict"], effect["verdict"], effect["paired"]) == ("holds", "holds", True)
    assert effect["low"] < effect["value"] < effect["high"] < 0
    fast, slow = found["arms"]
    assert (fast["seeds"], slow["seeds"]) == ([0, 1, 2], [0, 1, 2])
    assert effect["value"] == pytest.approx(np.mean(fast["values"]) - np.mean(slow["values"]), rel=1e-4)
    assert found["budget"] == "40 steps of 32 examples each"
    assert [series["arm"] for series in found["plot"]["series"]] == ["fast", "slow"]
    assert found["plot"]["series"][0]["x"] == [20.0, 40.0]
    assert found["metric"] == {"name": "train loss", "unit": "nats", "better": "lower"}
    line = [line for line in train.loop.run.read_metrics(runs(folder, "fast")[0]) if line["split"] == "train"][-1]
    assert fast["values"] == pytest.approx(line["replicas"]["loss"], rel=1e-4)


def test_with_its_arms_swapped_it_is_contradicted_and_nothing_is_trained_again(done: tuple[Path, dict]) -> None:
    folder, _ = done
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("summary.json")}
    swapped = dataclasses.replace(
        pair(), effects=(Effect("slow", "fast", "lower", "the other way round", margin=0.001),), reason="x"
    )
    found = tried(swapped, folder)
    assert (found["verdict"], found["reason"]) == ("contradicted", "x")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("summary.json")} == before


def test_beyond_the_mean_at_which_a_measure_is_saturated_nothing_is_decided(done: tuple[Path, dict]) -> None:
    folder, before = done
    means = [arm["mean"] for arm in before["arms"]]
    found = tried(dataclasses.replace(pair(), saturated=min(means) - 0.01), folder)
    assert found["verdict"] == "undecided"
    assert "where the measure is saturated" in found["effects"][0]["why"]
    assert tried(dataclasses.replace(pair(), saturated=max(means) + 0.01), folder)["verdict"] == before["verdict"]
    assert design.digest(pair()) != design.digest(dataclasses.replace(pair(), saturated=1.0))


def test_the_same_arm_twice_is_trained_once_and_not_compared_with_itself(done: tuple[Path, dict]) -> None:
    arms = {name: TrainedArm("rate 0.1", MLP) for name in ("one", "other")} | {"slow": TrainedArm("", SLOW)}
    with pytest.raises(UserError, match="the arms one and other are one and the same run: nothing to compare"):
        claim(arms, Effect("one", "other", "lower", "", margin=0.001))
    found = tried(
        claim(
            arms, Effect("one", "slow", "lower", "", margin=0.001), Effect("other", "slow", "lower", "", margin=0.001)
        ),
        done[0],
    )
    assert found["effects"][0]["value"] == found["effects"][1]["value"]
    assert not (done[0] / "other").exists()  # what would be the same to the bit is trained once


def test_one_seed_decides_nothing(tmp_path) -> None:
    one = claim(
        {"a": FunctionArm("", lambda s: 1.0), "b": FunctionArm("", lambda s: 2.0)},
        Effect("a", "b", "lower", "", margin=0.001),
        seeds=1,
    )
    effect = tried(one, tmp_path)["effects"][0]
    assert (effect["value"], effect["low"], effect["verdict"]) == (-1, None, "undecided")


def test_interrupted_it_goes_on_arm_by_arm(tmp_path, monkeypatch, done: tuple[Path, dict]) -> None:
    class Asked:
        """Stands in for the watch on signals: asks to stop in the second arm, at the first look."""

        def __init__(self) -> None:
            self.received = 15 if (tmp_path / "slow").is_dir() else None

        def __enter__(self) -> "Asked":
            return self

        def __exit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Asked)
        with pytest.raises(Stopped, match="mine stopped in its arm slow; the same command continues it"):
            tried(pair(), tmp_path)
    assert (len(runs(tmp_path, "fast")), len(runs(tmp_path, "slow"))) == (1, 1)
    stamp = (runs(tmp_path, "fast")[0] / "summary.json").stat().st_mtime_ns
    found = tried(pair(), tmp_path)
    assert (len(runs(tmp_path, "fast")), len(runs(tmp_path, "slow"))) == (1, 1)
    assert (runs(tmp_path, "fast")[0] / "summary.json").stat().st_mtime_ns == stamp
    assert [arm["values"] for arm in found["arms"]] == [arm["values"] for arm in done[1]["arms"]]


@pytest.mark.slow
def test_an_arm_whose_experiment_has_changed_is_trained_anew(tmp_path) -> None:
    tried(pair(seeds=1), tmp_path)
    changed = claim(
        {"fast": TrainedArm("", override(MLP, {"steps": 20})), "slow": TrainedArm("", SLOW)},
        Effect("fast", "slow", "lower", "", margin=0.001),
        seeds=1,
    )
    tried(changed, tmp_path)
    assert (len(runs(tmp_path, "fast")), len(runs(tmp_path, "slow"))) == (2, 1)


def test_a_seed_that_diverges_has_no_value_and_an_arm_that_does_is_said_so(tmp_path) -> None:
    wild = override(MLP, {"optim": {"lr": 1e30}})
    both = claim(
        {"wild": TrainedArm("", wild), "tame": TrainedArm("", MLP)},
        Effect("wild", "tame", "higher", "", margin=0.001),
        seeds=2,
    )
    found = tried(both, tmp_path)
    wild_arm, tame = found["arms"]
    assert (wild_arm["values"], wild_arm["mean"], wild_arm["remark"]) == ([None, None], None, "every seed diverged")
    assert None not in tame["values"]
    assert (found["verdict"], found["effects"][0]["value"]) == ("undecided", None)
    stamp = len(runs(tmp_path, "wild"))
    assert tried(both, tmp_path)["arms"][0] == wild_arm
    assert len(runs(tmp_path, "wild")) == stamp  # not tried again
    reached = dataclasses.replace(both, metric="steps to reach train accuracy 0.1")
    never = tried(reached, tmp_path)["arms"][0]
    assert (never["values"], never["at_least"], never["low"]) == ([40, 40], [True, True], None)
    printed = Console(width=120)
    with printed.capture() as capture:
        printed.print(table.show(found))
    assert "every seed diverged" in capture.get()
    picture.save(found, tmp_path / "claim.png")


def test_an_arm_tunes_its_own_rate_by_what_it_learned_from(tmp_path) -> None:
    tune = Tune(("optim.lr=1e-5,0.1,1e30",), steps=20)
    arms = {"tuned": TrainedArm("", SLOW, tune=tune), "slow": TrainedArm("", SLOW)}
    found = tried(claim(arms, Effect("tuned", "slow", "lower", "", margin=0.001), seeds=2), tmp_path)
    assert found["arms"][0]["remark"].startswith(
        "chosen: optim.lr 0.1, by train loss over 3 seeds of optim.lr 1e-05: 2."
    )
    assert found["arms"][0]["remark"].endswith("; optim.lr 1e+30: diverged")
    assert train.loop.run.load(tmp_path / "tuned").experiment.optim.lr == 0.1
    with pytest.raises(UserError, match="a claim must not tune on the test split"):
        Tune(("optim.lr=1,2",), steps=6, by="test accuracy")


def test_a_sweep_that_cannot_be_is_seen_before_the_first_arm_is_run(tmp_path) -> None:
    arms = {"fast": TrainedArm("", MLP), "slow": TrainedArm("", SLOW, tune=Tune(("optim.rate=1,2",), steps=20))}
    with pytest.raises(UserError, match=r"optim\.rate"):
        ClaimRun("mine", claim(arms, Effect("fast", "slow", "lower", "", margin=0.001)), tmp_path, QUIET).check()


def test_arms_of_other_kinds_share_the_table(tmp_path) -> None:
    def halves(run: train.loop.run.Run) -> list[float]:
        return [0.5] * run.experiment.seeds

    arms = {
        "trained": TrainedArm("", MLP),
        "again": RemeasuredArm("", "trained", Metric("half", of=halves)),
        "curve": FunctionArm("", lambda seed: Outcome(float(seed), (1, 2), (seed, float("nan")))),
        "half": FunctionArm("", lambda seed: 0.5),
        "gap": Difference("", "half", "curve"),
    }
    with pytest.raises(UserError, match="again and curve are not both trained"):
        claim(arms | {"gap": Difference("", "again", "curve")}, Effect("gap", "again", "lower", "", margin=0.001))
    found = tried(claim(arms, Effect("gap", "again", "lower", "", margin=0.001), seeds=2, plot=Plot("curve")), tmp_path)
    values = {arm["name"]: arm["values"] for arm in found["arms"]}
    assert (values["again"], values["curve"], values["gap"]) == ([0.5, 0.5], [0, 1], [0.5, -0.5])
    assert found["plot"]["series"][1]["mean"] == [0.5, None]


def test_a_derived_figure_is_a_function_of_its_arms_seed_by_seed_and_may_stand_alone(tmp_path) -> None:
    """A slope through three arms, in a unit of its own, against zero and not against an arm."""
    arms = {str(x): FunctionArm("", lambda seed, x=x: (3 + seed / 100) * x) for x in (1, 2, 4)}
    arms["gone"] = FunctionArm("", lambda seed: float("nan") if seed == 1 else 0.5)
    arms["slope"] = DerivedArm("", ("1", "2", "4"), lambda *y: np.polyfit((1, 2, 4), y, 1)[0], unit="per step")
    arms["half"] = DerivedArm("", ("1", "gone"), lambda a, b: a * b / 2, unit="share")
    up, more = (
        Effect("slope", 0.0, "higher", "it rises", margin=0.1),
        Effect("slope", 0.0, "higher", "by 4", margin=4.0),
    )
    found = tried(claim(arms, up, more, metric=Metric("x", "nats")), tmp_path)
    *_, slope, half = found["arms"]
    assert (slope["values"], slope["unit"]) == (pytest.approx([3, 3.01, 3.02]), "per step")
    assert (half["values"][1], half["mean"]) == (None, pytest.approx(0.7525))
    assert [effect["verdict"] for effect in found["effects"]] == ["holds", "too small to matter"]
    rises = found["effects"][0]
    assert (rises["value"], rises["against"], rises["unit"]) == (pytest.approx(3.01), 0, "per step")
    assert results.effect_text(rises, found["metric"]).startswith("+3.01 per step (")
    assert "it rises: +3.01 per step" in results.markdown([found | {"seconds": 1.0}])
    printed = Console(width=120)
    with printed.capture() as capture:
        printed.print(table.show(found))
    assert "it rises (slope)" in capture.get()
    assert "75.25 %" in capture.get()  # the unit is the arm's own


def test_on_a_logarithmic_axis_a_band_stays_above_zero(tmp_path) -> None:
    curved = {name: FunctionArm("", lambda s: Outcome(1.0, (1, 2), (10.0**-s, 1.0))) for name in "ab"}
    for log, mean in ((True, 0.1), (False, 0.37)):
        plot = Plot("curve", log_y=log)
        (line, _) = tried(claim(curved, Effect("a", "b", "lower", "", margin=0.001), plot=plot), tmp_path)["plot"][
            "series"
        ]
        assert line["mean"] == pytest.approx([mean, 1])
        assert (line["low"][0] > 0) == log


def test_what_was_computed_is_kept_until_the_file_changes(tmp_path) -> None:
    calls = []

    def count(seed: int) -> float:
        calls.append(seed)
        return float(seed)

    counted = claim(
        {"a": FunctionArm("", count), "b": FunctionArm("", float)},
        Effect("a", "b", "higher", "", margin=0.001),
        seeds=2,
    )
    tried(counted, tmp_path, "first")
    tried(dataclasses.replace(counted, seeds=3), tmp_path, "first")
    assert calls == [0, 1, 2]
    tried(counted, tmp_path, "second")
    assert calls == [0, 1, 2, 0, 1]


def test_steps_to_reach_are_read_seed_by_seed(done: tuple[Path, dict]) -> None:
    run = train.loop.run.load(done[0] / "fast")
    losses = np.array(train.loop.run.read_metrics(run.path)[0]["replicas"]["loss"])
    goal = float(np.sort(losses)[1]) + 1e-5
    found = readings.read(run, metric(f"steps to reach train loss {goal:.6f}"))
    assert sorted(set(found)) == [20, 40]
    assert found == [20 if loss <= goal else 40 for loss in losses]


def test_a_mean_over_the_evaluations_is_of_all_of_them_and_chooses_too(done: tuple[Path, dict]) -> None:
    run = train.loop.run.load(done[0] / "fast")
    lines = [
        line["replicas"]["accuracy"] for line in train.loop.run.read_metrics(run.path) if line["split"] == "validation"
    ]
    assert len(lines) == 2
    assert readings.read(run, metric("mean validation accuracy")) == pytest.approx(np.mean(lines, axis=0))
    assert metric("mean validation accuracy") == Metric("mean validation accuracy", "share", "higher")
    assert Tune(("optim.lr=1,2",), 5, by="mean validation accuracy").steps == 5
    with pytest.raises(UserError, match="is not a metric of a claim"):
        metric("mean test accuracy")


FINE = {"a": FunctionArm("", float), "b": FunctionArm("", float)}
GOOD = Effect("a", "b", "higher", "", margin=0.001)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: claim(FINE), "a claim needs at least one effect"),
        (
            lambda: claim(FINE, Effect("a", "c", "higher", "", margin=0.001)),
            "unknown arm of an effect 'c': choose from a, b",
        ),
        (lambda: claim(FINE, Effect("a", "b", "above", "", margin=0.001)), "unknown expected direction 'above'"),
        (lambda: claim(FINE, GOOD, metric="accuracy"), "'accuracy' is not a metric of a claim"),
        (lambda: claim(FINE, GOOD, plot=Plot(arms=("x",))), "unknown arm of a plot 'x'"),
        (lambda: claim(FINE | {"m": RemeasuredArm("", "a", Metric("x"))}, GOOD), "only a trained arm can be measured"),
        (lambda: claim(FINE | {"d": Difference("", "a", "x")}, GOOD), "unknown arm of a derived figure 'x'"),
        (
            lambda: claim(FINE | {"d": Difference("", "a", "b"), "e": DerivedArm("", ("d",), abs)}, GOOD),
            "d is a derived arm: a derived arm needs arms that are not derived",
        ),
        (
            lambda: claim(FINE, Effect("a", 0.0, "higher", "it", "ratio", margin=1.001)),
            "the effect 'it' is a ratio, so the number in `against` must be above 0",
        ),
        (lambda: claim(FINE | {"t": TrainedArm("", MLP, start="x")}, GOOD), "unknown start of an arm 'x'"),
        (lambda: claim(FINE, GOOD, seeds=0), "seeds must be at least 1, not 0"),
        (lambda: claim(FINE, GOOD).at(full=True), "this claim has no full setting"),
    ],
)
def test_a_claim_that_cannot_be_is_one_line(make, line: str) -> None:
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value).startswith(line)


def test_full_changes_every_trained_arm_and_may_replace_others() -> None:
    small = pair(full={"steps": 24}, full_arms={"slow": FunctionArm("", float)}, full_seeds=9)
    full = small.at(full=True)
    assert (full.arms["fast"].experiment.steps, type(full.arms["slow"]), full.seeds) == (24, FunctionArm, 9)
    assert small.at(full=True, seeds=2).seeds == 2
    further = {"other": TrainedArm("rate 0.01", override(MLP, {"optim": {"lr": 0.01}}))}
    effects = (Effect("other", "fast", "higher", "it", margin=0.1),)
    larger = pair(full_arms=further, full_facts={"metric": "train accuracy", "effects": effects}).at(full=True)
    assert (list(larger.arms), larger.measured.name) == (["fast", "slow", "other"], "train accuracy")
    begins = {"slow": dataclasses.replace(small.arms["slow"], start="base")}
    begun = pair(starts={"base": MLP}, full_starts={"base": SLOW}, full_arms=begins, full={"steps": 24})
    assert begun.starts["base"] == MLP
    assert begun.at(full=True).starts["base"] == override(SLOW, {"steps": 24})
    with pytest.raises(UserError, match="unknown start of the full setting 'bases'"):
        pair(full_starts={"bases": MLP}, full_seeds=2)


def test_the_table_for_the_readme_has_a_line_for_each_effect(done: tuple[Path, dict]) -> None:
    _, found = done
    found = found | {"seconds": 90.0, "effects": [e | {"says": "a | b"} for e in found["effects"]]}
    head, rule, line = results.markdown([found]).splitlines()
    assert head.count("|") == rule.count("|") == line.replace("\\|", "").count("|") == 7
    assert line.startswith("| 2000 | `mine` | a \\| b: -")
    assert line.endswith("| 3 | holds | 1.5 |")


@pytest.mark.parametrize("kind", ["bars", "points"])
def test_pictures_of_every_kind_stand_hostile_names(kind: str, tmp_path) -> None:
    arms = {"$\\frac{": FunctionArm("", lambda s: 1.0 + s), "<b>": FunctionArm("", lambda s: float("nan"))}
    plot = Plot(kind, x="$x_{", y="$y^{", log_y=True, at={"$s": {"$\\frac{": 1, "<b>": 2}} if kind == "points" else {})
    found = tried(
        claim(arms, Effect("$\\frac{", "<b>", "lower", "$e$ {", margin=0.001), metric=Metric("$m"), plot=plot), tmp_path
    )
    picture.save(found, tmp_path / "claim.png")
    assert (tmp_path / "claim.png").stat().st_size > 1000


def test_a_logarithmic_axis_of_a_narrow_range_has_plain_numbers(tmp_path) -> None:
    arms = {name: FunctionArm("", lambda s, x=x: x + s / 100) for name, x in (("a", 2.2), ("b", 2.8))}
    plot = Plot("points", log_y=True, at={"line": {"a": 1, "b": 2}})
    figure = picture.draw(
        tried(claim(arms, Effect("a", "b", "lower", "", margin=0.001), metric=Metric("m"), plot=plot), tmp_path)
    )
    figure.draw_without_rendering()
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels(which="both")]
    assert "2.4" in labels
    assert not any("10^" in label for label in labels)
