"""`zoo predict` of many images: the rows that it writes, broken files among them, and what it refuses."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from train import cli
from train.commands import predict_images
from train.inference.files import Answer, answers
from zoo.errors import UserError

NAMES = ["a.png", "=1+1.png", "comma,.png", "inside/b.PNG", *['quote".png'] * (os.name != "nt")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("runs")
    args = "train digits_mlp --steps 2 --eval-every-steps 2 --optim.warmup-steps 0 --model.widths 8"
    assert cli.run([*args.split(), "--workdir", str(workdir)]) == 0
    return workdir / "digits_mlp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, pixels in zip(NAMES, load_digits().images, strict=False):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(file, format="png")
    (tmp_path / "images" / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "images" / "notes.txt").write_text("left out", encoding="utf-8")
    return tmp_path / "images"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_has_a_row_for_each_image_and_a_broken_one_stops_nothing(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, also = tmp_path / "p.csv", tmp_path / "p.JSON"
    assert cli.run(["predict", str(folder), "--weights", str(run), "--out", str(out), "--top=2", "--batch=4"]) == 0
    said = capsys.readouterr()
    assert said.err.count("broken.jpg cannot be read as an image") == 1
    assert "1 file without the ending of an image left out (1 .txt)" in said.err
    assert f"{out}: {len(NAMES) + 1} files, 1 of them with an error" in said.out
    rows = rows_of(out)
    assert list(rows[0]) == ["file", "class", "probability", "class_2", "probability_2", "error"]
    assert {row["file"] for row in rows} == {str(folder / name) for name in (*NAMES, "broken.jpg")}
    assert [bool(row["class"]) == (not row["error"]) for row in rows] == [True] * (len(NAMES) + 1)
    # Each row is what the image gets by itself, whatever stood beside it in its batch.
    for row in rows:
        if not row["error"]:
            assert cli.run(["predict", row["file"], "--weights", str(run), "--top=2"]) == 0
            first, second = (line.split() for line in capsys.readouterr().out.splitlines())
            assert (row["class"], row["class_2"]) == (first[0], second[0])
            assert 100 * float(row["probability"]) == pytest.approx(float(first[1]), abs=0.051)
    assert cli.run(["predict", str(folder), "--weights", str(run), "--out", str(also)]) == 0
    listed = json.loads(also.read_text(encoding="utf-8"))
    assert [row["file"] for row in listed] == [row["file"] for row in rows]
    best = [row["predictions"][0]["class"] if "predictions" in row else "" for row in listed]
    assert best == [row["class"] for row in rows]


def test_the_rows_that_are_finished_survive_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Any:
        yield Answer(Path("a.png"), np.array([0.0, 2.0]))
        raise KeyboardInterrupt

    monkeypatch.setattr(predict_images, "_answers", stopped)
    out = tmp_path / "p.csv"
    loaded: Any = None
    with pytest.raises(KeyboardInterrupt):
        predict_images.predict_images(loaded, [Path("a.png")] * 2, str, top=1, batch=1, out=out)
    [row] = rows_of(out)
    assert row == {"file": "a.png", "class": "1", "probability": "0.880797", "error": ""}


def test_every_batch_has_one_shape_and_the_order_is_that_of_the_files() -> None:
    shapes = []

    def apply(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x * 10

    def read(path: Path) -> np.ndarray:
        if path.name in ("2", "3", "4"):
            raise UserError(f"{path} is broken")
        return np.full(1, float(path.name), np.float32)

    found = list(answers(apply, read, [Path(str(number)) for number in range(7)], 3))
    assert set(shapes) == {(3, 1)}
    assert [own.output if own.output is None else float(own.output[0]) for own in found] == [
        *(0, 10, None, None, None, 50, 60)
    ]
    assert found[2].error == "2 is broken"


def test_outputs_that_are_no_classes_and_names_that_are_no_utf8(tmp_path: Path) -> None:
    name = "\udcff.png"  # what Python makes of the byte ff
    for out in (tmp_path / "a.csv", tmp_path / "a.json"):
        predict_images.write(out, [{"file": name, "outputs": [0.5, 1.5]}, {"file": "b", "error": "broken"}])
    assert (tmp_path / "a.csv").read_bytes() == b"file,output_0,output_1,error\n\xff.png,0.5,1.5,\nb,,,broken\n"
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))[0]["file"] == name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{folder} --out {tmp}/p.txt", "--out must end with .csv or .json, not 'p.txt'"),
        ("{folder} --out {tmp}/no/p.csv", "no folder"),
        ("{folder} --out {tmp}/taken.csv", "is a folder"),
        ("{tmp}/empty", "contains no images"),
        ("{folder}/a.png {folder}/none.png", "no image at"),
        ("two words", "no image at two"),
        ("{folder} --batch 0", "--batch must be at least 1, not 0"),
        ("{folder}/broken.jpg --out {tmp}/p.csv", "broken.jpg cannot be read as an image"),
        ("", "zoo predict needs an image, a folder of images or a text"),
    ],
)
def test_bad_input_is_one_line(
    line: str, said: str, run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken.csv").mkdir()

    assert cli.run(["predict", *line.format(folder=folder, tmp=tmp_path).split(), "--weights", str(run)]) == 2
    lines = [own for own in capsys.readouterr().err.splitlines() if "left out" not in own]
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "p.csv").exists()
