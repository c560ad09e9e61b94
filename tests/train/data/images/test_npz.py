"""`npz:FILE`: arrays by their names, every kind of pixel and label, and one line for each array that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from train.config import Data
from train.data.images import npz
from train.data.images.catalog import load
from zoo.errors import UserError

X = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
Y = np.arange(40) % 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "set.npz"


def load_of(file: Path, fields: dict | None = None, **arrays: object):
    np.savez(file, **arrays)
    return load(Data(f"npz:{file}", **(fields or {})))


def refused(file: Path, **arrays: object) -> str:
    with pytest.raises(UserError) as raised:
        load_of(file, **arrays)
    assert "\n" not in str(raised.value)
    return str(raised.value).replace(str(file), "F")


def whole(data) -> np.ndarray:
    """All images of the training split's store."""
    return data.train.store.x


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (X, (6, 5, 1)),
        (X[..., None], (6, 5, 1)),
        (np.repeat(X[..., None], 3, 3), (6, 5, 3)),
        (X / 255, (6, 5, 1)),
        ((X / 255).astype(np.float16), (6, 5, 1)),
        (X.astype(np.int64), (6, 5, 1)),
    ],
)
def test_every_kind_of_pixels_is_the_same_image(x: np.ndarray, shape: tuple, file: Path) -> None:
    data = load_of(file, x=x, y=Y)
    assert data.shape == shape
    np.testing.assert_array_equal(whole(data)[..., 0], X)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert data.class_names == ("0", "1", "2", "3")
    assert data.remarks == ()


def test_floats_between_the_values_of_bytes_are_rounded_and_said(file: Path) -> None:
    halves = np.full((40, 2, 2), 0.5)
    halves[:, 0, 0] = np.arange(40) / 255
    data = load_of(file, x=halves, y=Y)
    assert set(whole(data)[:, 1].ravel().tolist()) == {128}
    assert data.remarks == (f"{file}: x: some pixels lie between the 256 values of 8 bits, and are rounded",)
    assert set(whole(load_of(file, x=X > 127, y=Y)).ravel().tolist()) == {0, 255}


@pytest.mark.parametrize(
    "name",
    ["{split}_x {split}_y", "x_{split} y_{split}", "{split}_images {split}_labels", "{split}_image {split}_label"],
)
@pytest.mark.parametrize("validation", ["validation", "val", "valid"])
def test_splits_by_the_names_of_the_arrays(name: str, validation: str, file: Path) -> None:
    arrays = {}
    for split, part in (("train", slice(0, 24)), (validation, slice(24, 32)), ("test", slice(32, 40))):
        images, labels = name.format(split=split).split()
        arrays |= {images: X[part], labels: Y[part, None]}
    data = load_of(file, **arrays)
    for split, first in ((data.train, 0), (data.validation, 24), (data.test, 32)):
        np.testing.assert_array_equal(split.arrays()["x"][0, ..., 0], X[first])


def test_words_are_classes_and_names_can_be_given(file: Path) -> None:
    words = np.array(["cow", "ant", "bee", "dog"])[Y]
    data = load_of(file, x=X, y=words)
    assert data.class_names == ("ant", "bee", "cow", "dog")
    np.testing.assert_array_equal(data.train.store.y[:4], [2, 0, 1, 3])
    assert load_of(file, x=X, y=words.astype("S")).class_names == data.class_names
    data = load_of(file, x=X, y=Y, classes=np.array(["d", "c", "b", "a", "unused"]))
    assert data.class_names == ("d", "c", "b", "a", "unused")
    np.testing.assert_array_equal(data.train.store.y, Y)
    assert load_of(file, x=X, y=Y.astype(float)).class_names == ("0", "1", "2", "3")


