"""`zoo probe` judges frozen features: its classifier is the right one, its hash notices every change."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from cases import slow_except
from rich.console import Console
from sklearn.linear_model import LogisticRegression

import train.loop.run
from train import cli
from train.commands import probe as probe_command
from train.commands.extract import extract
from train.config import Data, Experiment, Model, Optim
from train.data.inputs import images
from train.inference.features import Extractor, fingerprint, frozen
from train.loop.fit import fit
from train.loop.run import Run
from train.metrics import linear_probe, nearest_neighbors
from train.metrics.linear_probe import Labelled
from train.studies import probe
from train.tasks.assemble import assemble
from zoo.errors import UserError

RNG = np.random.default_rng(0)


def labelled(count: int, seed: int) -> Labelled:
    """Three classes around three corners, on scales that differ by 1,000, with a feature that never changes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    x = np.eye(3)[labels] + 0.45 * rng.normal(size=(count, 3))
    return Labelled(np.concatenate([x * [1, 30, 1000], np.full((count, 1), 7.0)], 1).astype(np.float32), labels)


def test_linear_evaluation_is_a_logistic_regression_chosen_on_validation() -> None:
    train_, validation, test = labelled(200, 0), labelled(150, 1), labelled(300, 2)
    result = linear_probe.evaluate(train_, validation, test)
    mean, std = train_.features[:, :3].mean(0), train_.features[:, :3].std(0)
    scores = {}
    for strength in linear_probe.STRENGTHS:
        model = LogisticRegression(C=1 / (strength * 200), max_iter=1000)
        model.fit((train_.features[:, :3] - mean) / std, train_.labels)
        scores[strength] = [
            model.score((part.features[:, :3] - mean) / std, part.labels) for part in (train_, validation, test)
        ]
    best = max(scores.values(), key=lambda each: each[1])[1]
    assert result.strength == max(strength for strength, each in scores.items() if each[1] == best)
    np.testing.assert_allclose([result.train, result.validation, result.test], scores[result.strength], atol=0.006)
    assert result.converged
    assert result.test > 0.8


def test_a_class_that_few_labels_leave_out_is_never_said() -> None:
    two = labelled(90, 0)
    keep = two.labels != 1
    result = linear_probe.evaluate(Labelled(two.features[keep], two.labels[keep]), labelled(90, 1), labelled(90, 2))
    assert 0.5 < result.test < 0.75  # right about the two classes that it knows
    with pytest.raises(UserError, match="needs examples of two classes at least"):
        linear_probe.evaluate(Labelled(two.features[:5], np.zeros(5, int)), two, two)


def test_of_two_classes_the_penalty_is_that_of_both_rows_of_weights() -> None:
    """lambda/2 times their squares, added to the mean loss: at the minimum the gradient is zero."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    x = (np.eye(2)[labels] + rng.normal(size=(60, 2))).astype(np.float32)
    fits = list(linear_probe._fits(x, labels))
    for fit_ in fits[:3]:
        logits = x @ fit_.weights.T + fit_.bias
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        gradient = (p - np.eye(2)[labels]).T @ x / len(x) + fit_.strength * fit_.weights
        np.testing.assert_allclose(gradient, 0, atol=1e-3)


def test_a_zero_vector_is_near_nothing() -> None:
    """Its cosine is 0, not 0.5: a neighbour at 68 degrees is nearer."""
    bank = np.array([[0.0, 0.0], [1.0, 2.5]])
    assert nearest_neighbors.vote(bank, np.array([0, 1]), np.array([[1.0, 0.0]]), 2, neighbours=1).item() == 1
    bank = np.array([[0.0, 0.0], [1.0, 0.2], [0.0, 1.0]])
    votes = nearest_neighbors.vote(bank, np.array([0, 1, 2]), np.array([[0.0, 0.0], [1.0, 0.0]]), 3, temperature=10.0)
    np.testing.assert_array_equal(votes, [0, 1])  # nothing is nearer to it than the rest, so the first class


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Of a classifier, which has features as well."""
    experiment = Experiment(
        Model("resnet20", {"depths": (1,), "widths": (16,)}),
        Data("digits", batch=64, augment=("shift_1",)),
        Optim("adam", lr=1e-2),
        80,
        40,
    )
    run = train.loop.run.create("digits_resnet", experiment, tmp_path_factory.mktemp("runs"))
    fit(run, assemble(experiment), Console(quiet=True))
    return run


