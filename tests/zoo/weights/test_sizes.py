"""Fields and sizes: those of the file count first, and a message says which fields a model needs."""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny import GPT, NETWORKS, network, variables_of

import zoo
from zoo import UserError
from zoo.weights import layouts
from zoo.weights.compare import Headless
from zoo.weights.fit import identify
from zoo.weights.load import open_source


def published(folder: Path, name: str) -> Path:
    """A folder as others publish it: without our record."""
    _card, layout, _fields, model, variables = network(name)
    zoo.save_weights(folder, model, variables, layout=layout)
    path = folder / "model.safetensors"
    save_file(load_file(path), path)
    return folder


def refused(name: str, source: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        zoo.load_model(name, source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("gpt2", {"depth": 2}), ("bert-classify", {"depth": 2}), ("vit-huggingface", {"depth": 2, "patch": 4})],
)
def test_heads_of_the_file_count_before_the_card_s(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    """width=16 was refused, as the 12 heads of the card do not divide it, though the file has 2."""
    card = {"gpt2": "gpt2", "bert-classify": "bert_base", "vit-huggingface": "vit_base_patch16"}[name]
    loaded = zoo.load_model(card, published(tmp_path / "w", name), width=16, **fields)
    assert (loaded.model.cfg.width, loaded.model.cfg.heads) == (16, 2)


def test_a_field_that_fits_neither_is_refused_as_before(tmp_path: Path) -> None:
    folder = published(tmp_path / "w", "gpt2")
    assert "heads must be a divisor of width 17" in refused("gpt2", folder, width=17, depth=2)
    assert "unknown field 'widht'" in refused("gpt2", folder, widht=16)


SMALL = {"width": 16, "depth": 2, "heads": 2}
STAGES = {"depths": (1, 2), "widths": (4, 8)}


@pytest.mark.parametrize(
    ("name", "card", "fields"),
    [
        ("gpt2", "gpt2", SMALL),
        ("bert-pooler", "bert_mini", SMALL),
        ("vit-huggingface", "vit_mini_patch4", SMALL),
        ("transformer", "transformer_mini", {**SMALL, "hidden": 24}),
        ("resnet50-huggingface", "resnet50", STAGES),
        ("resnet18-huggingface", "resnet50", {**STAGES, "bottleneck": False}),
        ("vgg-torchvision", "vgg16", {"depths": (1, 2, 1), "widths": (4, 8, 8)}),
        ("vgg-timm-norm", "vgg11", {"depths": (1, 2, 1), "widths": (4, 8, 8)}),
    ],
)
def test_the_fields_that_make_it_fit_are_named(name: str, card: str, fields: dict[str, Any], tmp_path: Path) -> None:
    folder = published(tmp_path / "w", name)
    named = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    assert refused(card, folder).endswith(f"; load it with zoo.load_model({card!r}, …, {named})")
    assert jax.tree.leaves(zoo.load_model(card, folder, **fields).variables)


def test_a_file_that_lacks_an_array_gets_no_advice(tmp_path: Path) -> None:
    """No sizes would make it fit."""
    folder = published(tmp_path / "w", "gpt2")
    arrays = load_file(folder / "model.safetensors")
    del arrays["transformer.h.1.mlp.c_fc.weight"]
    save_file(arrays, folder / "model.safetensors")
    assert "load it with" not in refused("gpt2", folder)
    assert "1 missing: transformer.h.1.mlp.c_fc.weight" in refused("gpt2", folder, **SMALL)


def test_the_fields_of_a_file_that_shows_no_heads(tmp_path: Path) -> None:
    *_, model, variables = network("vit-timm")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="timm")
    save_file(load_file(path), path)
    message = refused("vit_mini_patch4", path, classes=5)
    assert message.endswith("classes=5, width=16, depth=2) and its heads, which no array shows")
    with pytest.raises(UserError, match=r"make the model with zoo.create\('vit_mini_patch4', width=16, depth=2\)"):
        zoo.load_weights(zoo.create("vit_mini_patch4", classes=5), path)


def test_heads_of_the_file_that_do_not_divide_the_width_of_the_card(tmp_path: Path) -> None:
    model = zoo.create("gpt2", **GPT | {"width": 20, "heads": 5})
    variables = variables_of(model)
    zoo.save_weights(tmp_path / "w", model, variables, layout="huggingface")
    path = tmp_path / "w" / "model.safetensors"
    save_file(load_file(path), path)
    assert refused("gpt2", tmp_path / "w").endswith(
        "load it with zoo.load_model('gpt2', …, width=20, depth=2, heads=5)"
    )


