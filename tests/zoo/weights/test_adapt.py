"""Another head, another size, other channels: the rest is kept, and equal inputs give equal outputs."""

from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from PIL import Image
from tiny import network

import zoo
from zoo.vit import resample_positions
from zoo.weights import select
from zoo.weights.adapt import with_channels
from zoo.weights.preprocessing import Images


@pytest.fixture
def resnet(tmp_path: Path) -> tuple[Path, dict]:
    _card, layout, _fields, model, variables = network("resnet18-torchvision")
    return zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout), variables


@pytest.fixture
def vit(tmp_path: Path) -> tuple[Path, dict, dict]:
    _card, layout, fields, model, variables = network("vit-timm")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    return path, variables, fields


def test_a_new_head_and_the_rest_kept(resnet: tuple[Path, dict]) -> None:
    path, variables = resnet
    model = zoo.create("resnet18", depths=(1, 2), widths=(4, 8), classes=37)
    with pytest.raises(zoo.UserError, match=r"classes=5 \(here 37\)"):
        zoo.load_weights(model, path)
    loaded = zoo.load_weights(model, path, new_head=True)
    assert loaded["params"]["head"]["kernel"].shape == (8, 37)
    assert np.std(loaded["params"]["head"]["kernel"]) > 0.1
    for part in ("params", "batch_stats"):
        rest = {key: tree for key, tree in loaded[part].items() if key != "head"}
        jax.tree.map(np.testing.assert_array_equal, rest, {key: variables[part][key] for key in rest})
    other = zoo.load_weights(model, path, new_head=True, seed=1)
    assert not np.array_equal(other["params"]["head"]["kernel"], loaded["params"]["head"]["kernel"])
    assert model.apply(loaded, np.zeros((1, 32, 32, 3), np.float32), train=False).shape == (1, 37)


def test_what_google_puts_before_the_old_head_goes_with_it(tmp_path: Path) -> None:
    *_, model, variables = network("vit-google")
    arrays = zoo.weights.convert_arrays(model, variables, "google-vit")
    arrays |= {"pre_logits/kernel": np.zeros((16, 16), np.float32), "pre_logits/bias": np.zeros(16, np.float32)}
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(zoo.UserError, match=r"has representation=16 \(here 0\)"):
        zoo.load_weights(model, tmp_path / "w.npz")
    zoo.load_weights(model, tmp_path / "w.npz", new_head=True)


def test_bert_from_pre_training_to_classes(tmp_path: Path) -> None:
    *_, fields, model, variables = network("bert-pretrain")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="huggingface")
    loaded = zoo.load_model("bert_mini", path, **{**fields, "head": "classify"}, classes=3, new_head=True)
    assert loaded.variables["params"]["head"]["kernel"].shape == (16, 3)
    assert "cls.seq_relationship.bias" in loaded.passed_over
    np.testing.assert_array_equal(
        loaded.variables["params"]["pooler"]["kernel"], variables["params"]["pooler"]["kernel"]
    )


def test_grey_images_give_what_three_equal_channels_gave(resnet: tuple[Path, dict]) -> None:
    path, _ = resnet
    model = zoo.create("resnet18", depths=(1, 2), widths=(4, 8), classes=5)
    grey = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype(np.float32)
    expected = model.apply(zoo.load_weights(model, path), np.repeat(grey, 3, -1), train=False)
    for channels in (1, 2, 5):
        variables = zoo.load_weights(model, path, channels=channels)
        found = model.apply(variables, np.repeat(grey, channels, -1), train=False)
        if channels != 2:  # of three kernels two are left, scaled: equal only where the three were
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(zoo.UserError, match="channels must be at least 1, not 0"):
        zoo.load_weights(model, path, channels=0)


def test_channels_of_a_patch_kernel() -> None:
    kernel = np.random.default_rng(0).normal(size=(2 * 2 * 3, 4)).astype(np.float32)
    one = with_channels(jax.numpy.asarray(kernel), 1, patch=2)
    np.testing.assert_allclose(one, kernel.reshape(2, 2, 3, 4).sum(2).reshape(4, 4), rtol=1e-6)


