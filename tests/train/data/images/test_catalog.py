from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from train.config import Data
from train.data.images import catalog
from train.data.images.catalog import load
from train.data.split import Dataset
from zoo.errors import UserError


def rows(split: object) -> set[bytes]:
    return {x.tobytes() + bytes([y]) for x, y in zip(*split.arrays().values(), strict=True)}


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), load(Data("digits"))
    assert (len(ours.train), len(ours.validation), len(ours.test)) == (1295, 143, 359)
    whole = catalog.find(Data("digits")).stores["train"]
    np.testing.assert_array_equal(whole.x[..., 0], np.round(theirs.images * 255 / 16))
    np.testing.assert_array_equal(whole.y, theirs.target)
    assert ours.shape == (8, 8, 1)
    assert ours.classes == 10
    assert whole.x.max() == 255


def test_splits_are_disjoint_fixed_and_stratified() -> None:
    data = load(Data("digits"))
    parts = data.train, data.validation, data.test
    indices = np.concatenate([part.indices for part in parts])
    np.testing.assert_array_equal(np.sort(indices), np.arange(1797))
    everything = np.bincount(catalog.find(Data("digits")).stores["train"].y)
    for part, share in zip(parts, (0.72, 0.08, 0.2), strict=True):
        assert np.abs(np.bincount(part.arrays()["y"]) - share * everything).max() < 2
    # These very examples: the cut may never change, or runs of different days cannot be compared.
    assert data.test.indices[:8].tolist() == [12, 14, 19, 23, 24, 29, 40, 50]
    assert data.validation.indices[:8].tolist() == [28, 30, 60, 66, 70, 134, 135, 143]


def test_test_split_depends_on_nothing_and_validation_on_its_seed_only() -> None:
    first, other = load(Data("digits")), load(Data("digits", validation=0.3, split_seed=7, image_size=10))
    np.testing.assert_array_equal(first.test.indices, other.test.indices)
    reseeded = load(Data("digits", split_seed=1))
    assert set(reseeded.validation.indices) != set(first.validation.indices)
    assert len(load(Data("digits", validation=0)).validation) == 0
    assert len(load(Data("digits", validation=0)).train) == 1438


def test_few_labels_are_a_fixed_share_of_each_class() -> None:
    whole, few = load(Data("digits")), load(Data("digits", labels=0.1))
    assert set(few.train.indices) < set(whole.train.indices)
    share = 0.1 * np.bincount(whole.train.arrays()["y"])
    assert np.abs(np.bincount(few.train.arrays()["y"]) - share).max() < 1
    for name in ("validation", "test"):
        np.testing.assert_array_equal(getattr(few, name).indices, getattr(whole, name).indices)
    np.testing.assert_array_equal(few.mean, whole.mean)  # which need no labels
    np.testing.assert_array_equal(few.train.indices, load(Data("digits", labels=0.1)).train.indices)
    assert set(load(Data("digits", labels=0.1, split_seed=1)).train.indices) != set(few.train.indices)


def test_labels_too_few_for_a_class_are_one_line() -> None:
    with pytest.raises(
        UserError, match=r"^digits: data.labels=0.004 leaves no example of class '\d' \(of 1\d\d training"
    ):
        load(Data("digits", labels=0.004))
    for share in (0.0, 1.5, -0.1):
        with pytest.raises(UserError, match=rf"^data.labels={share}: must be above 0 and at most 1$"):
            load(Data("digits", labels=share))


def test_statistics_are_those_of_the_training_split(make: Callable) -> None:
    make()
    data = load(Data("tiny"))
    x = data.train.arrays()["x"] / 255
    np.testing.assert_allclose(data.mean, x.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, x.std((0, 1, 2)), rtol=1e-6)
    assert data.mean.dtype == data.std.dtype == np.float32
    assert data.mean.shape == (3,)