def test_a_probe_prints_and_writes_what_it_found(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["probe", str(run.path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    found = json.loads((run.path / "probe_trained_1.json").read_text())
    assert found["linear"]["test"] > 0.9
    assert found["knn"]["test"] > 0.85
    assert found["counts"] == {"train": 1295, "validation": 143, "test": 359}
    assert f"{100 * found['linear']['test']:.2f} %" in said
    assert f"unchanged, sha256 {found['sha256']}" in said
    assert found["sha256"] == fingerprint(variables_of(run))


def variables_of(run: Run) -> dict[str, Any]:
    from train.loop.restore import restore

    return frozen(restore(run, "best")[1])


@pytest.mark.slow
def test_training_is_worth_more_than_the_start_and_few_labels_less(run: Run) -> None:
    figures = {
        name: probe.probe(run, probe.ProbeOptions(str(run.path), **options))
        for name, options in {
            "trained": {},
            "few": {"labels": 0.03},
            "untrained": {"features": "untrained"},
            "pixels": {"features": "pixels"},
        }.items()
    }
    test = {name: each["linear"]["test"] for name, each in figures.items()}
    assert test["few"] < test["trained"]
    assert test["untrained"] < test["trained"]
    assert figures["few"]["counts"]["train"] in range(29, 50)
    assert figures["few"]["sha256"] == figures["trained"]["sha256"] != figures["untrained"]["sha256"]
    assert (figures["pixels"]["dimensions"], figures["pixels"]["step"], figures["untrained"]["step"]) == (64, 0, 0)


@pytest.mark.slow
def test_every_replica_is_judged_as_it_would_be_alone(run: Run, tmp_path: Path) -> None:
    both = dataclasses.replace(run.experiment, steps=4, eval_every_steps=4, seeds=2)
    team = train.loop.run.create("team", both, tmp_path)
    fit(team, assemble(both), Console(quiet=True))
    trained, begun = probe.linear_each(team), probe.linear_each(team, 0.1, untrained=True)
    assert trained[0] != trained[1]
    alone = extract(team, 1, tmp_path)
    for found, options in (
        (trained, probe.ProbeOptions(str(alone.path), checkpoint="last")),
        (begun, probe.ProbeOptions(str(alone.path), features="untrained", labels=0.1)),
    ):
        assert dataclasses.asdict(found[1]) == probe.probe(alone, options)["linear"]


@pytest.mark.parametrize("collection", slow_except(["params"], ["params", "batch_stats"]))
def test_a_weight_that_changes_is_noticed(run: Run, collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[dict] = []
    evaluate = linear_probe.evaluate

    def keep(state: Any) -> dict[str, Any]:
        held.append(jax.tree.map(np.array, frozen(state)))
        return held[0]

    def meddle(*parts: Labelled) -> linear_probe.Result:
        leaf = jax.tree.leaves(held[0][collection])[0]
        leaf.flat[0] = np.nextafter(leaf.flat[0], np.float32(9))  # by the last bit
        return evaluate(*parts)

    monkeypatch.setattr(probe, "frozen", keep)
    options = probe.ProbeOptions(str(run.path))
    probe.probe(run, options)
    held.clear()
    monkeypatch.setattr(linear_probe, "evaluate", meddle)
    with pytest.raises(UserError, match=r"the weights of .* changed during the probe"):
        probe.probe(run, options)


def test_a_fingerprint_knows_names_shapes_and_bits() -> None:
    one = {"params": {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}}
    others = [
        {"params": {"a": np.zeros((3, 2), np.float32), "b": np.ones(2, np.float32)}},
        {"params": {"a": np.zeros((2, 3), np.float32), "c": np.ones(2, np.float32)}},
        {"params": {"a": -np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}},
        {"batch_stats": one["params"]},
    ]
    assert len({fingerprint(each) for each in (one, *others)}) == 5
    assert fingerprint(jax.tree.map(jax.numpy.asarray, one)) == fingerprint(one)


def test_features_do_not_depend_on_how_the_split_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, variables = assemble(run.experiment), variables_of(run)
    inputs = images(parts.dataset.shape, ("shift_1",), parts.dataset.mean, parts.dataset.std)
    whole = Extractor(parts.model, inputs)(variables, parts.dataset.validation)
    monkeypatch.setattr("train.metrics.evaluation.BATCH", 50)
    monkeypatch.setattr("train.inference.features.batch_size", lambda examples, mesh: 50)
    cut = Extractor(parts.model, inputs)(variables, parts.dataset.validation)
    assert whole.shape == (143, 16)
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-5)
    x = inputs.evaluate(parts.dataset.validation.arrays())
    plain = jax.jit(lambda: parts.model.apply(variables, **x, train=False, method="represent"))()
    np.testing.assert_allclose(whole, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (["--checkpoint", "worst"], "unknown checkpoint 'worst': choose from best, last"),
        (["--labels", "0"], "data.labels=0.0: must be above 0 and at most 1"),
        (["--labels", "0.001"], "digits: data.labels=0.001 leaves no example of class '0' (of "),
    ],
)
def test_bad_input_is_one_line(change: list[str], line: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["probe", str(run.path), *change]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"zoo: {line}")
    assert said.count("\n") == 1


def test_runs_without_features_or_validation_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [
        (Experiment(Model("mlp"), Data("digits")), "mlp has no features before its head"),
        (Experiment(Model("resnet20"), Data("digits", validation=0.0)), "has no validation split"),
    ]
    for i, (experiment, line) in enumerate(cases):
        path = train.loop.run.create(f"run{i}", experiment, tmp_path).path
        assert cli.run(["probe", str(path)]) == 2
        assert line in capsys.readouterr().err
    assert cli.run(["probe", str(tmp_path / "nowhere")]) == 2
    assert "no run folder at" in capsys.readouterr().err


def test_untrained_is_where_training_began(run: Run, tmp_path: Path) -> None:
    """With `init_from` that is the network of the other run, and not a draw."""
    again = dataclasses.replace(run.experiment, init_from=str(run.path), steps=1, eval_every_steps=1)
    later = train.loop.run.create("later", again, tmp_path)
    options = probe.ProbeOptions(str(later.path), features="untrained")
    dataset = probe._dataset(later, 1.0)
    variables, _, step = probe._network(later, dataset, options)
    assert step == 0
    np.testing.assert_array_equal(variables["params"]["head"]["kernel"], variables_of(run)["params"]["head"]["kernel"])


def test_figures_of_both_checkpoints_are_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = dict.fromkeys(("linear", "nearest neighbours", "weights"), "")
    monkeypatch.setattr(probe, "probe", lambda run, options: dataclasses.asdict(options) | {"notes": notes})
    monkeypatch.setattr(probe_command, "_table", lambda run, result: "")
    names = {"best": "probe_trained_0.5.json", "last": "probe_trained_0.5_last.json"}
    for which in names:
        probe_command.probe_command([str(run.path), "--labels", "0.5", "--checkpoint", which])
    for which, name in names.items():
        assert json.loads((run.path / name).read_text())["checkpoint"] == which