def test_another_size_resamples_the_positions(vit: tuple[Path, dict, dict]) -> None:
    path, variables, fields = vit
    loaded = zoo.load_model("vit_mini_patch4", path, size=48, **fields)
    positions = loaded.variables["params"]["positions"]
    assert positions.shape == (1, 12 * 12 + 1, 16)
    np.testing.assert_array_equal(positions[:, 0], variables["params"]["positions"][:, 0])
    assert loaded.preprocessing.size == (48, 48)
    assert loaded.model.apply(loaded.variables, np.zeros((1, 48, 48, 3), np.float32), train=False).shape == (1, 5)
    same = zoo.load_model("vit_mini_patch4", path, size=32, **fields)
    np.testing.assert_array_equal(same.variables["params"]["positions"], variables["params"]["positions"])
    with pytest.raises(zoo.UserError, match="size 30x30 is not a multiple of the patch 4"):
        zoo.load_model("vit_mini_patch4", path, size=30, **fields)


def test_positions_are_resampled_from_the_grid_that_the_file_names(tmp_path: Path) -> None:
    """A table of 4 positions of images 4 x 16 is of 1 x 4 patches, and not of 2 x 2."""
    model = zoo.create("vit_mini_patch4", width=8, depth=1, heads=2, classes=3, pool="mean")
    variables = model.init(jax.random.key(0), np.zeros((1, 4, 16, 3), np.float32), train=False)
    images = Images((4, 16))
    path = zoo.save_weights(tmp_path / "wide.safetensors", model, variables, inputs=images)
    got = zoo.load_weights(model, path, size=(8, 32))["params"]["positions"]
    np.testing.assert_allclose(got, resample_positions(variables, (1, 4), (2, 8))["params"]["positions"], rtol=1e-6)
    square = zoo.load_weights(model, path, size=8)["params"]["positions"]
    assert not np.allclose(square, variables["params"]["positions"])


def test_a_resnet_has_no_positions(resnet: tuple[Path, dict]) -> None:
    model = zoo.create("resnet18", depths=(1, 2), widths=(4, 8), classes=5)
    with pytest.raises(zoo.UserError, match="ResNet cannot be adapted to another size"):
        zoo.load_weights(model, resnet[0], size=64)


def test_frozen_parts_by_pattern(resnet: tuple[Path, dict]) -> None:
    _, variables = resnet
    params = variables["params"]
    still = select(params, "stem/*", "s0*")
    assert still["stem"]["conv"]["kernel"]
    assert still["s0b0"]["conv1"]["kernel"]
    assert not still["s1b0"]["conv1"]["kernel"]
    assert not still["head"]["bias"]
    tx = optax.chain(optax.sgd(1.0), optax.transforms.freeze(still))
    updates, _ = tx.update(jax.tree.map(np.ones_like, params), tx.init(params), params)
    moved = jax.tree.map(lambda update: bool(np.any(update)), updates)
    assert moved == jax.tree.map(lambda frozen: not frozen, still)
    with pytest.raises(zoo.UserError, match="no array matches 'stm/"):
        select(params, "stm/*")


@pytest.mark.parametrize("channels", [1, 4])
def test_images_are_prepared_with_as_many_channels_as_the_weights_read(
    channels: int, resnet: tuple[Path, dict], tmp_path: Path
) -> None:
    path, _ = resnet
    wide = zoo.load_model("resnet18", path, depths=(1, 2), widths=(4, 8), channels=channels)
    file = zoo.save_weights(tmp_path / "other.safetensors", wide.model, wide.variables, layout="torchvision")
    loaded = zoo.load_model("resnet18", file, depths=(1, 2), widths=(4, 8))
    assert len(loaded.preprocessing.mean) == len(loaded.preprocessing.std) == channels
    picture = Image.new("RGB", (300, 280), (90, 90, 90))
    if channels == 4:
        with pytest.raises(zoo.UserError, match="4 channels"):
            loaded.preprocessing(picture)
    else:
        x = loaded.preprocessing(picture)
        assert x.shape == (224, 224, 1)
        np.testing.assert_allclose(x, (90 / 255 - 0.449) / 0.226, rtol=1e-3)
