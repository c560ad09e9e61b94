"""Scenes composed from real digits: their bytes, their glyphs, their labels, and how a run learns from them."""

import dataclasses
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train.data
from train.config import Data, Experiment, Model, Scenes
from train.data.scenes import compose, glyphs, presets, sets, source
from train.data.scenes.sets import Scene
from zoo.errors import UserError

HASHES = {
    "easy": "49816990c03933db00975814e686654f62ec55c55f3933c184e7bff545cb73e8",
    "medium": "13c66f2a46ce4851c42d32ecb7ff92c1c629a3ab4411f44d57edfdc0dd52dcb8",
    "hard": "578debcbe67d908f580afbbece766d70be772c0112f61591adf83a0661cce02c",
}
"""SHA-256 of the 5,026 test scenes of each preset: images, then labels. They never change under one VERSION."""


@pytest.fixture(scope="module")
def medium() -> dict[str, Scene]:
    data = Scenes(images=2_600)
    return {split: sets.composed(data, split) for split in sets.counts(data)}


@pytest.mark.parametrize("preset", HASHES)
def test_the_same_seed_gives_the_same_bytes_for_ever(preset: str) -> None:
    scene = sets.composed(Scenes(preset=preset), "test")
    assert (scene.image.dtype, scene.label.dtype) == (np.uint8, np.int32)
    assert hashlib.sha256(scene.image.tobytes() + scene.label.astype("<i4").tobytes()).hexdigest() == HASHES[preset]


def test_host_and_device_compose_the_same_scenes() -> None:
    preset = presets.PRESETS["hard"]
    held, stream = sets.tables(Scenes(preset="hard", size=20), "train")
    number = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    placement = compose.draw(np, held, preset, stream, number)
    image, _ = compose.render(np, held, placement, 20, preset.noise, (stream, number))
    device = source.new_scenes(Scenes(preset="hard", size=20, images=None), 4, None)
    batch = jax.jit(lambda number: device.feed({"number": number}, lambda batch: batch))(jnp.asarray(number))
    np.testing.assert_array_equal(batch["x"][..., 0], image)
    np.testing.assert_array_equal(batch["y"], held.label[placement.glyph[:, 0]])
    assert (batch["x"].dtype, batch["y"].dtype) == (jnp.uint8, jnp.int32)


def test_no_glyph_is_in_two_splits_whole_or_in_pieces(medium: dict[str, Scene]) -> None:
    whole = {split: set(scene.glyph.tolist()) for split, scene in medium.items()}
    used = {split: whole[split] | set(scene.pieces.ravel().tolist()) for split, scene in medium.items()}
    assert {split: len(numbers) for split, numbers in used.items()} == {"train": 1295, "validation": 143, "test": 359}
    assert not used["train"] & used["validation"]
    assert not (used["train"] | used["validation"]) & used["test"]
    assert used["test"] == set(train.data.load(Data("digits")).test.indices.tolist())
    for scene in medium.values():
        assert not (scene.pieces == scene.glyph[:, None]).any()  # pieces are of other digits


def test_the_digit_in_a_scene_is_the_glyph_that_it_says() -> None:
    """Taken back out of its scene, a digit looks more like its own glyph than like any other of all 1,797."""
    data = Scenes(preset="easy", images=300, pieces=0)
    every = glyphs.digits()
    known = _unit(every.x.reshape(len(every.x), -1))
    for split in ("train", "test"):
        scene = sets.composed(data, split)
        back = np.stack(
            [_taken_out(image[..., 0], affine) for image, affine in zip(scene.image[:300], scene.affine, strict=False)]
        )
        nearest = (_unit(back.reshape(len(back), -1)) @ known.T).argmax(axis=1)
        assert (nearest == scene.glyph[:300]).mean() > 0.97
        np.testing.assert_array_equal(every.y[scene.glyph], scene.label)


