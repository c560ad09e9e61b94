"""Ensembles: what their figures mean, that the members are those of the runs, and what cannot be averaged."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import train.loop.run
from train import cli
from train.commands.extract import extract
from train.config import Classify, Data, Experiment, Model, Optim
from train.loop.fit import fit
from train.loop.run import Run
from train.studies import ensemble
from train.tasks.assemble import assemble
from zoo.errors import UserError

QUIET = Console(quiet=True)
ALONE = Experiment(
    model=Model("mlp", {"widths": (16,)}),
    data=Data("digits", batch=32),
    optim=Optim("adam", lr=3e-3, ema=0.5),
    steps=60,
    eval_every_steps=60,
)


def trained(folder: Path, **changes: object) -> Run:
    experiment = dataclasses.replace(ALONE, **changes)
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), QUIET)
    return run


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("three"), seeds=3)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Run:
    """Another model on enlarged images of the same examples."""
    data = dataclasses.replace(ALONE.data, image_size=12)
    return trained(tmp_path_factory.mktemp("other"), model=Model("mlp", {"widths": (8,)}), data=data, seed=9)


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("folded"), folds=2, steps=10)


def measured(*runs: Run, capsys) -> dict:
    assert cli.run(["ensemble", *(str(run.path) for run in runs), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_member_has_the_figures_of_its_run(three: Run, other: Run, capsys) -> None:
    found = measured(three, other, capsys=capsys)
    assert [member["replica"] for member in found["members"]] == [0, 1, 2, None]
    summaries = [*train.loop.run.read_summary(three.path).replicas, *train.loop.run.read_summary(other.path).replicas]
    for split in ("validation", "test"):
        for mine, summary in zip(found[split]["members"], summaries, strict=True):
            for name in ("accuracy", "loss"):
                assert mine[name] == pytest.approx(summary.on(split)[name], rel=1e-4)
        mean = np.mean([member["loss"] for member in found[split]["members"]])
        assert found[split]["mean"]["loss"] == pytest.approx(mean)
        matrix = np.array(found[split]["confusion"])
        assert matrix.sum() == found[split]["count"]
        assert matrix.trace() / matrix.sum() == pytest.approx(found[split]["ensemble"]["accuracy"])
        # Jensen: the average of probabilities is never worse than the members are on average.
        assert found[split]["ensemble"]["loss"] < mean


def test_the_average_is_of_probabilities() -> None:
    one, two = (np.log(np.array(rows)) for rows in ([[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.6, 0.4]]))
    np.testing.assert_allclose(np.exp(ensemble.average([one, two])), [[0.7, 0.3], [0.4, 0.6]])


def test_figures_by_hand() -> None:
    log_p = np.log(np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6], [0.45, 0.55]]))
    found = ensemble.figures(log_p, np.array([0, 1, 1, 0]))
    assert found["accuracy"] == 0.5
    assert found["loss"] == pytest.approx(-np.log([0.9, 0.05, 0.6, 0.45]).mean())
    # Bins of 1/15: 0.9 and 0.95 lie in (13/15, 14/15] and above it; 0.55 and 0.6 both in (8/15, 9/15].
    gaps = [abs(1 - 0.9), abs(0 - 0.95), abs(1 + 0 - 0.6 - 0.55)]
    assert found["calibration_error"] == pytest.approx(sum(gaps) / 4)


@pytest.mark.slow
def test_folds_are_judged_on_test_alone_each_as_it_normalizes(folded: Run, capsys) -> None:
    found = measured(folded, capsys=capsys)
    assert "validation" not in found
    for mine, summary in zip(found["test"]["members"], train.loop.run.read_summary(folded.path).replicas, strict=True):
        assert mine["loss"] == pytest.approx(summary.test["loss"], rel=1e-4)
    assert cli.run(["ensemble", str(folded.path)]) == 0
    assert "each member holds out another fold" in capsys.readouterr().out


def test_the_table_and_the_file(three: Run, tmp_path, capsys) -> None:
    assert cli.run(["ensemble", str(three.path), "--out", str(tmp_path / "figures.json")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    found = json.loads((tmp_path / "figures.json").read_text())["test"]["ensemble"]
    assert f"test {100 * found['accuracy']:.2f} % {found['loss']:.4f} {found['calibration_error']:.4f}" in out
    assert "ensemble of 3" in out


@pytest.mark.slow
def test_what_cannot_be_averaged_is_one_line(three: Run, folded: Run, tmp_path, capsys) -> None:
    short = {"steps": 1, "eval_every_steps": 1}
    cut = trained(tmp_path / "cut", data=dataclasses.replace(ALONE.data, split_seed=1), **short)
    squared = trained(tmp_path / "squared", task=Classify(loss="mse"), **short)
    single = trained(tmp_path / "single", **short)
    folder = tmp_path / "fewer"
    _images(folder)
    classes = trained(tmp_path / "classes", data=Data(f"folder:{folder}", batch=2), **short)
    one, two = (extract(folded, number, tmp_path / "folds") for number in (0, 1))
    lines = {
        (three, three): "is given twice",
        (three, cut): "their validation splits differ (data.validation, data.split_seed, data.fold)",
        (squared, three): "was trained with task.loss=mse, so its outputs are not probabilities",
        (three, classes): "its data set is folder:",
        (one, two): "their validation splits differ",
        (single,): "an ensemble has at least two members",
    }
    for runs, line in lines.items():
        assert cli.run(["ensemble", *(str(run.path) for run in runs)]) == 2, line
        error = capsys.readouterr().err
        assert line in error
        assert error.count("\n") == 1
    assert cli.run(["ensemble"]) == 2
    assert cli.run(["ensemble", str(three.path), "--out", str(tmp_path / "no" / "such")]) == 2
    assert cli.run(["ensemble", str(tmp_path / "nothing")]) == 2
    capsys.readouterr()


def _images(folder: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(np.full((8, 8), 20 * number, np.uint8)).save(folder / name / f"{number}.png")


def test_a_run_that_is_no_classifier_is_refused(tmp_path, capsys) -> None:
    from train.config import files

    run = train.loop.run.create("digits_gan", files.load("digits_gan"), tmp_path)
    assert cli.run(["ensemble", str(run.path)]) == 2
    assert "is not a classifier (its task is 'adversarial')" in capsys.readouterr().err


def test_outputs_that_are_not_finite_name_what_to_do(three: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ensemble, "log_probabilities", lambda member, split: (np.full((2, 10), np.nan), np.zeros(2, int))
    )
    found = ensemble.members([three])
    with pytest.raises(UserError, match=r"replica 0 of .* not finite: take the others out by `zoo extract RUN NUMBER`"):
        ensemble.judge(found)
    with pytest.raises(UserError, match="has outputs that are not finite: leave this run out"):
        ensemble.judge([dataclasses.replace(member, replica=None) for member in found])
