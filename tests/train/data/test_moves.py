"""What is marked in an image is still marked after every augmentation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data import moves
from train.data.images.augment import parse
from train.data.masks.inputs import masked
from train.data.split import IGNORED

SIZE = (24, 30)


def disks(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return grey images with a bright disk each, float32 (N, H, W, 1), and masks that are 1 on it."""
    draws = np.random.default_rng(0).uniform(6, (SIZE[0] - 6, SIZE[1] - 6), (count, 2))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    away = np.hypot(rows - draws[:, :1, None], columns - draws[:, 1:, None])
    inside = away < 5
    return inside[..., None].astype(np.float32), inside.astype(np.uint8)


@pytest.mark.parametrize(
    "names", [("flip",), ("shift_4",), ("crop_16",), ("resized_crop_20",), ("shift_3", "flip", "resized_crop_16")]
)
def test_masks_lie_on_what_they_mark_after_a_thousand_augmentations(names: tuple[str, ...]) -> None:
    x, y = disks(1_000)
    operations = parse(names, (*SIZE, 1))
    move = jax.jit(lambda key: moves.draw(operations, key, len(x), SIZE))(jax.random.key(0))
    move = move._replace(size=moves.draw(operations, jax.random.key(0), 1, SIZE).size)
    moved, mask = moves.images(move, jnp.asarray(x))[..., 0], moves.masks(move, jnp.asarray(y), IGNORED)
    moved, mask = np.asarray(moved), np.asarray(mask)
    assert moved.shape == mask.shape == (1_000, *move.size)
    exact = "resized" not in " ".join(names)
    assert np.all(moved[mask == IGNORED] == 0)
    wrong = np.abs(moved - (mask == 1))[mask != IGNORED]
    assert wrong.max() == 0 if exact else (wrong > 0.5).mean() < 0.02, (wrong > 0.5).mean()  # at the edge of a disk
    assert (mask == 1).any((1, 2)).mean() > 0.8
    assert len(np.unique(mask.reshape(1_000, -1), axis=0)) > 800


def test_a_move_by_whole_pixels_is_exact() -> None:
    x = jax.random.uniform(jax.random.key(1), (3, 6, 8, 2))
    y = jnp.arange(3 * 6 * 8, dtype=jnp.int32).reshape(3, 6, 8)
    move = moves.Move(jnp.ones((3, 2)), jnp.tile(jnp.array([[2.0, -1.0]]), (3, 1)), (6, 8))
    np.testing.assert_array_equal(moves.images(move, x)[:, :4, 1:], x[:, 2:, :-1])
    np.testing.assert_array_equal(moves.masks(move, y, 255)[:, :4, 1:], y[:, 2:, :-1])
    assert np.all(moves.masks(move, y, 255)[:, 4:] == 255)
    assert np.all(moves.images(move, x)[:, :, :1] == 0)
    mirror = moves.Move(jnp.array([[1.0, -1.0]] * 3), jnp.array([[0.0, 8.0]] * 3), (6, 8))
    np.testing.assert_array_equal(moves.images(mirror, x), x[:, :, ::-1])
    np.testing.assert_array_equal(moves.masks(mirror, y, 255), y[:, :, ::-1])


def test_inputs_move_both_and_change_colors_of_the_image_alone() -> None:
    x = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), np.uint8))
    y = jnp.asarray(np.random.default_rng(1).integers(0, 4, (5, 12, 12), np.uint8))
    inputs = masked((12, 12, 3), ("flip", "crop_8", "color_0.5"), 0.5, 0.25)
    arguments, masks = jax.jit(inputs.train)(jax.random.key(0), {"x": x}, y)
    assert arguments["x"].shape == (5, 8, 8, 3)
    assert masks.shape == (5, 8, 8)
    assert set(np.unique(masks)) <= {0, 1, 2, 3}
    evaluated = inputs.evaluate({"x": x})["x"]
    np.testing.assert_allclose(evaluated, (x[:, 2:10, 2:10] / 255.0 - 0.5) / 0.25, rtol=1e-6)
    unmoved, same = masked((12, 12, 3), ("color_0.5",)).train(jax.random.key(0), {"x": x}, y)
    np.testing.assert_array_equal(same, y)
    assert not np.array_equal(unmoved["x"], x / 255.0)
