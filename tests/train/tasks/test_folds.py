"""k-fold cross-validation: how the training split is cut, and that each replica is the run of its fold alone."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from interruption import Interruption
from rich.console import Console

import train.data
import train.loop.run
from train import cli
from train.commands.extract import extract
from train.config import Data, Experiment, Model, Optim
from train.core.signals import Stopped
from train.data.images import folds
from train.data.split import Arrays, Split, moments
from train.loop.fit import fit
from train.loop.restore import restore, restore_replicas
from train.loop.run import Run
from train.tasks.assemble import assemble
from zoo.errors import UserError

QUIET = Console(quiet=True)
DATA = Data("digits", batch=32, augment=("shift_1",))
FOLDED = Experiment(
    model=Model("mlp", {"widths": (8,)}),
    data=DATA,
    optim=Optim("momentum", lr=0.05),
    steps=80,  # more than the 35 of an epoch
    eval_every_steps=40,
    seed=1,
    folds=5,
)


def trained(experiment: Experiment, folder: Path) -> Run:
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), QUIET)
    return run


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Run:
    return trained(FOLDED, tmp_path_factory.mktemp("folded"))


def test_every_example_is_validation_once_and_classes_are_spread_evenly() -> None:
    labels = np.repeat(np.arange(3), (50, 33, 20)).astype(np.int32)
    store = Arrays(np.zeros((len(labels), 2, 2, 1), np.uint8), labels)
    split = Split(store, np.arange(3, len(labels)))
    found = folds.cut(split, 7, seed=0, name="made", class_names=("a", "b", "c"))
    assert sorted(np.concatenate([fold.validation for fold in found])) == list(range(100))
    assert {len(fold.train) for fold in found} == {100 - 15}
    counts = np.bincount(labels[3:])
    for fold in found:
        assert not set(fold.train) & set(fold.validation)
        assert np.all(np.diff(fold.train) > 0)
        assert np.all(np.abs(np.bincount(labels[3 + fold.validation]) - counts / 7) < 1)
    again, other = (folds.cut(split, 7, seed, "made", ("a", "b", "c")) for seed in (0, 1))
    np.testing.assert_array_equal(found[3].validation, again[3].validation)
    assert not np.array_equal(found[3].validation, other[3].validation)


def test_folds_cut_all_that_is_not_test_and_leave_the_test_split_alone() -> None:
    usual = train.data.load(DATA)
    parts = [train.data.load(dataclasses.replace(DATA, fold=(k, 5))) for k in range(5)]
    there = np.concatenate([usual.train.indices, usual.validation.indices])
    assert sorted(np.concatenate([one.validation.indices for one in parts])) == sorted(there)
    for one in parts:
        np.testing.assert_array_equal(one.test.indices, usual.test.indices)
        np.testing.assert_array_equal(one.mean, moments(one.train)[0])


def test_a_replica_taken_out_is_the_run_of_its_fold_alone(folded: Run, tmp_path) -> None:
    taken = extract(folded, 3, tmp_path)
    assert taken.experiment == dataclasses.replace(FOLDED, folds=None, data=dataclasses.replace(DATA, fold=(3, 5)))
    alone = trained(taken.experiment, tmp_path / "alone")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), restore(taken)[1], restore(alone)[1]
    )
    mine, theirs = train.loop.run.read_summary(taken.path), train.loop.run.read_summary(alone.path)
    assert mine.to_json().keys() == theirs.to_json().keys()
    for split in ("validation", "test"):
        assert getattr(mine, split) == pytest.approx(getattr(theirs, split), rel=1e-3)
    assert train.loop.run.read_summary(folded.path).replicas[2].validation != pytest.approx(mine.validation)


def test_each_replica_draws_from_its_own_fold_as_that_fold_is_normalized(folded: Run) -> None:
    own = assemble(FOLDED).feed(None, None).take(1).own
    for k in range(5):
        alone = train.data.load(dataclasses.replace(DATA, fold=(k, 5)))
        whole = train.data.load(dataclasses.replace(DATA, validation=0.0))
        np.testing.assert_array_equal(whole.train.indices[own["rows"][k]], alone.train.indices)
        np.testing.assert_array_equal(own["given"]["mean"][k], alone.mean)
        np.testing.assert_array_equal(own["given"]["std"][k], alone.std)
    assert len({float(mean) for mean in own["given"]["mean"].ravel()}) == 5


def test_the_summary_has_every_fold_their_mean_and_spread(folded: Run) -> None:
    summary = train.loop.run.read_summary(folded.path)
    assert [one.fold for one in summary.replicas] == [0, 1, 2, 3, 4]
    (row,) = summary.settings
    assert row.folds == (0, 1, 2, 3, 4)
    values = [one.validation["accuracy"] for one in summary.replicas]
    assert row.validation["accuracy"] == pytest.approx(np.mean(values))
    assert row.validation_spread["accuracy"].deviation == pytest.approx(np.std(values, ddof=1))
    assert sum(one.validation["count"] for one in summary.replicas) == 1797 - 359


@pytest.mark.slow
def test_an_interrupted_run_of_folds_resumes_to_the_same_bits(folded: Run, tmp_path, monkeypatch) -> None:
    cut = train.loop.run.create("cut", FOLDED, tmp_path)

    with monkeypatch.context() as patch:
        patch.setattr("train.loop.fit.Watch", Interruption)
        with pytest.raises(Stopped, match="stopped at step"):
            fit(cut, assemble(FOLDED), QUIET)
    fit(cut, assemble(FOLDED), QUIET, resume=True)
    jax.tree.map(np.testing.assert_array_equal, restore_replicas(folded)[2], restore_replicas(cut)[2])


def test_the_commands_show_every_fold(folded: Run, capsys) -> None:
    assert cli.run(["eval", str(folded.path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "5 folds, which share training examples" in out
    for number, one in enumerate(train.loop.run.read_summary(folded.path).replicas):
        accuracies = [f"{100 * one.on(split)['accuracy']:.2f} %" for split in ("validation", "test")]
        assert f"{number} {one.validation['count']} {accuracies[0]} {one.validation['loss']:.4f}" in out
    assert cli.run(["sample", str(folded.path)]) == 2


@pytest.mark.slow
def test_every_seed_and_setting_sees_all_folds(tmp_path) -> None:
    experiment = dataclasses.replace(
        FOLDED, folds=2, seeds=2, sweep=("optim.lr=0.01,0.1",), steps=2, eval_every_steps=2
    )
    summary = train.loop.run.read_summary(trained(experiment, tmp_path).path)
    assert [(one.setting["optim.lr"], one.seed, one.fold) for one in summary.replicas] == [
        (lr, seed, fold) for lr in (0.01, 0.1) for seed in (1, 2) for fold in (0, 1)
    ]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("digits_mlp --folds 200", "class '8' of digits has 139 training examples: not enough for 200 folds"),
        ("digits_mlp --folds 1", "folds must be at least 2, not 1"),
        ("digits_mlp --folds 5 --data.placement stream", "folds need a set that lives on the device"),
        (
            "digits_mlp --folds 5 --data.batch 1400",
            "data.batch 1400 is larger than the 1150 training examples of a fold",
        ),
        ("digits_mlp --data.fold 5 5", "data.fold must be K N with N at least 2 and K from 0 to N - 1, not 5 5"),
        ("digits_mlp --folds 5 --data.fold 0 5", "folds are all of them and data.fold is one"),
        (
            "python_docs_topic_bert_tiny --folds 5",
            "folds are for classifiers of images, not for the task 'classify' on",
        ),
        ("cartpole_dqn --folds 5", "folds are for classifiers of images, not for the task 'q_learning' on CartPole-v1"),
        ("digits_simclr --folds 5", "folds are for classifiers of images, not for the task 'contrast' on digits"),
    ],
)
def test_folds_that_cannot_be_are_one_line(command: str, line: str, tmp_path, capsys) -> None:
    assert cli.run(["train", *command.split(), "--workdir", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.startswith(f"zoo: {line}")
    assert not (tmp_path / "runs").exists()


def test_a_set_read_while_training_has_no_folds(monkeypatch) -> None:
    monkeypatch.setattr("train.core.machine.memory_limit", lambda: 1000)
    with pytest.raises(UserError, match="folds need a set that fits on the device"):
        assemble(FOLDED)
