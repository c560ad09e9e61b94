"""`data.wrong_labels`: labels of the training split that are wrong on purpose."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.config import Data, Scenes
from train.data.images import catalog
from train.data.images.wrong_labels import mislabelled
from train.data.split import Arrays, Split
from zoo.errors import UserError

RIGHT = Data("digits", labels=0.5)
WRONG = dataclasses.replace(RIGHT, wrong_labels=0.2)


def labels(split: Split) -> np.ndarray:
    return split.batch(np.arange(len(split)))["y"]


@pytest.fixture(scope="module")
def pair():
    return catalog.load(RIGHT), catalog.load(WRONG)


def test_a_fifth_of_the_training_labels_is_wrong_and_nothing_else_changes(pair) -> None:
    right, wrong = pair
    before, after = labels(right.train), labels(wrong.train)
    assert np.sum(before != after) == round(0.2 * len(before))
    assert after.min() >= 0
    assert after.max() <= 9
    np.testing.assert_array_equal(right.train.arrays()["x"], wrong.train.arrays()["x"])
    for split in ("validation", "test"):
        np.testing.assert_array_equal(labels(getattr(right, split)), labels(getattr(wrong, split)))
    np.testing.assert_array_equal(right.mean, wrong.mean)


def test_the_same_seed_draws_the_same_labels_and_another_one_others(pair) -> None:
    again = catalog.load(WRONG)
    np.testing.assert_array_equal(labels(pair[1].train), labels(again.train))
    split = Split(Arrays(np.zeros((100, 1, 1, 1), np.uint8), np.zeros(100, np.int32)), np.arange(100))
    first, second = (labels(mislabelled(split, 0.5, 10, seed, "it")) for seed in (0, 1))
    assert np.any(first != second)


def test_every_other_class_is_as_likely() -> None:
    count = 90_000
    split = Split(Arrays(np.zeros((count, 1, 1, 1), np.uint8), np.full(count, 3, np.int32)), np.arange(count))
    found = np.bincount(labels(mislabelled(split, 0.9, 10, 0, "it")), minlength=10)
    assert found[3] == count // 10
    assert np.all(np.abs(np.delete(found, 3) - 9_000) < 5 * np.sqrt(9_000))


def test_a_set_read_from_files_has_the_labels_of_one_in_memory(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for name in ("ant", "bee", "cat"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(draws.integers(0, 255, (4, 4), np.uint8)).save(tmp_path / "images" / name / f"{number}.png")
    held = catalog.load(Data(f"folder:{tmp_path}/images", wrong_labels=0.5))
    streamed = catalog.load(Data(f"folder:{tmp_path}/images", wrong_labels=0.5, placement="stream"))
    plain = catalog.load(Data(f"folder:{tmp_path}/images", placement="stream"))
    np.testing.assert_array_equal(labels(held.train), labels(streamed.train))
    store = streamed.train.store
    assert not streamed.train.in_memory
    assert np.sum(labels(streamed.train) != labels(plain.train)) == round(0.5 * len(plain.train))
    assert store.digest(streamed.train.indices) != plain.train.store.digest(plain.train.indices)
    assert store.fingerprint() != plain.train.store.fingerprint()
    np.testing.assert_array_equal(store.labels()[streamed.train.indices], labels(streamed.train))


def test_what_has_no_two_classes_or_no_fixed_examples_is_refused() -> None:
    split = Split(Arrays(np.zeros((4, 1, 1, 1), np.uint8), np.zeros(4, np.int32)), np.arange(4))
    with pytest.raises(UserError, match=r"no two classes: data.wrong_labels=0.5 needs them"):
        mislabelled(split, 0.5, 1, 0, "ones")
    with pytest.raises(UserError, match=r"must be at least 0 and below 1"):
        catalog.load(Data("digits", wrong_labels=1.0))
    with pytest.raises(UserError, match=r"data.fold with data.wrong_labels: folds are held out"):
        catalog.load(Data("digits", fold=(0, 5), wrong_labels=0.1))
    with pytest.raises(UserError, match=r"data.wrong_labels=0.1 needs training scenes that are made once"):
        catalog.load(Scenes("scenes", images=None, wrong_labels=0.1))
