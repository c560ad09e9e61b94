"""Every key of a config.json is used, has one value that is our network, or is named in the refusal."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from test_records import with_record
from tiny import NETWORKS, network

import zoo
from zoo import UserError
from zoo.weights import layouts

PUBLISHED = [name for name, (_, layout, _) in NETWORKS.items() if layout == "huggingface"]
TIMM = {
    "resnet50-timm": {"architecture": "resnet50", "num_classes": 5, "num_features": 32, "global_pool": "avg"},
    "vit-timm": {"architecture": "vit_tiny_patch16_224", "num_classes": 5, "global_pool": "token", "model_args": {}},
}


def published(name: str, folder: Path, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Write a network of `tiny` as its library does, without our record, and return (card, fields) to load it with.

    changes: of config.json; None removes a key.
    """
    card, layout, fields, model, variables = network(name)
    zoo.save_weights(folder, model, variables, layout=layout)
    file = folder / "model.safetensors"
    save_file(load_file(file), file)
    config = folder / "config.json"
    content = (json.loads(config.read_text()) if config.exists() else TIMM[name]) | changes
    config.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return card, fields


@pytest.mark.parametrize("name", [*PUBLISHED, *TIMM])
def test_what_we_write_is_read(name: str, tmp_path: Path) -> None:
    changes = {"model_args": {"num_heads": 2}} if name == "vit-timm" else {}
    card, fields = published(name, tmp_path, **changes)
    assert zoo.load_model(card, tmp_path, **fields).model.cfg == network(name)[3].cfg


