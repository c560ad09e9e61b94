"""Tuning: by seeds that are never compared, over several of them, and beyond the ends of a sweep."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from train.config import Data, Experiment, Model
from train.config.replicas import members
from train.history.claims import Claim, Effect, TrainedArm, Tune, arms, tuned_settings, tuning
from zoo.errors import UserError

EXPERIMENT = Experiment(Model("mlp"), Data("digits"), steps=40, eval_every_steps=10)
Loss = Callable[[dict[str, float], int], float | None]


def chosen(monkeypatch: pytest.MonkeyPatch, loss: Loss, tune: Tune) -> tuple[tuning.Choice, list[Experiment]]:
    """Tune with runs in which a seed at a setting has this loss. Returns the choice, and what was run."""
    ran: list[Experiment] = []

    def train(experiment: Experiment) -> SimpleNamespace:
        ran.append(experiment)
        return SimpleNamespace(experiment=experiment, path=Path("nowhere"))

    monkeypatch.setattr(
        tuning.readings, "read", lambda run, _: [loss(one.setting, one.seed) for one in members(run.experiment)]
    )
    return tuning.choose(EXPERIMENT, tune, train), ran


def parabola(best: float) -> Loss:
    """A loss that is lowest at a rate."""
    return lambda setting, seed: abs(math.log10(setting["optim.lr"] / best)) + seed % 10 / 1000


def test_a_rate_is_chosen_by_the_mean_over_seeds_that_are_never_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """S4: one seed chose, and was compared as well: the best of 12 in two of the arms of dqn_ablation."""

    def lucky(setting: dict[str, float], seed: int) -> float:
        rate = setting["optim.lr"]
        return {0.01: 0.5, 0.1: 0.4, 1.0: 0.1 if seed == 10_000 else 0.9}[rate]

    choice, (run,) = chosen(monkeypatch, lucky, Tune(("optim.lr=0.01,0.1,1",), steps=20))
    assert choice.setting == {"optim.lr": 0.1}
    assert (run.seed, run.seeds, run.steps) == (10_000, 3, 20)
    assert choice.remark == (
        "chosen: optim.lr 0.1, by train loss over 3 seeds of optim.lr 0.01: 0.5; optim.lr 0.1: 0.4; optim.lr 1: 0.6333"
    )
    assert choice.doubt == ""
    arms = {"a": TrainedArm("", EXPERIMENT), "b": TrainedArm("", Experiment(Model("mlp"), Data("digits"), seed=9_997))}
    effects = (Effect("a", "b", "lower", "", margin=1),)
    with pytest.raises(UserError, match="the arm b has seeds from 10,000 on, which are those of tuning"):
        Claim(2000, "N", "https://e.org", "It.", arms, effects, "train loss", seeds=4)


@pytest.mark.parametrize(("best", "found"), [(0.1, 0.1), (0.001, 0.001), (1e-5, 1e-5), (100.0, 100.0)])
def test_a_sweep_goes_on_while_its_best_value_is_an_end(monkeypatch, best: float, found: float) -> None:
    """S5: the end of a sweep of two was not even told, and in both claims on BERT each arm chose one."""
    choice, ran = chosen(monkeypatch, parabola(best), Tune(("optim.lr=0.01,0.1",), steps=20))
    assert choice.setting == {"optim.lr": pytest.approx(found)}
    assert choice.doubt == ""
    assert all(run.sweep == (f"optim.lr={float(run.sweep[0][9:]):g}",) for run in ran[1:])  # each new value alone
    tried = {float(value) for run in ran for value in run.sweep[0][9:].split(",")}
    assert min(tried) < found < max(tried)


def test_a_sweep_ends_after_four_values_more_and_its_arm_is_doubted(monkeypatch) -> None:
    choice, ran = chosen(monkeypatch, parabola(1e9), Tune(("optim.lr=0.01,0.1",), steps=20))
    assert [run.sweep for run in ran[1:]] == [("optim.lr=1",), ("optim.lr=10",), ("optim.lr=100",), ("optim.lr=1000",)]
    assert (choice.setting, choice.doubt) == ({"optim.lr": 1000}, "its best optim.lr is still the end of its sweep")


def test_nothing_lies_beyond_zero_and_what_cannot_be_is_not_tried(monkeypatch) -> None:
    least = Tune(("optim.weight_decay=0,0.1,1",), steps=20)
    choice, ran = chosen(monkeypatch, lambda setting, _: setting["optim.weight_decay"], least)
    assert (choice.setting, choice.doubt, len(ran)) == ({"optim.weight_decay": 0}, "", 1)
    momentum = Tune(("optim.b1=0.8,0.95",), steps=20)
    choice, ran = chosen(monkeypatch, lambda setting, _: -setting["optim.b1"], momentum)
    assert (choice.setting, len(ran)) == ({"optim.b1": 0.95}, 1)  # 0.95 * 0.95 / 0.8 is above 1
    assert choice.doubt == "its best optim.b1 is still the end of its sweep"


def test_two_fields_are_extended_with_all_values_of_each_other(monkeypatch) -> None:
    def loss(setting: dict[str, float], _: int) -> float:
        return abs(setting["optim.lr"] - 1) + abs(setting["optim.weight_decay"] - 0.1)

    both = Tune(("optim.lr=0.01,0.1", "optim.weight_decay=0.01,0.1,1"), steps=20)
    choice, ran = chosen(monkeypatch, loss, both)
    assert choice.setting == {"optim.lr": 1, "optim.weight_decay": 0.1}
    assert [run.sweep for run in ran[1:]] == [
        ("optim.lr=1", "optim.weight_decay=0.01,0.1,1"),
        ("optim.lr=10", "optim.weight_decay=0.01,0.1,1"),
    ]


def test_a_setting_of_which_a_seed_diverged_is_the_worst(monkeypatch) -> None:
    def loss(setting: dict[str, float], seed: int) -> float | None:
        return None if setting["optim.lr"] == 0.1 and seed == 10_002 else 1 - setting["optim.lr"]

    choice, _ = chosen(monkeypatch, loss, Tune(("optim.lr=0.001,0.01,0.1",), steps=20))
    assert choice.setting == {"optim.lr": 0.01}
    assert "optim.lr 0.1: diverged" in choice.remark
    choice, ran = chosen(monkeypatch, lambda *_: None, Tune(("optim.lr=0.01,0.1",), steps=20))
    assert (len(ran), choice.doubt) == (1, "no setting of its sweep has a score of every seed")


def test_a_sweep_of_one_value_chooses_nothing() -> None:
    with pytest.raises(UserError, match=r"needs at least two values of each field, not 'optim\.lr=1'"):
        Tune(("optim.lr=1",), steps=20)
    with pytest.raises(UserError, match="an arm is tuned by at least 1 seed, not 0"):
        Tune(("optim.lr=1,2",), steps=20, seeds=0)


def test_what_shapes_the_program_is_tuned_by_runs_of_its_own_and_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Tune could try only what a sweep can: no rate of dropout, no strength of an augmentation."""
    ran: list[Experiment] = []

    def train(experiment: Experiment) -> SimpleNamespace:
        ran.append(experiment)
        return SimpleNamespace(experiment=experiment, path=Path("nowhere"))

    def losses(run: SimpleNamespace, _: object) -> list[float]:
        dropped = run.experiment.model.fields["dropout"]
        return [abs(one.setting["optim.lr"] - 0.1) + abs(dropped - 0.8) for one in members(run.experiment)]

    monkeypatch.setattr(tuning.readings, "read", losses)
    tune = Tune(("model.dropout=0.2,0.4", "optim.lr=0.01,0.1,1"), steps=20)
    choice = tuning.choose(EXPERIMENT, tune, train)
    assert choice.setting == {"model.dropout": 0.8, "optim.lr": 0.1}
    assert choice.doubt == "its best model.dropout is still the end of its sweep"  # 1.6 cannot be
    assert [(run.model.fields, run.sweep) for run in ran] == [
        ({"dropout": dropped}, ("optim.lr=0.01,0.1,1",)) for dropped in (0.2, 0.4, 0.8)
    ]
    assert choice.remark.startswith("chosen: model.dropout 0.8, optim.lr 0.1, by train loss over 3 seeds of model.")
    arm = arms.smoke(TrainedArm("", EXPERIMENT, tune))
    assert isinstance(arm, TrainedArm)
    assert (arm.experiment.model.fields, arm.experiment.optim.lr, arm.tune) == ({"dropout": 0.4}, 1, None)


def test_a_setting_can_have_strengths_of_augmentations_and_initial_kernels() -> None:
    mixed = Experiment(Model("mlp", {"widths": (8,)}), Data("digits", augment=("mixup_1", "shift_1")))
    setting = {"data.augment.mixup": 0.3, "optim.lr": 0.5, "model.dropout": 0.1, "task.initial.normal": 0.01}
    changed = tuned_settings.with_setting(mixed, setting)
    assert changed.data.augment == ("shift_1", "mixup_0.3")
    assert changed.model.fields == {"widths": (8,), "dropout": 0.1}
    assert (changed.optim.lr, changed.task.initial) == (0.5, "normal_0.01")
    with pytest.raises(UserError, match=r"a Tune is FIELD=VALUE,VALUE,… with numbers, not 'model\.dropout=a,b'"):
        tuned_settings.divided(("model.dropout=a,b",))
