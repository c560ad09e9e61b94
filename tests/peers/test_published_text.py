"""Text networks of Hugging Face: in, out, and equal to rounding. Needs the extra `peers`."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import reference_text as reference  # noqa: E402
from published import BOUND, error, errors, ours, randomized, run, saved  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from torch_recurrent import AttentionSeq2Seq  # noqa: E402

import zoo  # noqa: E402
from zoo.weights import layouts  # noqa: E402
from zoo.weights.fit import expected_shapes, inputs_for, rules_for  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

SMALL = {"width": 32, "depth": 2, "heads": 2}
TOKENS = np.random.default_rng(0).integers(1, 50, size=(2, 12))
MASK = np.arange(12)[None] < np.array([[12], [7]])
SEGMENTS = np.tile(np.arange(12) > 5, (2, 1)).astype(np.int32)
BERT_HEADS = {
    "BertModel": "pooler",
    "BertForPreTraining": "pretrain",
    "BertForMaskedLM": "masked",
    "BertForSequenceClassification": "classify",
    "BertForTokenClassification": "token",
}


def bert(kind: str, faint: tuple[str, ...] = (), **fields: Any) -> Any:
    config = transformers.BertConfig(
        **{
            "vocab_size": 50,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 128,
            "max_position_embeddings": 16,
            "num_labels": 3,
            **fields,
        }
    )
    return randomized(getattr(transformers, kind)(config), faint=faint)


def gpt2(**fields: Any) -> Any:
    config = transformers.GPT2Config(
        **{
            "vocab_size": 50,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": 16,
            "bos_token_id": 0,
            "eos_token_id": 0,
            **fields,
        }
    )
    return randomized(transformers.GPT2LMHeadModel(config), faint=("*wte*", "*wpe*", "*c_proj*"))


def bert_outputs(model: Any) -> list[np.ndarray]:
    with torch.no_grad():
        found = model.double()(
            torch.tensor(TOKENS), attention_mask=torch.tensor(MASK).long(), token_type_ids=torch.tensor(SEGMENTS).long()
        )
    return [part.numpy() for part in found.to_tuple()]


def our_bert_outputs(loaded: Any, mask: np.ndarray | None = MASK) -> list[Any]:
    found = loaded.model.apply(loaded.variables, TOKENS, mask, SEGMENTS, train=False)
    return list(found) if isinstance(found, tuple) else [found]


def reloaded(kind: type, folder: Path) -> Any:
    model, said = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(said[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys")), said
    return model.eval()


@pytest.mark.parametrize("kind", BERT_HEADS)
def test_bert_goes_in_and_out(kind: str, tmp_path: Path) -> None:
    """With padding and two segments; the model is chosen by what the file holds."""
    theirs = bert(kind)
    theirs.save_pretrained(tmp_path / "in")
    loaded = zoo.load_model("bert_mini", tmp_path / "in", **SMALL)
    assert (loaded.model.cfg.head, loaded.layout, loaded.passed_over) == (BERT_HEADS[kind], "huggingface", ())
    found = [error(a, b) for a, b in zip(our_bert_outputs(loaded), bert_outputs(theirs), strict=True)]
    print(kind, found)
    assert max(found) <= BOUND
    folder = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout="huggingface")
    again = reloaded(type(theirs), folder)
    assert again.state_dict().keys() == theirs.state_dict().keys()
    again.load_state_dict({name: torch.tensor(a) for name, a in load_file(folder / "model.safetensors").items()})
    found = [error(a, b) for a, b in zip(bert_outputs(again), bert_outputs(theirs), strict=True)]
    assert max(found) <= BOUND


def test_bert_of_an_old_file(tmp_path: Path) -> None:
    """gamma and beta, position_ids, and the heads of pre-training that a pooler has no use for."""
    theirs = bert("BertForPreTraining")
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    arrays = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in load_file(file).items()
    }
    save_file({**arrays, "bert.embeddings.position_ids": np.arange(16)[None]}, file)
    loaded = zoo.load_model("bert_mini", file, **SMALL)
    found = [error(a, b) for a, b in zip(our_bert_outputs(loaded), bert_outputs(theirs), strict=True)]
    assert max(found) <= BOUND
    pooler = zoo.create("bert_mini", vocab=50, context=16, **SMALL)
    hidden, _ = pooler.apply(zoo.load_weights(pooler, file), TOKENS, MASK, SEGMENTS, train=False)
    with torch.no_grad():
        states = theirs.bert(torch.tensor(TOKENS), torch.tensor(MASK).long(), torch.tensor(SEGMENTS).long())
    assert error(hidden, states.last_hidden_state.numpy()) <= BOUND


def test_answers_to_questions_are_two_classes_of_tokens(tmp_path: Path) -> None:
    theirs = randomized(transformers.BertForQuestionAnswering(bert("BertModel").config))
    theirs.config.num_labels = 2
    theirs = randomized(transformers.BertForQuestionAnswering(theirs.config))
    theirs.save_pretrained(tmp_path)
    loaded = zoo.load_model("bert_mini", tmp_path, **SMALL)
    assert error(our_bert_outputs(loaded)[0], np.stack(bert_outputs(theirs), -1)) <= BOUND


@pytest.mark.parametrize("fields", [{}, {"activation_function": "gelu", "layer_norm_epsilon": 1e-6}])
def test_gpt2_goes_in_and_out(fields: dict[str, Any], tmp_path: Path) -> None:
    theirs = gpt2(**fields)
    theirs.save_pretrained(tmp_path / "in")
    loaded = zoo.load_model("gpt2", tmp_path / "in", **SMALL)
    expected = run(
        theirs, torch.tensor(TOKENS), inside={"norm": "transformer.ln_f", "block0/mlp": "transformer.h.0.mlp"}
    )
    found = errors(ours(loaded, TOKENS), expected)
    print("gpt2", found)
    assert max(found.values()) <= BOUND
    folder = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout="huggingface")
    again = reloaded(type(theirs), folder)
    again.load_state_dict({name: torch.tensor(a) for name, a in load_file(folder / "model.safetensors").items()})
    assert error(run(again, torch.tensor(TOKENS))["output"], expected["output"]) <= BOUND


def test_gpt2_without_its_head_and_with_its_buffers(tmp_path: Path) -> None:
    """As the files of the hub are: no "transformer." before the names, and causal masks among the weights."""
    theirs = gpt2()
    arrays = {f"h.{i}.attn.bias": np.tri(16, dtype=np.float32)[None, None] for i in range(2)}
    for name, array in theirs.transformer.state_dict().items():
        arrays[name] = array.numpy()
    save_file(arrays, tmp_path / "model.safetensors")
    loaded = zoo.load_model("gpt2", tmp_path, **SMALL)
    assert error(ours(loaded, TOKENS)["output"], run(theirs, torch.tensor(TOKENS))["output"]) <= BOUND


def test_gpt1_goes_in_and_out(tmp_path: Path) -> None:
    config = transformers.OpenAIGPTConfig(vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=16)
    theirs = randomized(transformers.OpenAIGPTLMHeadModel(config))
    theirs.save_pretrained(tmp_path / "in")
    loaded = zoo.load_model("gpt1", tmp_path / "in", **SMALL)
    expected = run(theirs, torch.tensor(TOKENS))["output"]
    found = error(ours(loaded, TOKENS)["output"], expected)
    print("gpt1", found)
    assert found <= BOUND
    folder = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout="huggingface")
    assert error(run(reloaded(type(theirs), folder), torch.tensor(TOKENS))["output"], expected) <= BOUND


BERT_SIZES = {
    "bert_tiny": (128, 2, 2), "bert_mini": (256, 4, 4), "bert_small": (512, 4, 8), "bert_medium": (512, 8, 8),
    "bert_base": (768, 12, 12), "bert_large": (1024, 24, 16),
}  # fmt: skip
GPT_SIZES = {
    "gpt2": (768, 12, 12),
    "gpt2_medium": (1024, 24, 16),
    "gpt2_large": (1280, 36, 20),
    "gpt2_xl": (1600, 48, 25),
}


@pytest.mark.parametrize("name", [*BERT_SIZES, *GPT_SIZES])
def test_full_size_has_the_names_and_shapes_of_its_library(name: str) -> None:
    """Without memory for either: the tables against the published architecture."""
    with torch.device("meta"):
        if name in BERT_SIZES:
            width, depth, heads = BERT_SIZES[name]
            sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
            config = transformers.BertConfig(**sizes, intermediate_size=4 * width)
            model, fields = transformers.BertForPreTraining(config), {"head": "pretrain"}
        else:
            width, depth, heads = GPT_SIZES[name]
            model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=width, n_layer=depth, n_head=heads))
            fields = {}
    theirs = {key: tuple(array.shape) for key, array in model.state_dict().items()}
    card, model = zoo.card(name), zoo.create(name, **fields)
    layout = layouts.named(card.module, "huggingface")
    shapes = expected_shapes(model, inputs_for(card, model.cfg, layout, theirs))
    found = {}
    for rule in rules_for(layout, model.cfg, shapes):
        shape = rule.shapes(shapes)
        found |= dict(zip(rule.theirs, shape, strict=True)) | dict.fromkeys(rule.copies, shape[0])
    assert found == theirs


def changed(loaded: Any, **fields: Any) -> Any:
    return dataclasses.replace(loaded, model=loaded.model.clone(cfg=dataclasses.replace(loaded.model.cfg, **fields)))


MISTAKES = {
    "BERT: epsilon 1e-5 for 1e-12": ("bert", {"norm_epsilon": 1e-5}),
    "BERT: tanh for exact GELU": ("bert", {"gelu": "tanh"}),
    "BERT: dropped mask": ("bert", {}),
    "GPT-2: epsilon 1e-6 for 1e-5": ("gpt2", {"norm_epsilon": 1e-6}),
    "GPT-2: exact for tanh GELU": ("gpt2", {"gelu": "exact"}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, tmp_path: Path) -> None:
    kind, fields = MISTAKES[mistake]
    if kind == "bert":
        theirs = bert("BertForSequenceClassification", faint=("*embeddings*",))
        theirs.save_pretrained(tmp_path)
        wrong = changed(zoo.load_model("bert_mini", tmp_path, **SMALL), **fields)
        mask = None if "mask" in mistake else MASK
        found = error(our_bert_outputs(wrong, mask)[0], bert_outputs(theirs)[0])
    else:
        theirs = gpt2()
        theirs.save_pretrained(tmp_path)
        wrong = changed(zoo.load_model("gpt2", tmp_path, **SMALL), **fields)
        found = error(ours(wrong, TOKENS)["output"], run(theirs, torch.tensor(TOKENS))["output"])
    print(f"{mistake}: {found:.1e}")
    assert found > 3 * BOUND


def marian(**fields: Any) -> Any:
    """As the OPUS translators are configured."""
    sizes = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))
    }
    special = {"pad_token_id": 49, "eos_token_id": 0, "decoder_start_token_id": 49, "forced_eos_token_id": 0}
    config = transformers.MarianConfig(
        **{
            "vocab_size": 50,
            "d_model": 32,
            **sizes,
            "max_position_embeddings": 16,
            "activation_function": "swish",
            "scale_embedding": True,
            **special,
            **fields,
        }
    )
    model = randomized(transformers.MarianMTModel(config))
    model.final_logits_bias.data.copy_(torch.linspace(-1, 1, 50)[None])
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.weight.data.copy_(side.embed_positions.create_weight())
    return model


def marian_outputs(model: Any) -> dict[str, np.ndarray]:
    target = torch.tensor(TARGET)
    found = run(
        model,
        torch.tensor(TOKENS),
        attention_mask=torch.tensor(MASK).long(),
        decoder_input_ids=target,
        inside={"encoder1": "model.encoder.layers.1", "decoder1": "model.decoder.layers.1"},
    )
    return found


TARGET = np.random.default_rng(1).integers(1, 49, size=(2, 9))
MARIAN = {"width": 32, "depth": 2, "heads": 2, "hidden": 64}


@pytest.mark.parametrize("act", ["swish", "relu"])
def test_marian_goes_in_and_out(act: str, tmp_path: Path) -> None:
    theirs = marian(activation_function=act)
    theirs.save_pretrained(tmp_path / "in")
    loaded = zoo.load_model("transformer_mini", tmp_path / "in", **MARIAN)
    expected = marian_outputs(theirs)
    found = errors(ours(loaded, TOKENS, MASK, TARGET), expected)
    print("marian", act, found)
    assert max(found.values()) <= BOUND
    folder = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout="huggingface")
    again = reloaded(type(theirs), folder)
    assert error(marian_outputs(again)["output"], expected["output"]) <= BOUND


def test_marian_of_another_network_is_refused(tmp_path: Path) -> None:
    marian(scale_embedding=False).save_pretrained(tmp_path)
    with pytest.raises(zoo.UserError, match="scale_embedding is False: embeddings are not scaled"):
        zoo.load_model("transformer_mini", tmp_path, **MARIAN)


def test_lstm_goes_in_and_out(tmp_path: Path) -> None:
    theirs = randomized(reference.RNNModel(50, 16, 2))
    loaded = zoo.load_model("lstm_char", saved(theirs, tmp_path / "w.safetensors"), width=16)
    assert loaded.layout == "pytorch"
    expected = run(theirs, torch.tensor(TOKENS))["output"]
    found = error(ours(loaded, TOKENS)["output"], expected)
    print("lstm", found)
    assert found <= BOUND
    path = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    again = reference.RNNModel(50, 16, 2)
    again.load_state_dict({name: torch.tensor(a) for name, a in load_file(path).items()}, strict=True)
    assert error(run(again, torch.tensor(TOKENS))["output"], expected) <= BOUND


def test_seq2seq_goes_in_and_out(tmp_path: Path) -> None:
    sizes = (50, 60, 12, 16, 2)
    theirs = randomized(reference.Seq2Seq(*sizes))
    loaded = zoo.load_model("seq2seq_mini", saved(theirs, tmp_path / "w.safetensors"), embed=12, width=16)
    inputs = (torch.tensor(TOKENS), torch.tensor(TARGET))
    expected = run(theirs, *inputs)["output"]
    found = error(ours(loaded, TOKENS, np.ones_like(MASK), TARGET)["output"], expected)
    print("seq2seq", found)
    assert found <= BOUND
    path = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    again = reference.Seq2Seq(*sizes)
    again.load_state_dict({name: torch.tensor(a) for name, a in load_file(path).items()}, strict=True)
    assert error(run(again, *inputs)["output"], expected) <= BOUND


def test_gru_goes_in_and_out(tmp_path: Path) -> None:
    """Bahdanau's network over nn.GRU in both directions and nn.GRUCell."""
    sizes = {"source_vocab": 50, "vocab": 60, "embed": 12, "width": 16, "align": 10, "maxout": 8}
    theirs = randomized(AttentionSeq2Seq(**sizes, dropout=0.0))
    fields = {name: size for name, size in sizes.items() if "vocab" not in name}
    loaded = zoo.load_model("seq2seq_attention_mini", saved(theirs, tmp_path / "w.safetensors"), **fields)
    inputs = (torch.tensor(TOKENS), torch.ones(MASK.shape, dtype=bool), torch.tensor(TARGET))
    expected = run(theirs, *inputs)["output"]
    found = error(ours(loaded, TOKENS, np.ones_like(MASK), TARGET)["output"], expected)
    print("gru", found)
    assert found <= BOUND
    path = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    again = AttentionSeq2Seq(**sizes, dropout=0.0)
    again.load_state_dict({name: torch.tensor(a) for name, a in load_file(path).items()}, strict=True)
    assert error(run(again.eval(), *inputs)["output"], expected) <= BOUND


