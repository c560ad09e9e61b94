"""The figures of made images against closed forms and small cases, and `zoo judge` from end to end on digits."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import scipy.linalg
from rich.console import Console

import train.loop.run
from train import cli
from train.config import Adversarial, Data, Experiment, Model, Optim
from train.loop.fit import fit
from train.loop.run import Run
from train.metrics import parzen
from train.metrics.coverage import coverage
from train.metrics.frechet import Gaussian, Pixels, fitted, frechet_distance
from train.metrics.precision_recall import precision_recall, share_inside
from train.studies.judge import classifier
from train.tasks.assemble import assemble

RNG = np.random.default_rng(0)


def test_frechet_distance_of_axis_aligned_gaussians_is_the_closed_form() -> None:
    a, b = Gaussian(np.zeros(3), np.diag([1.0, 4.0, 0.0])), Gaussian(np.array([1.0, 2, 3]), np.diag([9.0, 4, 1]))
    assert frechet_distance(a, b) == pytest.approx(14 + (1 - 3) ** 2 + 0 + 1)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_gaussians_that_do_not_commute_agrees_with_the_root_of_a_matrix() -> None:
    a, b = (fitted(RNG.normal(size=(50, 4)) @ RNG.normal(size=(4, 4))) for _ in range(2))
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance).real
    expected = np.square(a.mean - b.mean).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_the_distance_of_what_is_not_finite_is_nan_and_one_point_is_a_gaussian() -> None:
    """A replica that diverged ended the run of all others by a LinAlgError, and so did one validation image."""
    whole, gone = fitted(RNG.normal(size=(50, 4))), fitted(np.full((50, 4), np.nan))
    assert math.isnan(frechet_distance(whole, gone))
    assert math.isnan(frechet_distance(gone, whole))
    point = fitted(np.ones((1, 4)))
    assert frechet_distance(point, point) == 0
    assert frechet_distance(point, whole) == pytest.approx(
        np.square(whole.mean - 1).sum() + np.trace(whole.covariance), rel=1e-6
    )


def test_a_gaussian_is_fitted_to_points() -> None:
    points = RNG.normal(size=(20, 3)).astype(np.float32)
    np.testing.assert_allclose(fitted(points).covariance, np.cov(points.T), rtol=1e-5)
    np.testing.assert_allclose(fitted(points).mean, points.mean(0), rtol=1e-5)


def test_principal_components_keep_distances_within_their_span() -> None:
    images = RNG.uniform(size=(30, 4, 4, 1))
    points = Pixels(images)(images)
    distance = np.linalg.norm(images[0] - images[1])
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(distance)
    assert Pixels(RNG.uniform(size=(200, 12, 12, 1)))(RNG.uniform(size=(5, 12, 12, 1))).shape == (5, 64)


def density(x: np.ndarray, mean: np.ndarray, sigma: float) -> float:
    """log N(x; mean, σ² I)."""
    return -np.square(x - mean).sum() / (2 * sigma**2) - x.size / 2 * math.log(2 * math.pi * sigma**2)


def test_parzen_of_one_sample_is_a_gaussian() -> None:
    sample, images = RNG.uniform(size=(1, 3, 3, 1)), RNG.uniform(size=(201, 3, 3, 1))  # one more than a block
    values = parzen.log_likelihoods(sample, images, np.array([0.2, 0.7]))
    expected = [[density(image, sample[0], sigma) for image in images] for sigma in (0.2, 0.7)]
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_parzen_of_several_samples_is_their_mixture() -> None:
    samples, image = RNG.uniform(size=(5, 2, 2, 1)), RNG.uniform(size=(1, 2, 2, 1))
    ((value,),) = parzen.log_likelihoods(samples, image, np.array([0.3]))
    assert value == pytest.approx(math.log(np.mean([math.exp(density(image[0], s, 0.3)) for s in samples])), rel=1e-4)


@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0])
def test_sigma_is_the_best_on_validation_also_beyond_the_grid(spread: float) -> None:
    """Of one sample at the mean of a Gaussian, the likeliest σ is its deviation."""
    sample, images = np.zeros((1, 4, 4, 1)), RNG.normal(size=(400, 4, 4, 1)) * spread
    means = parzen.choose_sigma(sample, images)
    best = max(means, key=means.get)
    assert abs(math.log(best / spread)) < math.log(parzen.STEP)
    assert min(means) < best < max(means)
    assert set(parzen.GRID) <= set(means)


def test_parzen_reports_the_test_images_at_the_sigma_of_the_validation_images() -> None:
    samples, validation, test = (RNG.uniform(size=(n, 2, 2, 1)) for n in (30, 40, 50))
    figure = parzen.parzen(samples, validation, test)
    values = parzen.log_likelihoods(samples, test, np.array([figure.sigma]))[0]
    assert figure.sigma == max(figure.validation, key=figure.validation.get)
    assert figure.log_likelihood == pytest.approx(values.mean())
    assert figure.standard_error == pytest.approx(values.std() / math.sqrt(50))
    assert figure.samples == 30


def test_precision_falls_with_strangers_and_recall_with_what_is_missing() -> None:
    left, right = RNG.normal(size=(600, 2)), RNG.normal(size=(600, 2)) + 100
    assert precision_recall(left, left) == (1, 1)
    assert precision_recall(left, right) == (0, 0)
    real = np.concatenate([left, right])
    precision, recall = precision_recall(real, np.concatenate([left + 1e-6, left - 1e-6]))
    assert precision == 1
    assert recall == pytest.approx(0.5, abs=0.01)


def test_a_ball_reaches_to_the_kth_neighbour() -> None:
    region = np.array([[0.0], [1], [2], [10]])  # with k = 1 the last ball reaches to 2 and to 18, its neighbour's to 3
    points = np.array([[-0.9], [-1.1], [2.9], [17.9], [18.1]])
    assert share_inside(points, region, 1) == pytest.approx(3 / 5)


def test_coverage_counts_classes_that_are_made_often_enough() -> None:
    real = np.repeat([0, 1, 2], 100)
    made = np.array([0] * 146 + [1] * 150 + [2] * 4)  # 1.3 % where 33 % are real
    found = coverage(made, real, 4)
    assert (found.classes, found.of) == (2, 3)
    assert found.shares == pytest.approx((146 / 300, 0.5, 4 / 300, 0))
    assert coverage(real, real, 4).entropy == pytest.approx(math.log(3))
    assert coverage(np.zeros(9, int), real, 4).entropy == 0


PAIR = Experiment(
    model=Model("gan", {"latent": 6, "widths": (16,), "units": (8,), "pieces": 2}),
    data=Data("digits", batch=16),
    task=Adversarial(conditional=True),
    optim=Optim("adam", lr=1e-3, b1=0.5),
    steps=4,
    eval_every_steps=2,
)
KNOWS = Experiment(Model("mlp", {"widths": (12,)}), Data("digits", batch=32), steps=60, eval_every_steps=30)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    made = {
        name: train.loop.run.create(name, experiment, folder) for name, experiment in (("pair", PAIR), ("mlp", KNOWS))
    }
    for run in made.values():
        fit(run, assemble(run.experiment), Console(quiet=True))
    return made


def test_features_are_what_the_head_reads(runs: dict[str, Run]) -> None:
    judge = classifier.load(runs["mlp"])
    x = RNG.integers(0, 256, (7, 8, 8, 1)).astype(np.uint8)
    features, labels = judge(x)
    head = judge.variables["params"]["head"]
    logits = features @ head["kernel"] + head["bias"][None]
    expected = judge.model.apply(judge.variables, judge.inputs.evaluate({"x": x})["x"], train=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(labels, np.asarray(expected).argmax(-1))
    assert judge.accuracy == train.loop.run.read_summary(runs["mlp"].path).test["accuracy"]


def test_the_accuracy_of_a_classifier_is_that_of_the_checkpoint_that_judges(runs: dict[str, Run], tmp_path) -> None:
    """The summary is of the last checkpoint, and the best one judges."""
    path = shutil.copytree(runs["mlp"].path, tmp_path / "mlp")
    summary = json.loads((path / "summary.json").read_text())
    del summary["checksum"]
    (path / "summary.json").write_text(json.dumps(summary | {"test": summary["test"] | {"accuracy": 0.0}}))
    assert classifier.load(train.loop.run.load(path)).accuracy == summary["test"]["accuracy"]


def judged(runs: dict[str, Run], *options: str) -> dict[str, Any]:
    path = runs["pair"].path
    shutil.rmtree(path / "judge", ignore_errors=True)
    assert cli.run(["judge", str(path), "--samples", "200", *options]) == 0
    (file,) = (path / "judge").iterdir()
    return json.loads(file.read_text())


def test_judge_measures_a_run_and_keeps_the_figures(runs: dict[str, Run], capsys: pytest.CaptureFixture) -> None:
    report = judged(runs, "--classifier", str(runs["mlp"].path))
    assert report["step"] == 4
    figure = report["parzen"]
    assert (figure["samples"], figure["validation_images"], figure["test_images"]) == (200, 143, 359)
    assert min(map(float, figure["validation"])) < figure["sigma"] < max(map(float, figure["validation"]))
    made, training = report["features"]["made"], report["features"]["training_images"]
    assert made["frechet_distance"] > 5 * training["frechet_distance"] > 0
    assert training["precision"] > 0.8 > made["recall"]
    assert training["classes"] == 10
    assert 0 <= made["label_agreement"] <= 1
    out = capsys.readouterr().out
    assert "Parzen log-likelihood" in out
    assert "another scale" in out
    assert "FID" in out


def test_figures_by_another_classifier_are_kept_beside(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "train_or_find", lambda *args: runs["mlp"])
    judged(runs, "--by", "features")
    options = ["--samples", "200", "--by", "features", "--classifier", str(runs["mlp"].path)]
    assert cli.run(["judge", str(runs["pair"].path), *options]) == 0
    names = sorted(path.name for path in (runs["pair"].path / "judge").iterdir())
    assert names == ["last_features_200_0.json", f"last_features_200_0_mlp_{runs['mlp'].path.name}.json"]


def test_judge_by_parzen_needs_no_classifier(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "train_or_find", None)
    assert judged(runs, "--by", "parzen").keys() >= {"parzen"}


def test_judge_trains_a_classifier_once_and_keeps_it_beside_the_run(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "experiment_for", lambda data: KNOWS)
    first, second = (judged(runs, "--by", "features", "--seed", seed) for seed in "01")
    assert first["features"]["classifier_run"] == second["features"]["classifier_run"]
    assert Path(first["features"]["classifier_run"]).parents[1] == runs["pair"].path.parents[1]
    assert first["features"]["made"] != second["features"]["made"]


def test_the_classifier_is_that_of_the_data_cut_like_the_run() -> None:
    known = classifier.experiment_for(Data("mnist", image_size=32, validation=0.2, split_seed=3))
    assert (known.model.name, known.data.fit, known.data.image_size) == ("lenet5", "pad", 32)
    assert (known.data.validation, known.data.split_seed) == (0.2, 3)
    assert classifier.experiment_for(Data("cifar10")).data.name == "cifar10"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("PAIR --samples 5", "--samples must be at least 100, not 5"),
        ("PAIR --seed -1", "--seed must be at least 0 and below 2^32, not -1"),
        ("MLP", "is of the task 'classify' and makes no images: zoo eval measures it"),
        ("PAIR --classifier PAIR", "has the task 'adversarial', so it is no classifier of images"),
        ("PAIR --classifier nowhere", "no run folder at nowhere"),
        ("PAIR --classifier UNFINISHED", "is not finished: zoo train --resume"),
        ("PAIR --classifier OTHER", "was trained on mnist, and the generator was trained on digits"),
        ("PAIR --by looks", "unknown by 'looks': choose from all, features, parzen"),
        ("nowhere", "no run folder at nowhere"),
    ],
)
def test_bad_input_is_one_line(options: str, expected: str, runs: dict[str, Run], tmp_path: Path, capsys) -> None:
    unfinished = train.loop.run.create("unfinished", KNOWS, tmp_path)
    other = train.loop.run.create("other", Experiment(KNOWS.model, Data("mnist")), tmp_path)
    names = {"PAIR": runs["pair"], "MLP": runs["mlp"], "UNFINISHED": unfinished, "OTHER": other}
    words = [str(names[word].path) if word in names else word for word in options.split()]
    assert cli.run(["judge", *words]) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_run_without_validation_images_has_no_sigma(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    experiment = Experiment(PAIR.model, Data("digits", batch=16, validation=0.0), task=Adversarial(), steps=1)
    run = train.loop.run.create("blind", experiment, tmp_path)
    summary = fit(run, assemble(experiment), Console(quiet=True))
    assert summary.validation == {}
    assert jax.tree.all(jax.tree.map(np.isfinite, summary.test))
    assert cli.run(["judge", str(run.path), "--by", "parzen", "--samples", "100"]) == 2
    assert "has no validation images to choose σ on" in capsys.readouterr().err