@pytest.mark.parametrize("name", [name for name in NETWORKS if not name.startswith(("alexnet", "dcgan", "dqn"))])
def test_arrays_of_every_layout_show_the_sizes_of_their_network(name: str) -> None:
    _card, layout, fields, model, variables = network(name)
    for written in (layout, "zoo"):
        table = layouts.named(type(model), written)
        arrays = zoo.weights.convert_arrays(model, variables, written)
        shapes = {table.canonical(key): array.shape for key, array in arrays.items()}
        found = zoo.weights.sizes.shown(table, shapes, zoo.card(NETWORKS[name][0]).config)
        assert found == {field: getattr(model.cfg, field) for field in found}
        if any(kind in name for kind in ("resnet", "vgg", "vit", "bert", "gpt", "transformer")):
            assert {"width", "widths"} & found.keys()
            assert {"depth", "depths"} & found.keys()
        assert fields


@pytest.mark.parametrize(
    "prefix", ["model.", "net.", "backbone.", "state_dict.", "module.", "model.module.", "_orig_mod.net."]
)
@pytest.mark.parametrize("name", ["resnet18-torchvision", "vit-timm", "gpt2"])
def test_the_prefix_of_a_trainer_is_left_out_and_said(
    prefix: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only module. and _orig_mod. were: all others made a file of no known layout."""
    card, layout, fields, model, variables = network(name)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    arrays = load_file(path)
    buffers = {key: array for key, array in arrays.items() if key.endswith("num_batches_tracked")}
    save_file({f"{prefix}{key}": array for key, array in arrays.items() if key not in buffers} | buffers, path)
    with caplog.at_level(logging.INFO, "zoo.weights"):
        loaded = zoo.load_model(card, path, **fields)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, variables)
    wrapped = prefix in ("module.", "_orig_mod.")  # known with it
    assert (f"are read without their prefix {prefix.removesuffix('.module.')}" in caplog.text) is not wrapped
    save_file({f"{prefix}{key}": array for key, array in arrays.items()} | {"other.weight": np.zeros(3)}, path)
    with pytest.raises(UserError, match="other.weight" if wrapped else "not weights of"):
        zoo.load_model(card, path, **fields)


def test_the_names_of_marian_begin_with_model(tmp_path: Path) -> None:
    folder = published(tmp_path / "w", "transformer")
    names = list(load_file(folder / "model.safetensors"))
    assert layouts.unprefixed(names) == ("", {})
    assert zoo.load_model("transformer_mini", folder, width=16, depth=2, hidden=24).layout == "huggingface"
    assert layouts.unprefixed([f"net.{name}" for name in names])[0] == "net."
    assert layouts.unprefixed(["model.params/a", "model.b"]) == ("", {})
    assert layouts.unprefixed([]) == ("", {})
    fields = ("a.model.conv1.weight", "model.conv1.weight")
    assert layouts.unprefixed(fields) == ("", {})


HEADS = {
    "vit-timm": "head.",
    "vit-huggingface": "classifier.",
    "resnet18-torchvision": "fc.",
    "bert-token": "classifier.",
}


@pytest.mark.parametrize("name", HEADS)
def test_weights_without_a_head_point_to_a_new_one(name: str, tmp_path: Path) -> None:
    card, layout, fields, model, variables = network(name)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    save_file({key: array for key, array in load_file(path).items() if not key.startswith(HEADS[name])}, path)
    fields = fields | ({"head": "token"} if name.startswith("bert") else {})
    message = refused(card, path, **fields)
    assert "these weights have no head: new_head=True initializes one" in message
    loaded = zoo.load_model(card, path, new_head=True, **fields)
    kept, own = (jax.tree.map(lambda leaf: leaf, tree["params"]) for tree in (loaded.variables, variables))
    assert kept.pop("head")["kernel"].shape == own.pop("head")["kernel"].shape
    jax.tree.map(np.testing.assert_array_equal, kept, own)


def test_a_file_without_a_head_is_known_for_what_it_is(tmp_path: Path) -> None:
    model = zoo.create("vit_mini_patch4")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables_of(model), layout="timm")
    save_file({key: array for key, array in load_file(path).items() if not key.startswith("head.")}, path)
    with pytest.raises(Headless, match="these weights have no head"):
        identify(open_source(path))


def test_loaded_weights_are_shown_in_one_line(tmp_path: Path) -> None:
    """It was all of their arrays."""
    card, layout, fields, model, variables = network("resnet18-torchvision")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    loaded = zoo.load_model(card, path, **fields)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert repr(loaded) == f"Loaded('resnet18', {count:,} parameters, layout 'torchvision', from {str(path)!r})"
