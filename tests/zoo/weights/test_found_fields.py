"""Fields that a file shows by the shapes of its arrays are found, without the record that a file of ours has."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import BERT, VIT, network, variables_of

import zoo
from zoo.weights import convert_arrays, layouts

FOUND = {  # of NETWORKS: the fields that must be found
    "alexnet-narrow": ("hidden",),
    "vgg-torchvision": ("hidden",),
    "vgg-torchvision-norm": ("batch_norm", "hidden"),
    "vgg-timm-norm": ("batch_norm", "hidden"),
    "resnet18-torchvision-stem": ("stem_width",),
    "resnet50-timm-stem": ("stem_width",),
    "resnet18-huggingface-stem": ("stem_width",),
    "resnet50-huggingface-stem": ("stem_width",),
    "resnet20-pytorch-cifar-stem": ("stem_width", "shortcut"),
    "vit-torchvision-pre": ("hidden", "representation"),
    "vit-timm-pre": ("mlp_ratio", "representation"),
    "vit-huggingface-hidden": ("hidden",),
    "vit-google-pre": ("hidden", "representation", "gelu"),
    "bert-units": ("hidden",),
    "bert-hidden": ("head",),
    "gpt2-units": ("hidden",),
    "seq2seq_attention-plain": ("output",),
}


def foreign(path: Path, model: Any, variables: Any, layout: str) -> Path:
    """Write the arrays as the other library does, without a record of the fields."""
    arrays = {name: np.ascontiguousarray(array) for name, array in convert_arrays(model, variables, layout).items()}
    path = path.with_suffix(layouts.named(type(model), layout).extension)
    if path.suffix == ".npz":
        np.savez(path, allow_pickle=False, **arrays)
    else:
        save_file(arrays, path)
    return path


@pytest.mark.parametrize("name", FOUND)
def test_shapes_show_the_field(name: str, tmp_path: Path) -> None:
    card, layout, fields, model, variables = network(name)
    path = foreign(tmp_path / "w", model, variables, layout)
    left = {field: value for field, value in fields.items() if field not in FOUND[name]}
    loaded = zoo.load_model(card, path, layout=layout, **left)
    assert (loaded.model, loaded.passed_over) == (model, ())
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, variables)
    found = FOUND[name][0]
    usual = getattr(zoo.card(card).config, found)
    with pytest.raises(zoo.UserError, match=rf"{found}=\S+ \(here {usual!r}\)|\d+ (missing|unexpected)"):
        zoo.load_weights(zoo.create(card, **left), path, layout=layout)


def test_what_config_json_says_of_the_new_fields(tmp_path: Path) -> None:
    said = {
        "resnet18-huggingface-stem": {"embedding_size": 6, "hidden_sizes": [4, 8]},
        "resnet50-huggingface-stem": {"embedding_size": 16, "hidden_sizes": [16, 32]},
        "vit-huggingface-hidden": {"intermediate_size": 27},
        "bert-units": {"intermediate_size": 27},
        "bert-hidden": {"architectures": ["BertModel"]},
        "gpt2-units": {"n_inner": 27},
    }
    for name, expected in said.items():
        _, layout, _, model, variables = network(name)
        folder = zoo.save_weights(tmp_path / name, model, variables, layout=layout)
        content = zoo.files.read_json(folder / "config.json")
        assert expected.items() <= content.items(), name


def test_the_size_of_an_mlp_may_be_given_in_either_way(tmp_path: Path) -> None:
    """mlp_ratio=2 and hidden=32 at width 16 are one network: neither is refused for the other."""
    model = zoo.create("vit_mini_patch4", **VIT, mlp_ratio=2)
    path = foreign(tmp_path / "w", model, variables_of(model), "timm")
    same = zoo.create("vit_mini_patch4", **VIT, hidden=32)
    jax.tree.map(np.testing.assert_array_equal, *(zoo.load_weights(each, path) for each in (model, same)))
    bert = zoo.create("bert_mini", **BERT, hidden=64)
    path = foreign(tmp_path / "b", bert, variables_of(bert), "huggingface")
    assert zoo.load_model("bert_mini", path, **BERT).model.cfg.hidden == 0  # 4 * width, as always


def test_bert_without_a_pooler_gets_no_random_one(tmp_path: Path) -> None:
    model = zoo.create("bert_mini", **BERT, head="hidden")
    path = foreign(tmp_path / "w", model, variables_of(model), "huggingface")
    assert zoo.load_model("bert_mini", path, **BERT).model.cfg.head == "hidden"
    with pytest.raises(zoo.UserError, match=r"2 missing: pooler\.dense\.(bias|weight)"):
        zoo.load_model("bert_mini", path, **BERT, head="pooler")
    pooled = zoo.create("bert_mini", **BERT)
    path = foreign(tmp_path / "p", pooled, variables_of(pooled), "huggingface")
    loaded = zoo.load_model("bert_mini", path, **BERT, head="hidden")
    assert loaded.passed_over == ("bert.pooler.dense.bias", "bert.pooler.dense.weight")


@pytest.mark.parametrize("name", ["vit-torchvision-pre", "vit-timm-pre", "vit-google-pre"])
@pytest.mark.parametrize("own", [False, True])
def test_a_new_head_drops_the_layer_of_pre_training_unless_it_is_given(name: str, own: bool, tmp_path: Path) -> None:
    card, layout, fields, model, variables = network(name)
    if own:
        path = zoo.save_weights(tmp_path / "w.safetensors", model, variables)
    else:
        path = foreign(tmp_path / "w", model, variables, layout)
    left = {field: value for field, value in fields.items() if field not in ("representation", "classes")}
    loaded = zoo.load_model(card, path, new_head=True, classes=3, **left)
    assert loaded.model.cfg.representation == 0
    assert set(loaded.variables["params"]) == set(variables["params"]) - {"representation"}
    assert loaded.variables["params"]["head"]["kernel"].shape == (16, 3)
    kept = zoo.load_model(card, path, new_head=True, classes=3, representation=6, **left)
    jax.tree.map(
        np.testing.assert_array_equal,
        kept.variables["params"]["representation"],
        variables["params"]["representation"],
    )
    assert kept.variables["params"]["head"]["kernel"].shape == (6, 3)


def test_a_pooler_of_hugging_face_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    """ViTModel has one and no classifier; ViTForImageClassification, which a file would be for, has none."""
    fields = {**VIT, "norm_epsilon": 1e-12}
    model = zoo.create("vit_mini_patch4", **fields, representation=16)
    variables = variables_of(model)
    with pytest.raises(zoo.UserError, match="no layout huggingface: ViTForImageClassification has no representation"):
        convert_arrays(model, variables, "huggingface")
    plain = zoo.create("vit_mini_patch4", **fields)
    arrays = convert_arrays(plain, variables_of(plain), "huggingface")
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items() if not name.startswith("classifier")}
    pooler = variables["params"]["representation"]
    arrays["vit.pooler.dense.weight"] = np.ascontiguousarray(pooler["kernel"].T)
    arrays["vit.pooler.dense.bias"] = pooler["bias"]
    save_file(arrays, tmp_path / "w.safetensors")
    loaded = zoo.load_model("vit_mini_patch4", tmp_path / "w.safetensors", new_head=True, **VIT)
    assert (loaded.model, len(loaded.passed_over)) == (plain, 2)
    loaded = zoo.load_model("vit_mini_patch4", tmp_path / "w.safetensors", new_head=True, **VIT, representation=16)
    jax.tree.map(np.testing.assert_array_equal, loaded.variables["params"]["representation"], pooler)


def test_two_biases_of_torch_are_kept_apart_or_added(tmp_path: Path) -> None:
    _, layout, fields, model, variables = network("lstm-two-biases")
    path = foreign(tmp_path / "w", model, variables, layout)
    assert zoo.weights.load_weights(model, path)["params"]["layers"]["layer0"].keys() == {
        "input", "recurrent", "recurrent_bias"
    }  # fmt: skip
    one = zoo.load_model("lstm_char", path, **{**fields, "two_biases": False})
    came = convert_arrays(model, variables, layout)
    added = convert_arrays(one.model, one.variables, layout)
    again = convert_arrays(model, zoo.load_weights(model, path), layout)
    for i in range(model.cfg.depth):
        ih, hh = f"rnn.bias_ih_l{i}", f"rnn.bias_hh_l{i}"
        np.testing.assert_array_equal(added[ih] + added[hh], came[ih] + came[hh])
        np.testing.assert_array_equal((again[ih], again[hh]), (came[ih], came[hh]))
        assert came[hh].any()
        assert not added[hh].any()


def test_marian_has_no_norms_after_its_stacks() -> None:
    card, layout, fields, _, _ = network("transformer")
    model = zoo.create(card, **fields, final_norm=True)
    with pytest.raises(zoo.UserError, match=r"the huggingface network, layout huggingface, has final_norm=False"):
        convert_arrays(model, variables_of(model), layout)


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("shape", [(), (0, 0), (1,)])
def test_arrays_of_a_wrong_number_of_axes_are_one_line(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    card, layout, fields, model, variables = network(name)
    arrays = {key: np.zeros(shape, np.float32) for key in convert_arrays(model, variables, layout)}
    path = tmp_path / f"w{layouts.named(type(model), layout).extension}"
    if path.suffix == ".npz":
        np.savez(path, allow_pickle=False, **arrays)
    else:
        save_file(arrays, path)
    left = {field: value for field, value in fields.items() if field not in FOUND[name]}
    with pytest.raises(zoo.UserError) as raised:
        zoo.load_model(card, path, layout=layout, **left)
    assert "\n" not in str(raised.value)
