"""Every layout: what is written reads back bit by bit, and is written again the same."""

from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import NETWORKS, network, variables_of

import zoo
from zoo.weights import convert_arrays, layouts


def test_every_layout_has_a_small_network() -> None:
    tried = {(zoo.card(card).module, layout) for card, layout, _ in NETWORKS.values()}
    assert tried == {(layout.module, layout.name) for layout in layouts.LAYOUTS}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_written_reads_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    card, layout, fields, model, variables = network(name)
    extension = layouts.named(type(model), layout).extension
    path = zoo.save_weights(tmp_path / f"out{extension}", model, variables, layout=layout)
    auto = layout not in ("timm", "torchvision-v1") or "resnet" not in name  # these two are torchvision's by name
    back = zoo.load_weights(model, path, layout="auto" if auto else layout)
    assert jax.tree.structure(back) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)
    loaded = zoo.load_model(card, path, layout="auto" if auto else layout, **fields)
    assert (loaded.model, loaded.layout, loaded.passed_over) == (model, layout, ())
    again, arrays = convert_arrays(model, back, layout), convert_arrays(model, variables, layout)
    assert again.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(again[key], array)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "alexnet"])  # which has 61 million
def test_every_number_of_ours_is_written_once(name: str) -> None:
    _, layout, _, model, variables = network(name)
    arrays = convert_arrays(model, variables, layout)
    copies = {copy for rule in layouts.named(type(model), layout).rules(model.cfg) for copy in rule.copies}
    theirs = [a.ravel() for key, a in arrays.items() if key not in copies and a.dtype == np.float32]
    ours = [leaf.ravel() for leaf in jax.tree.leaves(variables)]
    np.testing.assert_array_equal(_sizes(theirs), _sizes(ours))


def _sizes(arrays: list[np.ndarray]) -> np.ndarray:
    """All magnitudes but zeros in order: PyTorch's LSTM has a second bias, and its GRU the other sign of a gate."""
    whole = np.sort(np.abs(np.concatenate(arrays)))
    return whole[whole > 0]


@pytest.mark.parametrize("name", ["mlp", "alexnet_cifar", "gan", "simclr_resnet20"])
@pytest.mark.parametrize("extension", [".safetensors", ".npz", ""])
def test_own_layout_takes_any_model(name: str, extension: str, tmp_path: Path) -> None:
    if name not in zoo.CARDS:
        pytest.skip(f"no model {name}")
    model = zoo.create(name)
    variables = variables_of(model)
    path = zoo.save_weights(tmp_path / f"out{extension}", model, variables)
    jax.tree.map(np.testing.assert_array_equal, zoo.load_weights(name, path), variables)


def test_a_file_of_ours_knows_its_model(tmp_path: Path) -> None:
    model = zoo.create("resnet20", classes=7, shortcut="B")
    variables = variables_of(model)
    images = zoo.weights.preprocessing.Images((32, 32), mean=(0.1,) * 3, std=(0.2,) * 3)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, inputs=images, labels="abcdefg")
    loaded = zoo.load_model("resnet20", path)
    assert (loaded.model, loaded.preprocessing, loaded.labels) == (model, images, tuple("abcdefg"))
    with pytest.raises(zoo.UserError, match=r"zoo.create\('resnet20', shortcut='B', classes=7\)"):
        zoo.load_weights("resnet20", path)


def test_a_model_is_used_as_it_is_loaded(tmp_path: Path) -> None:
    """`load_weights` gives what `apply` takes."""
    model = zoo.create("lenet5")
    x = np.ones((1, 32, 32, 1), np.float32)
    variables = variables_of(model)
    path = zoo.save_weights(tmp_path / "w.npz", model, variables)
    expected = model.apply(variables, x, train=False)
    np.testing.assert_array_equal(model.apply(zoo.load_weights("lenet5", path), x, train=False), expected)


def test_half_precision_is_read_as_float32_or_as_it_is(tmp_path: Path) -> None:
    model = zoo.create("gpt2", width=16, depth=1, heads=2, vocab=11, context=8)
    variables = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf, "bfloat16"), variables_of(model))
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="huggingface")
    for dtype, expected in (("float32", "float32"), (None, "bfloat16")):
        back = zoo.load_weights(model, path, dtype=dtype)
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(back)} == {expected}
        jax.tree.map(lambda a, b: np.testing.assert_array_equal(a.astype("bfloat16"), b), back, variables)