REFUSED = [
    ("bert-masked", {"model_type": "roberta"}, "model_type is 'roberta', which is another network than 'bert'"),
    ("bert-masked", {"architectures": ["RobertaModel"]}, r"architectures is \['RobertaModel'\], which is another"),
    ("bert-masked", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ("bert-masked", {"add_cross_attention": True}, "add_cross_attention is True, .* can only be False"),
    ("bert-masked", {"hidden_act": "relu"}, "hidden_act is 'relu', which is none of gelu"),
    ("bert-masked", {"num_attention_heads": "2"}, "num_attention_heads must be a whole number, not '2'"),
    ("bert-masked", {"num_attention_heads": True}, "num_attention_heads must be a whole number, not True"),
    ("bert-masked", {"layer_norm_eps": "1e-12"}, "layer_norm_eps must be a number, not '1e-12'"),
    ("bert-masked", {"pruned_heads": {"0": [1]}}, "pruned_heads is .*, which is another network"),
    ("bert-masked", {"hidden_size": 32}, "config.json belongs to other weights: hidden_size is 32 .* are of 16"),
    ("bert-masked", {"vocab_size": 12}, "config.json belongs to other weights: vocab_size is 12 .* are of 11"),
    ("bert-masked", {"rotary": 1, "layr_norm_eps": 1}, r"'layr_norm_eps' \(did you mean layer_norm_eps\?\), 'rotary'"),
    ("bert-classify", {"is_decoder": True}, "with is_decoder it pools the first token"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False, .* can only be True"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
    ("gpt2", {"model_type": "openai-gpt", "architectures": None}, "not known.*activation_function"),
    ("gpt1", {"afn": "relu"}, "afn is 'relu', .* can only be 'gelu'"),
    ("transformer", {"decoder_attention_heads": 4}, "encoder_attention_heads is 2 and decoder_attention_heads 4"),
    ("transformer", {"scale_embedding": None}, "scale_embedding is False"),
    ("transformer", {"activation_function": "tanh"}, "activation_function is 'tanh', which is none of swish"),
    ("resnet50-huggingface", {"hidden_act": "gelu"}, "hidden_act is 'gelu', .* can only be 'relu'"),
    ("resnet50-huggingface", {"downsample_in_first_stage": True}, "downsample_in_first_stage is True"),
    ("resnet50-huggingface", {"depths": [1, 3]}, r"depths"),
    ("vit-huggingface", {"model_type": "vit_msn"}, "model_type is 'vit_msn', which is another network than 'vit'"),
    ("vit-huggingface", {"qkv_bias": False}, "qkv_bias is False, .* can only be True"),
    ("resnet50-timm", {"architecture": "resnetaa50"}, "architecture is 'resnetaa50', which is another network"),
    ("resnet50-timm", {"architecture": "resnetblur50"}, "architecture is 'resnetblur50', which is another network"),
    ("resnet50-timm", {"model_args": {"act_layer": "silu"}}, "model_args: act_layer is 'silu'"),
    ("resnet50-timm", {"model_args": {"output_stride": 8}}, "model_args: output_stride is 8"),
    ("resnet50-timm", {"model_args": 3}, "model_args must be an object, not 3"),
    ("resnet50-timm", {"architecture": None, "model_type": "timm_wrapper"}, "architecture is missing"),
    ("vit-timm", {"global_pool": "avg"}, "global_pool is 'avg', .* can only be 'token'"),
    ("vit-timm", {"model_args": {"global_pool": "avg", "fc_norm": False}}, "model_args: global_pool is 'avg'"),
    ("vit-huggingface", {"image_size": [16, 64]}, r"image_size is \[16, 64\]: only square images can be read"),
    ("vit-timm", {"model_args": {"num_heads": 2, "img_size": [16, 64]}}, r"img_size is \[16, 64\]: only square"),
    ("vit-timm", {"architecture": []}, r"architecture is \[\], which is another network"),
    ("vit-timm", {"architecture": ["vit_tiny_patch16_224"]}, "architecture is .*, which is another network"),
    ("resnet18-torchvision", {"epochs": 3}, "config.json belongs to other weights: this layout has no such file"),
]


@pytest.mark.parametrize(("name", "changes", "line"), REFUSED)
def test_another_network_is_refused_by_its_key(
    name: str, changes: dict[str, Any], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TIMM, "resnet18-torchvision", {})
    card, fields = published(name, tmp_path, **changes)
    with pytest.raises(UserError, match=line) as refusal:
        zoo.load_model(card, tmp_path, **fields)
    assert "\n" not in str(refusal.value)


OF_THE_HUB: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2-medium": ("gpt2", {"n_special": 0, "predict_special_tokens": True, "n_ctx": 1024}),
    "opus-mt-en-de": ("transformer", {"force_bos_token_to_be_generated": False, "extra_pos_embeddings": 58_101}),
    "ms-marco": ("bert-classify", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
    "ms-marco, newer": ("bert-classify", {"sentence_transformers": {"activation_fn": "x", "version": "4.0.1"}}),
    "of transformers 2": ("bert-masked", {"eos_token_ids": 0, "output_past": True, "xla_device": None}),
    "of a TPU": ("bert-masked", {"xla_device": True, "cls_token_id": 2, "mask_token_id": 3, "unk_token_id": 1}),
}
"""Keys of files of the hub that change nothing in the network, and were refused."""


@pytest.mark.parametrize("of", OF_THE_HUB)
def test_harmless_keys_of_files_of_the_hub(of: str, tmp_path: Path) -> None:
    name, changes = OF_THE_HUB[of]
    card, fields = published(name, tmp_path, **changes)
    assert zoo.load_model(card, tmp_path, **fields).model.cfg == network(name)[3].cfg


@pytest.mark.parametrize("kind", ["BertForTokenClassification", "BertForQuestionAnswering"])
def test_a_pooler_that_old_token_classifiers_hold_is_not_used(kind: str, tmp_path: Path) -> None:
    """The weights loaded as a classifier of whole texts."""
    card, fields = published("bert-classify", tmp_path, architectures=[kind])
    bare = {key: value for key, value in fields.items() if key != "head"}
    loaded = zoo.load_model(card, tmp_path, **bare)
    assert (loaded.model.cfg.head, len(loaded.passed_over)) == ("token", 2)
    with pytest.raises(UserError, match=r"has head='token' \(here 'classify'\)"):
        zoo.load_model(card, tmp_path, **bare, head="classify")
    assert zoo.load_model(card, tmp_path, **bare, head="pooler").model.cfg.head == "pooler"


def test_a_classifier_of_texts_without_its_pooler_is_refused(tmp_path: Path) -> None:
    card, fields = published("bert-token", tmp_path, architectures=["BertForSequenceClassification"])
    with pytest.raises(UserError, match=r"missing: bert\.pooler\.dense\.weight"):
        zoo.load_model(card, tmp_path, **{key: value for key, value in fields.items() if key != "head"})


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ({"1": "b", "0": "a"}, ("a", "b")),
        ({"1": "a", "2": "b"}, None),  # they were those of classes 0 and 1
        ({"0": "a", "\u00b2": "b"}, None),  # this was a traceback
    ],
)
def test_labels_are_those_of_their_numbers(names: dict[str, str], labels: Any, tmp_path: Path) -> None:
    card, fields = published("bert-classify", tmp_path, id2label=names)
    assert zoo.load_model(card, tmp_path, **fields).labels == labels


