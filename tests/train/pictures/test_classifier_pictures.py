"""What an image classifier learned to look at: the right numbers in the right places of the pictures."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from train.config import Data, Experiment, Model
from train.data.inputs import images
from train.data.split import some
from train.pictures import grids
from train.pictures.attention import attention_maps
from train.pictures.classifier import SHOWN, attention_cells, first_filters, shades
from train.pictures.views import write_map
from train.tasks.assemble import assemble
from zoo.errors import UserError


def test_filters_are_those_of_the_layer_that_sees_pixels() -> None:
    kernel = np.arange(5 * 5 * 3 * 2, dtype=np.float32).reshape(5, 5, 3, 2)
    later = np.ones((3, 3, 2, 4), np.float32)
    params = {"a": {"kernel": later}, "stem": {"conv": {"kernel": kernel, "bias": np.ones(2)}}}
    np.testing.assert_array_equal(first_filters(params, (8, 8, 3), None)[1], kernel[..., 1])
    dense = np.arange(64 * 7, dtype=np.float32).reshape(64, 7)
    np.testing.assert_array_equal(
        first_filters({"d": {"kernel": dense}}, (8, 8, 1), None)[2, :, :, 0].ravel(), dense[:, 2]
    )
    patches = np.arange(12 * 5, dtype=np.float32).reshape(12, 5)
    assert first_filters({"d": {"kernel": patches}}, (8, 8, 3), 2).shape == (5, 2, 2, 3)
    assert first_filters({"d": {"kernel": patches}}, (8, 8, 3), None) is None


def test_zero_is_grey_and_each_filter_fills_the_range() -> None:
    filters = np.array([[-2.0, 0.0], [1.0, 2.0]]).reshape(1, 2, 2, 1)
    assert shades(filters).ravel().tolist() == [0, 128, 191, 255]
    assert shades(filters, whole=True).ravel().tolist() == [0, 128, 191, 255]
    assert shades(np.zeros((1, 2, 2, 5))).shape == (1, 2, 2, 1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object, object]:
    small = Model("vit_mini_patch2", {"width": 16, "depth": 2, "heads": 2})
    parts = assemble(Experiment(model=small, data=Data("digits", batch=8)))
    state = jax.jit(parts.task.init)(jax.random.key(0))
    folder = tmp_path_factory.mktemp("samples")
    parts.show(state, folder)
    return folder, parts, state


def test_a_transformer_shows_filters_and_attention(drawn: tuple) -> None:
    folder, _, state = drawn
    assert sorted(file.name for file in folder.iterdir()) == ["attention.png", "filters.png"]
    filters = grids.tiles(grids.read(folder / "filters.png"), (2, 2, 1), 16, 8)
    kernel = np.asarray(state.params["net"]["embed"]["kernel"])  # (2 * 2 * 1, 16)
    np.testing.assert_array_equal(filters[3, :, :, 0].ravel(), shades(kernel[:, 3].reshape(1, 2, 2, 1)).ravel())


def test_attention_is_that_of_the_class_token(drawn: tuple) -> None:
    folder, parts, state = drawn
    tiles = grids.tiles(grids.read(folder / "attention.png"), (8, 8, 1), 18, 3)  # six images, two blocks
    data = parts.dataset
    x = images(data.shape, (), data.mean, data.std).evaluate({"x": some(data.test, SHOWN)["x"]})["x"]
    maps = attention_maps(parts.model, {"params": state.params["net"]}, x=x)
    second = maps["block1/attention"][4].mean(0)[0, 1:].reshape(4, 4)
    expected = np.round(255 * second / second.max()).astype(np.uint8)
    np.testing.assert_allclose(tiles[3 * 4 + 2, ::2, ::2, 0].astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("token", ["class", "mean"])
def test_attention_of_images_that_are_not_square(token: str) -> None:
    """A class token was looked for among side * side patches: the run ended after its last step, for good."""
    weights = np.random.default_rng(0).random((2, 3, 9 if token == "class" else 8, 9 if token == "class" else 8))
    model = SimpleNamespace(cfg=SimpleNamespace(patch=2))
    wanted = weights.mean(1)[:, 0, 1:] if token == "class" else weights.mean(1).mean(1)
    cells = np.asarray(attention_cells(model, weights, (8, 4)))
    np.testing.assert_allclose(cells[..., 0], wanted.reshape(2, 4, 2))


def test_a_picture_that_cannot_be_drawn_ends_nothing_and_is_said(drawn: tuple, tmp_path, monkeypatch, capsys) -> None:
    _, parts, state = drawn

    def fail(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("train.pictures.classifier.first_filters", fail)
    parts.show(state, tmp_path)
    assert capsys.readouterr().err == "zoo: filters.png is missing: IndexError: list index out of range\n"
    assert [file.name for file in tmp_path.iterdir()] == ["attention.png"]


def test_a_map_of_one_image_is_one_line(tmp_path) -> None:
    with pytest.raises(UserError, match="a map needs at least 2 test images, and there is 1"):
        write_map(None, {}, SimpleNamespace(test=[0]), tmp_path / "features.png")
