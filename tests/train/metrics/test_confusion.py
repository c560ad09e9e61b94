"""Confusion matrices: the counts against NumPy, in whatever way a split is read, and what `zoo eval` makes of them."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import train.loop.run
from train import cli
from train.commands import confusion as shown
from train.config import Data, Experiment, Model, Optim, Text
from train.config.replicas import Member
from train.loop.fit import fit
from train.loop.run import Run
from train.metrics import evaluation
from train.metrics.confusion import Confusion, added
from train.pictures import confusion as picture
from train.pictures import figures
from train.tasks.assemble import assemble
from train.tasks.classify.task import confusion_matrix

SMALL = Experiment(
    model=Model("mlp", {"widths": (8,)}),
    data=Data("digits", batch=32),
    optim=Optim("adam", lr=3e-3),
    steps=20,
    eval_every_steps=20,
)


def by_numpy(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def trained(folder: Path, **changes: object) -> Run:
    experiment = dataclasses.replace(SMALL, **changes)
    run = train.loop.run.create("digits", experiment, folder)
    fit(run, assemble(experiment), Console(quiet=True))
    return run


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("folded"), folds=2)


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("single"))


def test_padding_is_not_counted() -> None:
    logits = jnp.array([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0], [5.0, 0.0, 0.0]])
    found = confusion_matrix(logits, jnp.array([0, 2, 2, 1]), jnp.array([1.0, 1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 0], [0, 1, 1]])
    assert found.dtype == jnp.int32


def test_resident_and_streamed_splits_have_the_counts_of_numpy_and_the_means_of_an_evaluation() -> None:
    setup = assemble(SMALL)
    state, split = setup.task.init(jax.random.key(0)), setup.dataset.test
    batch = {name: jnp.asarray(leaf) for name, leaf in split.arrays().items()}
    predicted = np.asarray(setup.task.predict(state, batch)).argmax(-1)
    expected = by_numpy(predicted, split.arrays()["y"], 10)
    assert len(split) % 100 != 0, "the last batch must be padded"
    measure = evaluation.streamed(setup.task, split, None, 100)
    for own in (measure, setup.evaluator("test", None)):
        means, counts = own.confuse(state)
        np.testing.assert_array_equal(counts, expected)
        assert means == pytest.approx(own(state), rel=1e-6)
        assert means["accuracy"] == pytest.approx(counts.diagonal().sum() / counts.sum())


def test_the_matrix_needs_no_second_forward_pass() -> None:
    setup = assemble(SMALL)
    batch = {"x": jnp.zeros((50, 8, 8, 1), jnp.uint8), "y": jnp.zeros(50, jnp.int32), "mask": jnp.ones(50)}
    programs = [
        str(jax.make_jaxpr(run)(setup.task.init(jax.random.key(0)), batch))
        for run in (setup.task.evaluate, setup.task.confuse)
    ]
    assert programs[0].count("dot_general") == programs[1].count("dot_general") > 0


def test_sentences_have_a_matrix_too(tmp_path: Path) -> None:
    lines = [f"{word} {n} it is\t{label}" for n in range(30) for label, word in enumerate(("good fine", "bad poor"))]
    (tmp_path / "a.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = Text(f"tsv:{tmp_path / 'a.tsv'}", batch=8, tokenizer="char", length=24, validation=0.2)
    small = {"depth": 1, "heads": 2, "width": 16}
    setup = assemble(dataclasses.replace(SMALL, model=Model("bert_tiny", small), data=data))
    means, counts = setup.evaluator("validation", None).confuse(setup.task.init(jax.random.key(0)))
    assert counts.shape == (2, 2)
    assert counts.sum() == means["count"]


def test_classes_and_confusions_by_hand() -> None:
    counts = np.array([[8, 2, 0], [3, 1, 0], [0, 0, 0]])
    found = Confusion(counts, ("a", "b", "none"))
    np.testing.assert_array_equal(found.examples, [10, 4, 0])
    np.testing.assert_array_equal(found.accuracy, [0.8, 0.25, np.nan])
    assert found.worst(5) == [1, 0]
    assert found.commonest(1) == [(1, 0, 3)]
    assert found.commonest(9) == [(1, 0, 3), (0, 1, 2)]
    twice = added([counts, counts], found.names, 2)
    np.testing.assert_array_equal(twice.examples, found.examples)
    np.testing.assert_array_equal(twice.accuracy, found.accuracy)


def test_of_a_sweep_only_the_best_setting_is_added() -> None:
    members = [Member(seed, {"optim.lr": lr}) for lr in (1.0, 2.0) for seed in (0, 1)]
    matrices = [np.full((2, 2), number) for number in range(4)]
    classes = shown.Classes(("a", "b"), members, {"test": matrices}, [2, 3])
    np.testing.assert_array_equal(classes.of("test").counts, np.full((2, 2), 5))
    assert classes.remark == "added over 2 seeds of the best setting"


def test_eval_of_folds_counts_every_training_example_once(folded: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["eval", str(folded.path)]) == 0
    printed = capsys.readouterr().out
    assert "confusion matrix on test" in printed
    assert "added over 2 folds" in printed
    content = json.loads((folded.samples / "confusion.json").read_text(encoding="utf-8"))
    labels = assemble(dataclasses.replace(SMALL, data=dataclasses.replace(SMALL.data, validation=0.0))).dataset.train
    assert content["splits"]["validation"]["examples"] == np.bincount(labels.arrays()["y"]).tolist()
    assert sum(content["splits"]["test"]["examples"]) == 359
    replicas = [np.array(own["confusion"]) for own in content["splits"]["test"]["replicas"]]
    np.testing.assert_array_equal(sum(replicas), content["splits"]["test"]["confusion"])
    summary = train.loop.run.read_summary(folded.path)
    for matrix, own in zip(replicas, summary.replicas, strict=True):
        assert matrix.diagonal().sum() / matrix.sum() == pytest.approx(own.test["accuracy"])
    for split in ("validation", "test"):
        with Image.open(folded.samples / f"confusion_{split}.png") as image:
            assert min(image.size) > 300


def test_eval_writes_into_another_folder_and_refuses_a_file(
    single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", str(single.path), "--out", str(tmp_path / "new")]) == 0
    names = {"confusion.json", "confusion_test.png", "confusion_validation.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    (tmp_path / "file").write_text("")
    assert cli.run(["eval", str(single.path), "--out", str(tmp_path / "file")]) == 2
    assert f"--out: {tmp_path / 'file'} is no folder" in capsys.readouterr().err


def test_where_nothing_can_be_written_the_figures_are_printed_all_the_same(
    single: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(single.path, tmp_path / "copy"))
    shutil.rmtree(copy / "samples")
    (copy / "samples").write_text("")
    assert cli.run(["eval", str(copy)]) == 0
    printed = capsys.readouterr()
    assert "accuracy of each class" in printed.out
    assert "--out FOLDER" in printed.err


@pytest.mark.parametrize("classes", [2, 20, 21, 100])
def test_the_terminal_shows_few_classes_whole_and_of_many_the_worst(
    classes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = np.eye(classes, dtype=int) * 1_000
    counts[1, 0] = 250
    names = tuple(f"[b]{number}$" for number in range(classes))
    found = shown.Classes(names, [Member(0, {})], {"test": [counts]}, [0])
    written = shown.write_classes(tmp_path, found, {"run": "a", "step": 3}, "a $ run")
    assert [path.name for path in written] == ["confusion.json", "confusion_test.png"]
    content = json.loads(written[0].read_text(encoding="utf-8"))
    assert content["classes"] == list(names)
    assert content["splits"]["test"]["confusion"] == counts.tolist()
    shown.print_classes(Console(width=80, markup=False), found, "confusion.json")
    printed = capsys.readouterr().out
    assert "80.00 %" in printed
    assert ("in full: the confusion matrix" in printed) == (classes > 2)
    assert ("all 100 classes" in printed) == (classes == 100)
    assert (f"[b]{classes - 1}$" in printed) == (classes <= 20)
    assert "250" in printed, "no number is cut"


def test_a_class_name_in_any_script_is_drawn_without_a_warning(tmp_path: Path) -> None:
    names = ("고양이", "$x", "a very long name of a class of animals")
    page = picture.draw(Confusion(np.eye(3, dtype=int), names), "a run", "a note")
    assert figures.write(page, tmp_path / "a.png").stat().st_size > 0


SEVERAL = """
import jax, numpy as np
from train.config import Data, Experiment, Model
from train.core import devices
from train.tasks.assemble import assemble
assert jax.device_count() == 4
setup = assemble(Experiment(Model("perceptron"), Data("digits", batch=32)))
state = setup.task.init(jax.random.key(0))
one, many = (setup.evaluator("test", mesh).confuse(state)[1] for mesh in (None, devices.make_mesh(32)))
np.testing.assert_array_equal(one, many)
assert one.sum() == 359
"""


@pytest.mark.slow
def test_on_several_devices_the_counts_are_those_of_one() -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", SEVERAL], env=environment, check=True, timeout=300)
