"""A run keeps what it needs of its data, and says or refuses what has changed in them since."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

import train.loop.run
from train import cli
from train.config import files
from train.data import record

SMALL = ("--steps", "4", "--eval-every-steps", "2", "--optim.warmup-steps", "0", "--model.widths", "8")


def fill(root: Path, name: str, first: int, count: int = 24) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng(first + i).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name / f"{i}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of images and a run on it that stopped half-way."""
    root = tmp_path_factory.mktemp("known") / "images"
    fill(root, "apple", 0)
    fill(root, "cherry", 100)
    workdir = root.parent / "runs"
    data = ("--data.name", f"folder:{root}", "--data.batch", "8")
    assert zoo("train", "digits_mlp", *data, *SMALL, "--workdir", workdir) == 0
    run = train.loop.run.load(next(workdir.iterdir()))
    return root, run.path


@pytest.fixture
def own(made: tuple[Path, Path]):
    """The same, put back as it was after the test."""
    root, run = made
    copies = [shutil.copytree(path, path.parent / f"{path.name}_copy") for path in made]
    yield root, run
    for path, copy in zip(made, copies, strict=True):
        shutil.rmtree(path, ignore_errors=True)
        copy.rename(path)


def zoo(*command: object) -> int:
    return cli.run([str(word) for word in command])


def test_the_record_is_in_the_run(made) -> None:
    root, run = made
    known = record.read(run)
    assert known is not None
    assert (known.class_names, known.shape, known.name) == (("apple", "cherry"), (8, 8, 1), f"folder:{root}")
    assert sum(part.examples for part in known.splits.values()) == 48
    assert "Pillow" in known.decoder


def test_predict_and_export_need_no_data_and_keep_their_classes(own, capsys: pytest.CaptureFixture) -> None:
    root, run = own
    picture = root / "cherry" / "3.png"
    assert zoo("predict", str(picture), "--weights", str(run)) == 0
    before = capsys.readouterr().out
    fill(root, "banana", 200)
    assert zoo("predict", str(picture), "--weights", str(run)) == 0
    assert capsys.readouterr().out == before
    assert "banana" not in before
    elsewhere = shutil.copy(picture, run / "picture.png")
    shutil.rmtree(root)
    assert zoo("predict", str(elsewhere), "--weights", str(run)) == 0
    assert capsys.readouterr().out.replace(str(elsewhere), str(picture)) == before
    assert zoo("export", str(run), str(run / "w.safetensors")) == 0
    with safe_open(run / "w.safetensors", "np") as file:
        assert "banana" not in json.dumps(file.metadata())
        assert "cherry" in json.dumps(file.metadata())


def test_other_classes_are_refused(own, capsys: pytest.CaptureFixture) -> None:
    root, run = own
    fill(root, "banana", 200)
    (run / "summary.json").unlink()  # as if it had been killed before
    for command in (("eval", run), ("train", "--resume", run), ("probe", run), ("ensemble", run, run)):
        assert zoo(*command) == 2
        message = capsys.readouterr().err
        assert f"{run} was trained on the classes apple, cherry, and folder:{root} has apple, banana, cherry" in message


def test_more_images_are_said_and_the_moments_stay(own, capsys: pytest.CaptureFixture) -> None:
    root, run = own
    known = record.read(run)
    for i in range(24, 60):
        pixels = Image.new("L", (8, 8), 255)
        pixels.putpixel((0, 0), i)
        pixels.save(root / "apple" / f"{i}.png")
    assert zoo("eval", str(run)) == 0
    said = capsys.readouterr().err
    assert f"folder:{root} has changed since {run} was made: train has" in said
    from train.loop.restore import restore

    setup, _ = restore(train.loop.run.load(run))
    assert known is not None
    assert tuple(map(float, setup.dataset.mean)) == known.mean
    (run / "summary.json").unlink()
    assert zoo("train", "--resume", run) == 2
    assert f"{run} cannot go on: train has" in capsys.readouterr().err


def test_a_run_of_before_has_no_record_and_is_read_as_it_was(own, capsys: pytest.CaptureFixture) -> None:
    root, run = own
    (run / record.FILE).unlink()
    config = json.loads((run / "config.json").read_text())
    for field in ("split_by", "mean", "std"):
        del config["data"][field]
    (run / "config.json").write_text(json.dumps(config))
    assert train.loop.run.load(run).experiment.data.split_by == "position"
    assert zoo("predict", str(root / "cherry" / "3.png"), "--weights", str(run)) == 0
    assert "cherry" in capsys.readouterr().out


def test_a_run_on_python_docs_of_before_is_read_by_position(tmp_path: Path) -> None:
    """Its config.json says hash, which was for the user's own text alone: documents were cut by position."""
    experiment = files.load("python_docs_lstm_char")
    run = train.loop.run.create("lstm", experiment, tmp_path)
    assert train.loop.run.load(run.path).experiment == experiment
    config = run.path / "config.json"
    content = json.loads(config.read_text())
    del content["format"]
    config.write_text(json.dumps(content))
    old = train.loop.run.load(run.path)
    assert old.experiment.data == dataclasses.replace(experiment.data, split_by="position")
    old.change(old.experiment, [])  # as --resume with another field does: it stays by position
    assert train.loop.run.load(run.path).experiment == old.experiment


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"splits": {}}', '{"name": "x", "splits": {"train": 3}}'])
def test_a_damaged_record_is_one_line(own, content: str, capsys: pytest.CaptureFixture) -> None:
    _, run = own
    (run / record.FILE).write_text(content)
    assert zoo("eval", run) == 2
    assert f"{run / record.FILE} is damaged" in capsys.readouterr().err