def test_a_tokenizer_config_that_is_no_object_is_one_line(tmp_path: Path) -> None:
    card, fields = published("bert-pooler", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(UserError, match=r"tokenizer_config\.json must be a JSON object, not '\[1\]'"):
        zoo.load_model(card, tmp_path, **fields)


def test_a_key_that_is_not_there_counts_as_its_library_counts_it(tmp_path: Path) -> None:
    """transformers gives BERT twelve heads where config.json names no number."""
    card, fields = published("bert-pooler", tmp_path, num_attention_heads=None, hidden_act=None, layer_norm_eps=None)
    with pytest.raises(UserError, match="heads=12"):
        zoo.load_model(card, tmp_path, **fields)


@pytest.mark.parametrize(("architecture", "heads"), [("vit_tiny_patch16_224", 3), ("deit_small_patch16_224", 6)])
def test_the_architecture_of_timm_tells_the_heads(architecture: str, heads: int, tmp_path: Path) -> None:
    card, fields = published("vit-timm", tmp_path, architecture=architecture)
    with pytest.raises(UserError, match=rf"heads={heads} \(here 2\)"):
        zoo.load_model(card, tmp_path, **fields)


def test_a_decoder_is_causal(tmp_path: Path) -> None:
    card, fields = published("bert-masked", tmp_path, is_decoder=True)
    assert zoo.load_model(card, tmp_path, **fields).model.cfg.causal
    with pytest.raises(UserError, match=r"causal=True \(here False\)"):
        zoo.load_model(card, tmp_path, **fields, causal=False)


def test_a_resnet_with_the_config_of_timm_has_its_layout(tmp_path: Path) -> None:
    """torchvision has the same names, and other defaults for the images."""
    card, fields = published("resnet50-timm", tmp_path)
    assert zoo.load_model(card, tmp_path, **fields).layout == "timm"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"model_type": "bert", "model_type": "bert"}', "it has the key 'model_type' twice"),
        ('{"a": ' + "[" * 100 + "]" * 100 + "}", "more than 64 levels"),
        (b'{"model_type": "b\xe9rt"}', "config.json is not a JSON file"),
        ("[1, 2]", r"config.json must be a JSON object, not '\[1, 2\]'"),
    ],
)
def test_a_damaged_config_is_one_line(text: str | bytes, line: str, tmp_path: Path) -> None:
    card, fields = published("bert-pooler", tmp_path)
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=line) as refusal:
        zoo.load_model(card, tmp_path, **fields)
    assert "\n" not in str(refusal.value)


def test_our_own_record_holds_no_field_that_is_unknown(tmp_path: Path) -> None:
    """The field was left out, and the weights of another network loaded."""
    card, layout, fields, model, variables = network("vit-timm")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    with_record(path, fields={**vars(model.cfg), "rotary": True})
    with pytest.raises(UserError, match="vit has no field rotary, which these weights record"):
        zoo.load_model(card, path)
    with_record(path, fields=vars(model.cfg), family="vitt")
    with pytest.raises(UserError, match="record fields of the family 'vitt', which is not known here"):
        zoo.load_model(card, path)
    with_record(path, fields={}, quantized=True)
    with pytest.raises(UserError, match="records quantized, which is not known here"):
        zoo.load_model(card, path, **fields)


def test_every_layout_with_a_config_json_knows_what_it_writes() -> None:
    """So that an exported folder is read back even where its record was lost."""
    for layout in layouts.LAYOUTS:
        assert (layout.describe is not None) <= bool(layout.keys), layout


@pytest.mark.parametrize(
    ("name", "record", "line"),
    [
        ("vit-timm", {"kind": "text"}, "record a preprocessing of text, and vit_mini_patch4 reads x"),
        ("bert-pooler", {"kind": "images", "size": [8, 8]}, "preprocessing of images, and bert_mini reads tokens"),
        ("vit-timm", {"kind": "images", "size": [32, 32], "std": [0, 1, 1]}, "std of images must be positive numbers"),
        ("vit-timm", {"kind": "images", "size": [32, 32], "mean": [float("nan")] * 3}, "mean of images must be a numb"),
    ],
)
def test_a_recorded_preprocessing_that_no_input_can_follow(
    name: str, record: dict[str, Any], line: str, tmp_path: Path
) -> None:
    """It was a traceback, or all inputs became infinite."""
    card, layout, fields, model, variables = network(name)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    with_record(path, preprocessing=record)
    with pytest.raises(UserError, match=line):
        zoo.load_model(card, path, **fields)