def _taken_out(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the picture of 8x8 that `affine` put into the image, each pixel interpolated between four."""
    v, u = np.mgrid[0.5:8, 0.5:8]
    x, y = (row[0] * u + row[1] * v + row[2] - 0.5 for row in affine)
    padded = np.pad(image.astype(float), 2, mode="edge")
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - column, y - row
    column, row = column.clip(-2, 16) + 2, row.clip(-2, 16) + 2
    return sum(
        padded[row + below, column + beside] * (down if below else 1 - down) * (right if beside else 1 - right)
        for below in (0, 1)
        for beside in (0, 1)
    )


def _unit(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_mask_is_where_the_digit_is(medium: dict[str, Scene]) -> None:
    bare = sets.composed(Scenes(preset="easy", pieces=0), "test")
    bright = bare.image[..., 0] > 127
    assert (bright & ~bare.mask).sum() < 0.01 * bare.mask.sum()
    assert 20 < bare.mask.sum(axis=(1, 2)).mean() < 90
    assert not bare.mask[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert medium["test"].mask.any(axis=(1, 2)).all()


def test_all_of_the_ink_is_inside_and_everywhere() -> None:
    scene = sets.composed(Scenes(preset="medium"), "test")
    preset = presets.PRESETS["medium"]
    ink = glyphs.digits().x[scene.glyph, ..., 0] > 0
    first, last = ink.any(axis=1).argmax(axis=1), 8 - ink.any(axis=1)[:, ::-1].argmax(axis=1)
    top, bottom = ink.any(axis=2).argmax(axis=1), 8 - ink.any(axis=2)[:, ::-1].argmax(axis=1)
    corners = np.array([[(x, y, np.ones(len(x))) for x in (first, last)] for y in (top, bottom)])
    placed = np.einsum("nij,abjn->abin", scene.affine, corners)
    assert placed.min() > -0.1
    assert placed.max() < 16.1
    height = 8 * np.hypot(scene.affine[:, 0, 1], scene.affine[:, 1, 1])
    assert preset.height[0] - 0.01 <= height.min() < height.max() <= preset.height[1] + 0.01
    turn = np.degrees(np.arctan2(scene.affine[:, 1, 0], scene.affine[:, 0, 0]))
    assert -25.1 < turn.min() < -20
    assert 20 < turn.max() < 25.1
    middle = placed.mean(axis=(0, 1))
    assert (middle.min(axis=1) < 6).all()
    assert (middle.max(axis=1) > 10).all()


def test_every_glyph_is_shown_equally_often_and_a_smaller_set_begins_a_larger_one(medium: dict[str, Scene]) -> None:
    counts = np.bincount(medium["test"].glyph)
    assert set(counts[counts > 0]) == {14}
    fewer = sets.composed(Scenes(images=300), "train")
    np.testing.assert_array_equal(fewer.image, medium["train"].image[:300])
    assert len(set(fewer.glyph.tolist())) == 300


def test_the_glyph_of_each_scene_is_known_without_composing_it(medium: dict[str, Scene]) -> None:
    for split, scene in medium.items():
        np.testing.assert_array_equal(sets.shown(Scenes(images=2_600), split), scene.glyph)


def test_the_splits_of_a_data_set_carry_the_glyph_of_each_scene(medium: dict[str, Scene]) -> None:
    dataset = train.data.load(Scenes(images=2_600, labels=0.5))
    assert dataset.group_name == "digits"
    for split, scene in medium.items():
        part = getattr(dataset, split)
        np.testing.assert_array_equal(part.groups, scene.glyph[part.indices])
    assert len(dataset.train.groups) == 1_300
    resized = train.data.load(Scenes(images=30, image_size=20))
    np.testing.assert_array_equal(resized.train.groups, medium["train"].glyph[:30])
    assert train.data.load(Data("digits")).test.groups is None


def test_a_set_of_new_scenes_says_how_it_is_fed() -> None:
    dataset = train.data.load(Scenes(images=None))
    assert dataset.new_examples
    ours, theirs = dataset.new_examples(4, None), source.new_scenes(Scenes(images=None), 4, None)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    assert train.data.load(Scenes(images=30)).new_examples is None


def test_the_test_scenes_depend_on_no_seed_and_the_others_do(medium: dict[str, Scene]) -> None:
    other = Scenes(images=50, split_seed=1, validation=0.2)
    np.testing.assert_array_equal(sets.composed(other, "test").image, medium["test"].image)
    assert (sets.composed(other, "train").image != medium["train"].image[:50]).any(axis=(1, 2, 3)).all()
    assert not np.array_equal(sets.composed(other, "validation").glyph, medium["validation"].glyph)
    assert "validation" not in sets.find(Scenes(images=50, validation=0.0)).stores


def test_a_larger_scene_is_the_same_one() -> None:
    small, large = (sets.composed(Scenes(size=size, images=20, preset="easy"), "train") for size in (16, 48))
    np.testing.assert_array_equal(small.glyph, large.glyph)
    means = large.image.reshape(20, 16, 3, 16, 3).mean(axis=(2, 4))
    assert np.corrcoef(means.ravel(), small.image.ravel())[0, 1] > 0.97
    np.testing.assert_allclose(large.affine, 3 * small.affine, atol=1e-12)


def test_draws_are_even_and_do_not_go_together() -> None:
    draws = compose.random(7, np.arange(20_000, dtype=np.uint32), 0, 8) / 2**32
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.01
    together = np.corrcoef(np.concatenate([draws[1:], draws[:-1]], axis=1).T) - np.eye(16)
    assert np.abs(together).max() < 0.03
    values, counts = np.unique(
        compose.between(np, compose.random(1, np.arange(9000, dtype=np.uint32), 0, 1), -1, 1), return_counts=True
    )
    assert values.tolist() == [-1, 0, 1]
    assert counts.min() > 2800


def test_sines_are_far_from_where_a_processor_could_round_otherwise() -> None:
    for wave, table in ((np.cos, compose.COS), (np.sin, compose.SIN)):
        exact = compose.ONE * wave(2 * np.pi * np.arange(compose.CIRCLE) / compose.CIRCLE)
        assert np.abs(np.abs(exact - table) - 0.5).min() > 1e-6


def test_a_plain_name_means_the_usual_scenes_and_the_view_may_be_named() -> None:
    assert Scenes("scenes/classify") == Scenes()
    assert Experiment(Model("mlp"), Data("scenes", batch=32)).data == Scenes(batch=32)
    dataset = train.data.load(Data("scenes/classify"))
    assert (dataset.name, dataset.version, dataset.shape) == ("scenes", "1-medium-16px-split0", (16, 16, 1))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [8000, 2002, 5026]
    assert dataset.class_names == tuple("0123456789")
    resized = train.data.load(Scenes(image_size=20, images=30, labels=0.5))
    assert resized.shape == (20, 20, 1)
    assert len(resized.train) == 15


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": 15}, "data.size must be at least 16 pixels, not 15"),
        ({"preset": "hrd"}, "unknown preset of scenes 'hrd': did you mean hard?"),
        ({"images": 0}, "data.images must be at least 1, not 0"),
        ({"pieces": 6}, "data.pieces must be from 0 to 5, not 6: more clutter than that does not fit"),
        ({"pieces": -1}, "data.pieces must be from 0 to 5, not -1"),
        ({"name": "scenes/detect"}, "unknown view of scenes 'detect': choose from classify, segment"),
        ({"name": "mnist"}, "data.name=mnist: this config is one of scenes"),
        ({"fold": (0, 5)}, "data.fold: folds would show a glyph on both sides"),
        ({"size": 600}, "8,000 scenes of 600x600 take more than 2 GiB"),
        ({"images": None, "placement": "stream"}, "data.placement=stream needs training scenes that are made once"),
        ({"images": None, "image_size": 32}, "data.image_size=32 needs training scenes"),
        ({"images": None, "labels": 0.5}, "data.labels=0.5 needs training scenes"),
        ({"validation": 0.0005}, "data.validation=0.0005 holds out 0 of 1438 glyphs"),
        ({"validation": 0.9999}, "data.validation=0.9999 leaves 1 of 1438 glyphs to train on"),
    ],
)
def test_bad_input_is_one_line(fields: dict, said: str) -> None:
    with pytest.raises(UserError) as error:
        train.data.load(Scenes(**fields))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_batch_of_new_scenes_depends_on_the_key_and_the_step_alone() -> None:
    held = source.new_scenes(Scenes(images=None), 6, None)
    key = jax.random.key(3)
    plan = jax.jit(held.plan, static_argnums=2)
    whole, later = plan(key, jnp.asarray(0), 5)["number"], plan(key, jnp.asarray(3), 2)["number"]
    np.testing.assert_array_equal(whole[3:], later)
    assert len(set(np.asarray(whole).ravel().tolist())) == 30
    assert (plan(jax.random.key(4), jnp.asarray(0), 5)["number"] != whole).all()


def test_presets_are_frozen_numbers_and_rise_in_difficulty() -> None:
    easy, medium, hard = presets.PRESETS.values()
    assert easy.pieces < medium.pieces < hard.pieces <= presets.most_pieces(hard)
    assert easy.noise < medium.noise < hard.noise
    assert easy.turn < medium.turn < hard.turn
    with pytest.raises(dataclasses.FrozenInstanceError):
        easy.pieces = 3  # pyright: ignore[reportAttributeAccessIssue]