@pytest.mark.parametrize(
    ("mistake", "fields"),
    [
        ("Marian: interleaved positions", {"positions": "interleaved"}),
        ("Marian: ReLU for swish", {"activation": "relu"}),
        ("Marian: dropped mask", {}),
    ],
)
def test_a_mistake_in_marian_is_seen(mistake: str, fields: dict[str, Any], tmp_path: Path) -> None:
    theirs = marian()
    theirs.save_pretrained(tmp_path)
    loaded = changed(zoo.load_model("transformer_mini", tmp_path, **MARIAN), **fields)
    mask = np.ones_like(MASK) if "mask" in mistake else MASK
    found = error(ours(loaded, TOKENS, mask, TARGET)["output"], marian_outputs(theirs)["output"])
    print(f"{mistake}: {found:.1e}")
    assert found > 3 * BOUND


def test_gates_in_another_order_are_seen(tmp_path: Path) -> None:
    theirs = randomized(reference.RNNModel(50, 16, 2))
    loaded = zoo.load_model("lstm_char", saved(theirs, tmp_path / "w.safetensors"), width=16)
    layer = loaded.variables["params"]["layers"]["layer0"]
    i, f, o, g = np.split(np.asarray(layer["recurrent"]), 4, axis=1)
    layer["recurrent"] = np.concatenate([i, f, g, o], axis=1)
    found = error(ours(loaded, TOKENS)["output"], run(theirs, torch.tensor(TOKENS))["output"])
    print(f"LSTM: gates in torch's order: {found:.1e}")
    assert found > 3 * BOUND
