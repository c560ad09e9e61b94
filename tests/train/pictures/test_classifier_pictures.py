"""What an image classifier learned to look at: the right numbers in the right places of the pictures."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import linen as nn

import zoo
from train.config import Data, Experiment, Model
from train.data.inputs import images
from train.data.split import some
from train.pictures import grids
from train.pictures.attention import attention_maps
from train.pictures.classifier import SHOWN, attention_cells, first_filters, shades
from train.pictures.views import write_map
from train.tasks.assemble import assemble
from zoo.errors import UserError


class Layers(nn.Module):
    """A dense layer or a convolution for each kernel, which are called in the given order."""

    shapes: dict[str, tuple[int, ...]]
    cfg: object

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        for name, shape in self.shapes.items():
            if len(shape) == 4:
                x = nn.Conv(shape[3], shape[:2], name=name)(x)
            else:
                x = nn.Dense(shape[1], name=name)(x.reshape(len(x), -1, shape[0]))
        return x


def filters_of(shape: tuple[int, int, int], patch: int | None = None, **kernels: np.ndarray) -> np.ndarray | None:
    cfg = SimpleNamespace(patch=patch) if patch else SimpleNamespace()
    params = {name: {"kernel": kernel, "bias": np.zeros(kernel.shape[-1])} for name, kernel in kernels.items()}
    model = Layers({name: kernel.shape for name, kernel in kernels.items()}, cfg)
    return first_filters(model, {"params": dict(sorted(params.items()))}, shape)


def test_filters_are_those_of_the_layer_that_sees_pixels() -> None:
    kernel = np.arange(5 * 5 * 3 * 2, dtype=np.float32).reshape(5, 5, 3, 2)
    later = np.ones((3, 3, 2, 4), np.float32)
    np.testing.assert_array_equal(filters_of((8, 8, 3), stem=kernel, a=later)[1], kernel[..., 1])
    dense = np.arange(64 * 7, dtype=np.float32).reshape(64, 7)
    np.testing.assert_array_equal(filters_of((8, 8, 1), d=dense)[2, :, :, 0].ravel(), dense[:, 2])
    patches = np.arange(12 * 5, dtype=np.float32).reshape(12, 5)
    assert filters_of((8, 8, 3), 2, d=patches).shape == (5, 2, 2, 3)
    assert filters_of((8, 8, 3), d=patches) is None


def test_a_later_layer_of_the_same_shape_is_not_the_first() -> None:
    """Of ViT-B/16, 768 = 16 * 16 * 3 wide, attention's output was drawn; of an MLP as wide as its image, the head."""
    first, second = (np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32) for seed in (0, 1))
    found = filters_of((8, 8, 1), hidden0=first, head=second)
    np.testing.assert_array_equal(found.reshape(64, 64), first.T)
    stem = np.ones((1, 1, 3, 3), np.float32)  # sees single pixels, which are no picture
    assert filters_of((8, 8, 3), stem=stem, a=np.ones((3, 3, 3, 4), np.float32)) is None


def test_a_transformer_as_wide_as_its_patches_shows_its_patches() -> None:
    model = zoo.create("vit_mini_patch2", width=4, depth=1, heads=2)
    variables = jax.jit(lambda key, x: model.init(key, x, train=False))(jax.random.key(0), np.zeros((1, 8, 8, 1)))
    found = first_filters(model, variables, (8, 8, 1))
    np.testing.assert_array_equal(found.reshape(4, 4), variables["params"]["embed"]["kernel"].T)


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
