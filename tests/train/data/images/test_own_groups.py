"""Groups of the user's own images: how a set names them, that none is cut in two, and tables that are wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.config import Data
from train.data.images import groups
from train.data.images.catalog import load
from train.data.split import Dataset
from zoo.errors import UserError

X = np.random.default_rng(0).integers(0, 256, (60, 3, 3), np.uint8)
Y = np.arange(60) % 2
WORDS = [f"patient {i % 12}" for i in range(60)]  # each of one class
WRITERS = [i % 9 for i in range(60)]  # each of both classes
PLAIN_TEST = [5, 7, 13, 19, 21, 22, 29, 45, 51, 57]  # what was held out before there were groups


def write_folder(root: Path, names: list) -> str:
    root, lines = root / "set", ["group,file"]
    for number, image in enumerate(X):
        file = Path(f"{Y[number]}") / f"{number:02}.png"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / file)
        lines.append(f"{names[number]},{file.as_posix()}")
    (root / "groups.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"folder:{root}"


def write_npz(root: Path, names: list) -> str:
    np.savez(root / "set.npz", x=X, y=Y, group=np.array(names))
    return f"npz:{root / 'set.npz'}"


def write_table(root: Path, names: list) -> str:
    write_folder(root, names)
    lines = ["group,file,label", *(f"{names[i]},set/{Y[i]}/{i:02}.png,{Y[i]}" for i in range(60))]
    (root / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return f"csv:{root / 'table.csv'}"


def write_pixels(root: Path, names: list) -> str:
    header = ",".join(["label", *(f"pixel{i}" for i in range(9)), "group"])
    rows = [",".join([str(Y[i]), *map(str, X[i].ravel()), str(names[i])]) for i in range(60)]
    (root / "pixels.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return f"csv:{root / 'pixels.csv'}"


def groups_of(dataset: Dataset, names: list) -> dict[str, set]:
    """Split -> the groups whose images it has, told by their pixels."""
    known = {image.tobytes(): name for image, name in zip(X, names, strict=True)}
    found = {}
    for split in ("train", "validation", "test"):
        part = getattr(dataset, split)
        own = [known[image[..., 0].tobytes()] for image in part.arrays()["x"]]
        np.testing.assert_array_equal(part.groups, groups.numbered(list(map(str, own))))
        found[split] = set(own)
    return found


@pytest.mark.parametrize("names", [WORDS, WRITERS], ids=["words", "numbers"])
@pytest.mark.parametrize("write", [write_folder, write_npz, write_table, write_pixels])
def test_no_group_is_in_two_splits(write: Callable[[Path, list], str], names: list, tmp_path: Path) -> None:
    name = write(tmp_path, names)
    cuts = []
    for fields in ({}, {"split_by": "position"}, {"split_seed": 1}, {"placement": "stream"}):
        dataset = load(Data(name, validation=0.3, **fields))
        assert dataset.group_name == "groups"
        assert dataset.remarks == ()
        found = groups_of(dataset, names)
        assert all(found.values())
        assert sum(map(len, found.values())) == len(set(names))
        cuts.append(found)
    assert cuts[0] == cuts[3]
    assert cuts[0]["test"] == cuts[2]["test"]
    fold = groups_of(load(Data(name, fold=(1, 3))), names)
    assert not fold["train"] & fold["validation"]
    fewer = load(Data(name, labels=0.5))
    assert set(fewer.train.groups) <= set(load(Data(name)).train.groups)


def test_without_groups_every_set_is_cut_as_before(tmp_path: Path) -> None:
    name = write_folder(tmp_path, WORDS)
    grouped = load(Data(name))
    (tmp_path / "set" / "groups.csv").unlink()
    plain = load(Data(name))
    assert plain.test.groups is None
    assert plain.test.indices.tolist() != grouped.test.indices.tolist()
    assert plain.test.indices.tolist() == PLAIN_TEST


def test_groups_that_the_set_itself_has_in_two_splits_are_said(tmp_path: Path) -> None:
    split = {"train": slice(0, 30), "val": slice(30, 45), "test": slice(45, 60)}
    numbers = {"train": np.arange(30) % 10, "val": np.arange(15) % 2 + 9, "test": np.array([0, 9, *[20] * 13])}
    arrays = {f"{name}_{kind}": own[part] for name, part in split.items() for kind, own in (("x", X), ("y", Y))}
    np.savez(tmp_path / "set.npz", **arrays, **{f"{name}_group": own for name, own in numbers.items()})
    assert load(Data(f"npz:{tmp_path / 'set.npz'}")).remarks == (
        "2 groups are in train and in test: the test accuracy is not one of new groups",
        "1 group is in validation and in test: the test accuracy is not one of new groups",
    )


def test_a_number_stays_with_its_group_whatever_others_there_are() -> None:
    found = groups.numbered(["7", "-3", "007", "ann", "0", "7", "1" * 30])
    assert found.dtype == np.int64
    assert found[[0, 1, 4, 5]].tolist() == [7, -3, 0, 7]
    assert len(set(found.tolist())) == 6
    assert groups.numbered(["bob", "ann"])[1] == found[3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-2], "F has no row for 0/58.png, nor for 1 others: each image needs one"),
        (lambda lines: lines[:-1], "F has no row for 1/59.png: each image needs one"),
        (lambda lines: [*lines, "p,0/99.png"], "F, line 62: 0/99.png is no image of this set"),
        (lambda lines: [*lines, lines[3]], "F, line 62: 0/02.png stands in an earlier line already"),
        (lambda lines: [*lines[:-1], ",1/59.png"], "F, line 61: the column group is empty"),
        (lambda lines: [*lines[:-1], "p"], "F, line 61: 1 columns, and its header has 2"),
        (lambda lines: ["who,file", *lines[1:]], "F: its first line has no column group: it must name file and group"),
        (lambda lines: lines[1:], "F: its first line has no column file: it must name file and group"),
        (lambda lines: ["group,file,group"], "F: its first line has two columns group"),
        (lambda lines: [*lines[:-1], '"p,1/59.png'], "F, line 61: unexpected end of data"),
        (lambda lines: [""], "F is empty"),
    ],
)
def test_a_bad_table_is_one_line(change: Callable[[list[str]], list[str]], said: str, tmp_path: Path) -> None:
    name, table = write_folder(tmp_path, WORDS), tmp_path / "set" / "groups.csv"
    table.write_text("\n".join(change(table.read_text(encoding="utf-8").splitlines())), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load(Data(name))
    assert str(error.value).replace(str(table), "F").startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X, "y": Y, "group": WRITERS[:-1]}, "F: group has the shape (59,), and there are 60 images"),
        ({"x": X, "y": Y, "group": np.arange(60) / 2}, "F: group is of the type float64: groups are whole numbers or"),
        ({"x": X, "y": Y, "test_group": WRITERS}, "F has test_group and no images of test"),
        (
            {"x": X, "y": Y, "test_x": X, "test_y": Y, "test_group": WRITERS},
            "F has test_group and no groups of train",
        ),
        ({"x": X, "y": Y, "group": [5] * 60}, "npz:F: one group alone cannot be cut for test: give a test split"),
        (
            {"x": X, "y": Y, "group": [5] * 60, "test_x": X, "test_y": Y, "test_group": [6] * 60},
            "npz:F: one group alone cannot be cut for validation: give a validation split, or set data.validation=0",
        ),
    ],
)
def test_a_bad_array_of_groups_is_one_line(arrays: dict, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(UserError) as error:
        load(Data(f"npz:{tmp_path / 'set.npz'}"))
    assert str(error.value).replace(str(tmp_path / "set.npz"), "F").startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [write_table, write_pixels])
def test_a_row_of_a_table_without_its_group_is_one_line(write: Callable[[Path, list], str], tmp_path: Path) -> None:
    name = write(tmp_path, ["a"] * 60)
    file = Path(name.removeprefix("csv:"))
    text = file.read_text(encoding="utf-8")
    file.write_text(text[:-1] if text.endswith("a") else text.replace("\na,set/1/59", "\n,set/1/59"), encoding="utf-8")
    with pytest.raises(UserError, match="line 61: the column group is empty"):
        load(Data(name))


def test_more_folds_than_groups_are_refused(tmp_path: Path) -> None:
    name = write_npz(tmp_path, [i % 4 for i in range(60)])
    with pytest.raises(UserError, match="has 2 groups of training examples: not enough for 5 folds"):
        load(Data(name, fold=(0, 5)))