def test_images_are_brought_to_a_size() -> None:
    plain, padded = load(Data("digits")), load(Data("digits", image_size=11, fit="pad"))
    x = padded.test.arrays()["x"]
    assert x.shape == (359, 11, 11, 1)
    np.testing.assert_array_equal(x[:, 1:9, 1:9], plain.test.arrays()["x"])
    assert x.sum(dtype=int) == plain.test.arrays()["x"].sum(dtype=int)
    resized = load(Data("digits", image_size=16))
    assert resized.shape == resized.test.arrays()["x"].shape[1:] == (16, 16, 1)
    assert abs(resized.mean[0] - plain.mean[0]) < 0.01


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"validation": 1.0}, "data.validation=1.0: must be at least 0 and below 1"),
        ({"split_seed": -1}, "data.split_seed=-1: must not be negative"),
        ({"image_size": 0}, "data.image_size=0: must be at least 1 pixel"),
        ({"image_size": 7, "fit": "pad"}, "8x8 does not fit into data.image_size=7"),
        ({"name": "digitz"}, "unknown data set 'digitz': did you mean digits"),
        ({"name": "cifar10"}, "cifar10 is not prepared in .*: run `zoo data prepare cifar10`"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(fields: dict, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        load(Data(**{"name": "digits"} | fields))
    assert "\n" not in str(raised.value)


def sizes(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def test_roles_of_splits(make: Callable) -> None:
    _, both = make("both", {"train": 20, "validation": 6, "test": 5})
    data = load(Data("both"))
    assert sizes(data) == (20, 6, 5)
    np.testing.assert_array_equal(data.validation.arrays()["x"], both["validation"][0])
    assert sizes(load(Data("both", validation=0))) == (20, 0, 5)
    _, contest = make("contest", {"train": 20, "validation": 6, "test": 5}, unlabelled=("test",))
    data = load(Data("contest", validation=0.25))
    assert sizes(data) == (15, 5, 6)
    np.testing.assert_array_equal(data.test.arrays()["x"], contest["validation"][0])
    make("alone", {"train": 20})
    assert sizes(load(Data("alone", validation=0.25))) == (12, 4, 4)
    make("few", {"train": 3})
    with pytest.raises(UserError, match="few: no examples are left for test"):
        load(Data("few"))
    make("untrained", {"test": 20})
    with pytest.raises(UserError, match="untrained has no train split, only test"):
        load(Data("untrained"))
    make("strange", {"train": 20, "test": 5}, unlabelled=("train",))
    with pytest.raises(UserError, match=r"strange: its train split has labels outside 0\.\.2"):
        load(Data("strange"))


def test_a_set_too_large_for_memory_is_read_when_asked_for(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    _, content = make()
    held = load(Data("tiny", validation=0))
    monkeypatch.setattr(catalog, "IN_MEMORY", 0)
    lazy = load(Data("tiny", validation=0))
    assert held.train.in_memory
    assert not lazy.train.in_memory
    assert lazy.train.nbytes == held.train.nbytes == 40 * (5 * 4 * 3 + 4)
    np.testing.assert_array_equal(lazy.mean, held.mean)
    for split in ("train", "test"):
        np.testing.assert_array_equal(getattr(lazy, split).arrays()["x"], content[split][0])
    source = lazy.train.source()
    assert len(source) == 40
    np.testing.assert_array_equal(source[39]["x"], content["train"][0][39])
    assert source[39]["y"] == content["train"][1][39]
    with pytest.raises(IndexError):
        source[40]
    cut = load(Data("tiny", validation=0.25))
    assert sizes(cut) == (30, 10, 10)
    assert not rows(cut.train) & rows(cut.validation)


@pytest.mark.slow
def test_mnist(real_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(real_sets))
    assert "mnist" in catalog.names()
    data = load(Data("mnist", validation=0))
    assert sizes(data) == (60_000, 0, 10_000)
    assert data.shape == (28, 28, 1)
    assert data.version == "3.0.1"
    arrays = data.train.arrays()
    assert arrays["y"][:10].tolist() == [4, 1, 0, 7, 8, 1, 2, 7, 1, 6]
    assert np.bincount(arrays["y"]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_allclose([data.mean[0], data.std[0]], [0.1307, 0.3081], atol=5e-5)
    cut = load(Data("mnist"))
    assert sizes(cut) == (54_000, 6_000, 10_000)
    assert np.abs(np.bincount(cut.validation.arrays()["y"]) - np.bincount(arrays["y"]) / 10).max() < 1.01
