"""`csv:FILE`: tables of image files and of pixels, and one line, with its number, for each row that cannot be."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data import cache
from train.data.images import table
from train.data.images.catalog import load
from zoo.errors import UserError

X = np.random.default_rng(0).integers(0, 256, (40, 3, 3), np.uint8)
LABELS = [("odd", "even")[i % 2] for i in range(40)]
HEADER = "label," + ",".join(f"pixel{i}" for i in range(9))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "table.csv"


def rows(labels=LABELS) -> list[str]:
    return [",".join([str(label), *map(str, image.ravel())]) for label, image in zip(labels, X, strict=True)]


def load_of(file: Path, *lines: str, **fields: object):
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load(Data(f"csv:{file}", **fields))


def refused(file: Path, *lines: str) -> str:
    with pytest.raises(UserError) as raised:
        load_of(file, *lines)
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(file), "F").replace(str(file.parent), "D")


def files_of(split: bool = True) -> list[str]:
    lines = ["who,File,Label" + ",split" * split]
    for number, label in enumerate(LABELS):
        place = "test" if number >= 32 else "val" if number >= 24 else "train"
        lines.append(f'"Ann, B",images/{number}.png,{label}' + f",{place}" * split)
    return lines


def test_image_files_with_splits(file: Path) -> None:
    data = load_of(file, *files_of())
    assert data.class_names == ("even", "odd")
    for split, part in ((data.train, slice(0, 24)), (data.validation, slice(24, 32)), (data.test, slice(32, 40))):
        np.testing.assert_array_equal(split.arrays()["x"][..., 0], X[part])
        np.testing.assert_array_equal(split.arrays()["y"], [label == "odd" for label in LABELS[part]])


def test_image_files_without_splits_are_cut_and_brought_to_a_size(file: Path) -> None:
    data = load_of(file, *files_of(split=False), image_size=6)
    assert data.shape == (6, 6, 1)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    streamed = load_of(file, *files_of(split=False), placement="stream")
    assert not streamed.train.in_memory


@pytest.mark.parametrize("header", [HEADER, "label,1x1,1x2,1x3,2x1,2x2,2x3,3x1,3x2,3x3", None])
def test_a_table_of_pixels_as_mnist_is_passed_on(header: str | None, file: Path) -> None:
    data = load_of(file, *filter(None, [header]), *rows(labels=[10 + i % 2 - 8 * (i % 4 == 0) for i in range(40)]))
    assert data.class_names == ("2", "10", "11")  # sorted as numbers
    assert data.shape == (3, 3, 1)
    np.testing.assert_array_equal(data.train.store.x[..., 0], X)
    np.testing.assert_array_equal(data.train.store.y[:4], [0, 2, 1, 2])


def test_words_quotes_splits_and_an_archive(file: Path) -> None:
    lines = [
        f"split,{HEADER}",
        *(f'{"test" if i % 4 == 0 else "train"},"{row.replace(",", chr(34) + ",", 1)}' for i, row in enumerate(rows())),
    ]
    data = load_of(file, *lines)
    assert (len(data.train) + len(data.validation), len(data.test)) == (30, 10)
    np.testing.assert_array_equal(data.test.arrays()["x"][..., 0], X[::4])
    archive = file.with_suffix(".csv.gz")
    archive.write_bytes(gzip.compress(file.read_bytes()))
    np.testing.assert_array_equal(load(Data(f"csv:{archive}")).test.arrays()["y"], data.test.arrays()["y"])


def test_pixels_from_0_to_1(file: Path) -> None:
    shares = [
        ",".join([row.split(",")[0], *(f"{int(cell) / 255:.6f}" for cell in row.split(",")[1:])]) for row in rows()
    ]
    np.testing.assert_array_equal(load_of(file, HEADER, *shares).train.store.x[..., 0], X)


def test_a_table_is_parsed_once_and_again_when_it_changes(file: Path, monkeypatch) -> None:
    first = load_of(file, HEADER, *rows())
    [entry] = cache.entries()
    assert entry.holds == f"csv:{file}-pixels"
    with monkeypatch.context() as patch:
        patch.setattr(table.np, "loadtxt", lambda *_, **__: pytest.fail("it was parsed again"))
        again = load(Data(f"csv:{file}"))
    np.testing.assert_array_equal(first.train.store.x, again.train.store.x)
    changed = load_of(file, HEADER, *rows(labels=LABELS[::-1]))
    np.testing.assert_array_equal(changed.train.store.y, first.train.store.y[::-1])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["a,b", "c,d"],
            "F: its first line must be a header with the columns file and label, or label and pixels, not 'a",
        ),
        (
            ["file;label", "a;b"],
            "F: its first line must be a header with the columns file and label, or label and pixels",
        ),
        (["file,file,label"], "F: its header has two columns file: keep one"),
        (["label,name", "a,b"], "F: its header has neither a column file nor columns of pixels: 'label, name'"),
        ([HEADER + ",id"], "F has 10 columns besides label and split, which are no pixels of a square gray image"),
        ([HEADER], "F has no rows but its header"),
        (["file,label"], "F has no row of the split train, only its header"),
        (["file,label", "images/0.png,a", "images/x.png,b"], "F, line 3: there is no file D/images/x.png"),
        (["file,label", "images/0.png,a", "", "images/1.png"], "F, line 4: 1 columns, and its header has 2"),
        (["file,label", "images/0.png,"], "F, line 2: the column label is empty"),
        (["file,label", ",a"], "F, line 2: the column file is empty"),
        (["file,label", '"images/0.png,a'], "F, line 2: unexpected end of data"),
        (["file,label", "images/0.png,a", "images/1.png,a"], "csv:F has only one class, 'a': at least two are needed"),
        (["file,label", "images/0.png,a", "table.csv,b"], "F cannot be read as an image ("),
        (
            ["file,label,split", "images/0.png,a,trian"],
            "F, line 2: the split must be train, validation or test, not 'trian'",
        ),
        (["file,label,split", "images/0.png,a,test"], "F has no row of the split train, only test"),
        (
            ["file,label,split", "images/0.png,a,train", "images/0.png,c,train", "images/1.png,b,test"],
            "csv:F: test has the cl",
        ),
        ([HEADER, *rows(), "a,1,2,x,4,5,6,7,8,9"], "F, line 42: column 4 must be a number, not 'x'"),
        ([HEADER, *rows(), "a,1,2"], "F, line 42: 3 columns, and the first row has 10"),
        ([HEADER, "a,1,2"], "F, line 2: 3 columns, and its header has 10"),
        ([HEADER, *rows(), ",1,2,3,4,5,6,7,8,9"], "F, line 42: the column label is empty"),
        (
            [HEADER, *rows(), "a,1,2,3,4,5,6,7,8,256"],
            "F: pixels from 0 to 256, and whole numbers must be from 0 to 255",
        ),
        ([HEADER, *rows(), "a,1,2,3,4,5,6,7,8,nan"], "F: some pixels are not finite"),
        (
            [HEADER, *rows(), "a,-1,2,3,4,5,6,7,8,9"],
            "F: pixels from -1 to 255, and whole numbers must be from 0 to 255",
        ),
        (
            [f"{HEADER},split", *(f"{row},train" for row in rows()), "a,1,2,3,4,5,6,7,8,9,x"],
            "F, line 42: the split must be",
        ),
    ],
)
def test_a_row_that_cannot_be_is_one_line(lines: list[str], said: str, file: Path) -> None:
    assert refused(file, *lines).startswith(said)


def test_a_file_that_is_no_text(file: Path) -> None:
    for content, said in ((b"", "is empty"), (b"file,label\n\xe9,a\n", "is not UTF-8"), (b"\x89PNG\0", "is not text")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=said):
            load(Data(f"csv:{file}"))
    with pytest.raises(UserError, match=r"^csv:nowhere: there is no such file; expected a table with the columns file"):
        load(Data("csv:nowhere"))


def test_the_order_of_the_rows_decides_nothing(file: Path) -> None:
    """The test split is cut by a hash of each picture, as in all of the user's own data."""
    for kind in ("files", "pixels"):
        lines = files_of(split=False) if kind == "files" else [HEADER, *rows()]
        held_out = []
        for shown in (lines, [lines[0], *lines[:0:-1]]):
            test = load_of(file, *shown).test.arrays()["x"]
            held_out.append({x.tobytes() for x in test})
        assert held_out[0] == held_out[1]
