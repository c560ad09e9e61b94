"""`zoo data show` and `zoo data export scenes`."""

import csv
import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train.data
from train import cli
from train.config import Data, Scenes
from train.data.scenes import sets


def test_a_sheet_shows_labelled_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["data", "show", "scenes", "--preset", "easy", "--n", "7", "--split", "test"]) == 0
    assert capsys.readouterr().out == (
        "scenes_test.png: 7 of 5,026 test images of scenes 1-easy-16px-split0, 16x16x1, 10 classes\n"
    )
    with Image.open("scenes_test.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (96 + 19 + 2 + 2, 7 * 98 + 2, 3)
    strip = pixels[99:117]  # the names
    assert (strip.min(axis=(0, 2)) < 128).any()
    assert cli.run(["data", "show", "digits", "--out", "d.png"]) == 0
    assert "d.png: 40 of 1,295 train images of digits 1998, 8x8x1, 10 classes" in capsys.readouterr().out


def test_examples_of_text_are_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mood.tsv").write_text("good film\tyes\n[bold]bad\tno\n" * 4, encoding="utf-8")
    assert cli.run(["data", "show", f"tsv:{tmp_path / 'mood.tsv'}", "--n", "2"]) == 0
    out = capsys.readouterr().out
    assert "good film" in out
    assert "[bold]bad" in out  # what a text says is no markup
    assert "yes" in out
    assert cli.run(["data", "show", "dates/en-ko", "--n", "2"]) == 0
    assert "2 of " in capsys.readouterr().out
    assert cli.run(["data", "show", "python_docs", "--n", "1"]) == 0
    assert "1 of " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("show", "needs a NAME first"),
        ("show scenez", "unknown data set 'scenez': did you mean scenes"),
        ("show scenes --size 8", "data.size must be at least 16 pixels, not 8"),
        ("show scenes --preset hrd", "unknown preset of scenes 'hrd': did you mean hard?"),
        ("show scenes/detect", "unknown view of scenes 'detect'"),
        ("show digits --preset hard", "--preset is for scenes, and this is digits"),
        ("show scenes --data.preset hard", "Unrecognized options: --data.preset, hard: did you mean --preset?"),
        ("export scenes --to HERE/new --data.size 20", "--data.size, 20: did you mean --size?"),
        ("show digits --n 0", "--n must be from 1 to 1,000, not 0"),
        ("show digits --out HERE", "--out must name a .png file"),
        ("show digits --out HERE/nowhere/a.png", "--out: there is no folder"),
        ("show digits --split nosuch", "nosuch"),
        ("show CartPole-v1", "CartPole-v1 is an environment, which has no examples"),
        ("show atari/pong", "atari/pong is an environment, which has no examples"),
        ("show python_docs --split test", "python_docs has no test split of its own, only train"),
        ("show python_docs --out HERE/a.png", "--out is for images"),
        ("show folder:HERE/nowhere", "there is no such folder"),
        ("show text:HERE/nowhere", "nowhere"),
        ("export scenes", "--to"),
        ("export digits --to HERE/new", "only scenes are exported, and this is digits"),
        ("export scenes --to HERE", "is a folder that exists already"),
        ("export scenes --to HERE/file", "is a file that exists already"),
        ("export scenes --to HERE/file/new", "is a file, so"),
        ("export scenes --to HERE/new --images 0", "data.images must be at least 1, not 0"),
        ("export scenes --to HERE/new --pieces 99", "data.pieces must be from 0 to 5, not 99"),
        ("export scenes --to HERE/new --preset hardd", "unknown preset of scenes 'hardd': did you mean hard?"),
        ("export scenes --to HERE/new --size 12", "data.size must be at least 16 pixels, not 12"),
        ("export scenes --to HERE/new --validation 1.5", "data.validation must be at least 0 and below 1, not 1.5"),
    ],
)
def test_bad_input_is_one_line(words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    assert cli.run(["data", *words.replace("HERE", str(tmp_path)).split()]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(errno.ENOSPC, "No space left on device"), 2), (KeyboardInterrupt(), 130)]
)
def test_an_export_that_stops_half_way_leaves_nothing(
    error: BaseException, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def save(image: Image.Image, file: Path) -> None:
        written.append(file)
        if len(written) == 3:
            raise error
        file.write_bytes(b"")

    monkeypatch.setattr(Image.Image, "save", save)
    (tmp_path / "file").write_text("kept")
    words = ["data", "export", "scenes", "--to", str(tmp_path / "a" / "b"), "--images", "5"]
    assert cli.run(words) == code
    said = f"zoo: cannot write {tmp_path / 'a' / 'b'}: No space left on device\n" if code == 2 else ""
    assert capsys.readouterr().err == said
    assert len(written) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_exported_scenes_read_back_as_the_same_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "SHOWN_EACH", 2)  # fewer files
    folder = tmp_path / "scenes"
    fields = {"images": 60, "preset": "hard", "validation": 0.01}
    words = ["--images", "60", "--preset", "hard", "--validation", "0.01"]
    assert cli.run(["data", "export", "scenes", "--to", str(folder), *words]) == 0
    assert "60 train, " in capsys.readouterr().out
    data, theirs = Scenes(**fields), train.data.load(Data(f"folder:{folder}"))
    ours = train.data.load(data)
    assert theirs.remarks == ()
    assert theirs.class_names == ours.class_names
    with (folder / "scenes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(ours.train) + len(ours.validation) + len(ours.test)
    for split in ("train", "validation", "test"):
        found = getattr(theirs, split)
        files = sorted((folder / split).glob("*/*.png"))  # a folder is read class by class
        order = np.argsort([int(file.stem) for file in files])
        read, made = found.arrays(), getattr(ours, split).arrays()
        np.testing.assert_array_equal(read["x"][order], made["x"])
        np.testing.assert_array_equal(read["y"][order], made["y"])
        scene, own = sets.composed(data, split), [row for row in rows if row["split"] == split]
        assert [int(row["glyph"]) for row in own] == scene.glyph.tolist()
        np.testing.assert_array_equal(found.groups[order], getattr(ours, split).groups)
        assert [[int(word) for word in row["pieces"].split()] for row in own] == scene.pieces.tolist()
        np.testing.assert_allclose(
            [float(own[-1][name]) for name in ("xx", "xy", "x0")], scene.affine[-1, 0], atol=1e-6
        )
    np.testing.assert_array_equal(theirs.mean, ours.mean)
    np.testing.assert_array_equal(theirs.std, ours.std)
    table = train.data.load(Data(f"csv:{folder / 'scenes.csv'}"))
    np.testing.assert_array_equal(table.test.arrays()["y"], ours.test.arrays()["y"])
    np.testing.assert_array_equal(table.test.groups, ours.test.groups)
    for file, words in {
        "README.md": ("composed from real digits", "1998", "718", "bootstrap", "13 persons"),
        "LICENSE": ("CC BY 4.0", "Alpaydin"),
    }.items():
        text = (folder / file).read_text(encoding="utf-8")
        assert all(word in text for word in words)
    with (folder / "glyphs.csv").open(encoding="utf-8", newline="") as file:
        kinds = [row["split"] for row in csv.DictReader(file)]
    assert (len(kinds), kinds.count("test")) == (1797, 359)
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]