def test_images_are_brought_to_the_size_that_is_asked_for(file: Path) -> None:
    fields = {"image_size": 8, "fit": "pad"}
    data = load_of(file, fields, train_x=X, train_y=Y, test_x=X[:, :4], test_y=Y)
    assert data.shape == (8, 8, 1)
    np.testing.assert_array_equal(data.test.arrays()["x"][:, 2:6, 1:6, 0], X[:, :4])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "F has x and no labels of train; it has x"),
        ({"foo": X}, "F needs the arrays x and y, images and labels, or train_x, train_y, test_x, test_y; it has foo"),
        ({"test_x": X, "test_y": Y}, "F needs the arrays x and y"),
        ({"x": X, "images": X, "y": Y}, "F has two arrays for the images of train: x and images"),
        (
            {"x": X / 100, "y": Y},
            "F: x: pixels from 0 to 2.55, and floats must be from 0 to 1: divide them by 255, or ",
        ),
        ({"x": X / 127.5 - 1, "y": Y}, "F: x: pixels from -1 to 1, and floats must be from 0 to 1"),
        ({"x": X.astype(int) * 2, "y": Y}, "F: x: pixels from 0 to 510, and whole numbers must be from 0 to 255"),
        ({"x": np.full((40, 2, 2), np.nan), "y": Y}, "F: x: some pixels are not finite"),
        ({"x": X.astype(complex), "y": Y}, "F: x is of the type complex128: pixels are uint8, or floats from 0 to 1"),
        ({"x": X[:, 0], "y": Y}, "F: x has the shape (40, 5): images are (N, height, width) or (N, height, width, ch"),
        ({"x": X[:0], "y": Y[:0]}, "F: x has the shape (0, 6, 5): images are"),
        (
            {"x": X[:, None].repeat(3, 1), "y": Y},
            "F: x has 5 channels (shape (40, 3, 6, 5)): images have 1, 3 or 4; chan",
        ),
        ({"x": X, "y": Y[:5]}, "F: y has the shape (5,), and there are 40 images: expected (40,)"),
        ({"x": X, "y": np.eye(4)[Y]}, "F: y has 4 numbers for each image: one class is needed, as argmax(axis=1)"),
        ({"x": X, "y": Y + 0.5}, "F: y is of the type float64: labels are whole numbers or words"),
        ({"x": X, "y": Y - 1}, "npz:F: train has the label -1: classes are numbered from 0"),
        ({"x": X, "y": Y * 10**12}, "npz:F: train has the label 3000000000000: classes are numbered from 0 to 99,999"),
        ({"x": X, "y": Y * 0}, "npz:F has only one class, '0': at least two are needed"),
        (
            {"x": X, "y": Y, "classes": np.array(["a", "b"])},
            "npz:F: train has the label 3: classes are numbered from 0 to 1",
        ),
        ({"x": X, "y": Y, "classes": np.array(["a", "a"])}, "F: the array of class names must be (classes,) different"),
        (
            {"train_x": X, "train_y": Y, "test_x": X[:, :4], "test_y": Y},
            "npz:F: its splits differ in the shape of an imag",
        ),
        (
            {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y.astype(str)},
            "npz:F: the labels of one split are words",
        ),
        (
            {"train_x": X, "train_y": (Y % 2).astype(str), "test_x": X, "test_y": Y.astype(str)},
            "npz:F: test has the class",
        ),
        (
            {"x": X, "y": np.array([object()] * 40)},
            "F cannot be read as arrays (it holds Python objects, which are pickles",
        ),
    ],
)
def test_an_array_that_cannot_be_is_one_line(arrays: dict, said: str, file: Path) -> None:
    assert refused(file, **arrays).startswith(said)


@pytest.mark.parametrize("harm", ["text", "cut", "flip", "npy"])
def test_a_damaged_file_is_one_line(harm: str, file: Path) -> None:
    np.savez_compressed(file, x=X, y=Y)
    content = bytearray(file.read_bytes())
    content[200] ^= 0xFF
    if harm == "npy":
        with file.open("wb") as stream:
            np.save(stream, X)
    else:
        file.write_bytes({"text": b"hello", "cut": content[:-300], "flip": content}[harm])
    with pytest.raises(UserError, match=r"set\.npz (is no npz file, or damaged|cannot be read as arrays) \("):
        load(Data(f"npz:{file}"))


def test_what_does_not_fit_into_memory_is_not_unpacked(file: Path, monkeypatch) -> None:
    np.savez_compressed(file, x=np.zeros((40, 512, 512), np.uint8), y=Y)
    monkeypatch.setattr(npz.machine, "host_memory_free", lambda: 16 << 20)
    monkeypatch.setattr(npz.np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(UserError, match=r"holds 0\.0098 GiB of arrays, more than 1/4 of the free memory"):
        load(Data(f"npz:{file}"))


@pytest.mark.parametrize("path", ["", "nowhere.npz", "/"])
def test_no_file(path: str) -> None:
    with pytest.raises(UserError, match=f"^npz:{path}: there is no such file; expected an .npz of arrays"):
        load(Data(f"npz:{path}"))
