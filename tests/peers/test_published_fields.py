"""Networks of torchvision, timm, Hugging Face and PyTorch that differ from the papers' own: in, out, and equal.

Needs the extra `peers`; what of it is not installed is skipped.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import reference_images  # noqa: E402
import reference_text  # noqa: E402
from published import BOUND, error, errors, images, nchw, ours, randomized, run, saved  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch_recurrent import AttentionSeq2Seq  # noqa: E402

import zoo  # noqa: E402

TOKENS = np.random.default_rng(0).integers(1, 50, size=(2, 12))
TARGET = np.random.default_rng(1).integers(1, 49, size=(2, 9))
MASK = np.arange(12)[None] < np.array([[12], [7]])
SMALL = {"width": 32, "depth": 2, "heads": 2}
X32, X64 = images(32), images(64)


def hugging_face() -> Any:
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def comes_and_goes(theirs: nn.Module, name: str, x: Any, fields: dict[str, Any], folder: Path, layout: str) -> Any:
    """Load what `theirs` saves, compare outputs, and load there what is written here; return what was loaded."""
    given = nchw(x) if x.ndim == 4 else torch.tensor(x)
    expected = run(theirs, given)["output"]
    of_hugging_face = hasattr(theirs, "save_pretrained")
    if of_hugging_face:
        theirs.save_pretrained(folder / "in")
    path = folder / "in" if of_hugging_face else saved(theirs, folder / "in.safetensors")
    loaded = zoo.load_model(name, path, layout=layout, **fields)
    found = error(ours(loaded, x)["output"], expected)
    print(name, found)
    assert found <= BOUND
    out = folder / ("out" if of_hugging_face else "out.safetensors")
    out = zoo.save_weights(out, loaded.model, loaded.variables, layout=layout)
    if of_hugging_face:
        again, said = type(theirs).from_pretrained(out, output_loading_info=True)
        assert not any(said[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), said
        assert error(run(again.eval(), given)["output"], expected) <= BOUND
    else:
        arrays, came = load_file(out), load_file(path)
        assert arrays.keys() == came.keys()
        for key, array in came.items():
            if not key.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(arrays[key], array.astype(np.float32), err_msg=key)
    return loaded


@pytest.mark.parametrize(("kind", "sizes"), [("basic", [8, 16]), ("bottleneck", [32, 64])])
def test_a_stem_of_another_width_of_hugging_face(kind: str, sizes: list[int], tmp_path: Path) -> None:
    transformers = hugging_face()
    config = transformers.ResNetConfig(
        embedding_size=12, hidden_sizes=sizes, depths=[2, 1], layer_type=kind, num_labels=10
    )
    theirs = randomized(transformers.ResNetForImageClassification(config))
    name = "resnet18" if kind == "basic" else "resnet50"
    fields = {"depths": (2, 1), "widths": (8, 16)}
    loaded = comes_and_goes(theirs, name, X64, fields, tmp_path, "huggingface")
    assert loaded.model.cfg.stem_width == 12


def test_a_stem_of_another_width_of_timm(tmp_path: Path) -> None:
    """timm's stem keeps 64 channels whatever `channels` says of the stages."""
    resnet = pytest.importorskip("timm").models.resnet
    theirs = randomized(resnet.ResNet(resnet.BasicBlock, (1, 1, 1, 1), channels=(16, 24, 32, 40), num_classes=10))
    fields = {"depths": (1, 1, 1, 1), "widths": (16, 24, 32, 40)}
    loaded = comes_and_goes(theirs, "resnet18", X64, fields, tmp_path, "timm")
    assert loaded.model.cfg.stem_width == 64


@pytest.mark.parametrize(("ratio", "field"), [(2.6, "hidden"), (48 / 11, "hidden"), (3.0, "mlp_ratio")])
def test_a_ratio_of_timm(ratio: float, field: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm").models
    theirs = timm.VisionTransformer(32, 8, num_classes=10, embed_dim=32, depth=2, num_heads=2, mlp_ratio=ratio)
    loaded = comes_and_goes(randomized(theirs), "vit_mini_patch8", X32, SMALL, tmp_path, "timm")
    assert getattr(loaded.model.cfg, field) == (int(32 * ratio) if field == "hidden" else ratio)


def test_a_representation_layer_of_torchvision(tmp_path: Path) -> None:
    vit = pytest.importorskip("torchvision").models.VisionTransformer
    theirs = randomized(vit(32, 8, 2, 2, 32, 75, num_classes=10, representation_size=20))
    loaded = comes_and_goes(theirs, "vit_mini_patch8", X32, SMALL, tmp_path, "torchvision")
    assert (loaded.model.cfg.representation, loaded.model.cfg.hidden) == (20, 75)


def test_a_representation_layer_of_google(tmp_path: Path) -> None:
    arrays = reference_images.google_vit_arrays(8, 32, 2, 2, 32, 10, seed=0)
    draw = torch.Generator().manual_seed(1)
    arrays["pre_logits/kernel"] = torch.randn(32, 24, generator=draw) * 32**-0.5
    arrays["pre_logits/bias"] = torch.randn(24, generator=draw) * 0.1
    arrays["head/kernel"] = torch.randn(24, 10, generator=draw) * 24**-0.5
    np.savez(tmp_path / "google.npz", **{name: array.numpy() for name, array in arrays.items()})
    loaded = zoo.load_model("vit_mini_patch8", tmp_path / "google.npz", **SMALL)
    assert loaded.model.cfg.representation == 24
    theirs = reference_images.google_vit(arrays, torch.tensor(X32, dtype=torch.float64), depth=2)
    found = errors(ours(loaded, X32), {name: array.numpy() for name, array in theirs.items()})
    assert max(found.values()) <= BOUND
    path = zoo.save_weights(tmp_path / "out.npz", loaded.model, loaded.variables, layout="google-vit")
    with np.load(path) as out:
        assert out.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(out[name], array.numpy())


def test_the_pooler_of_hugging_face(tmp_path: Path) -> None:
    """ViTModel has no classifier: its pooler is what `represent` gives, and the head is new."""
    transformers = hugging_face()
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=90, image_size=32, patch_size=8
    )
    theirs = randomized(transformers.ViTModel(config))
    theirs.save_pretrained(tmp_path)
    loaded = zoo.load_model("vit_mini_patch8", tmp_path, new_head=True, representation=32, **SMALL)
    assert (loaded.model.cfg.hidden, loaded.passed_over) == (90, ())
    pooled = loaded.model.apply(loaded.variables, X32, train=False, method="represent")
    with torch.no_grad():
        expected = theirs.double()(nchw(X32)).pooler_output.numpy()
    assert error(pooled, expected) <= BOUND


def test_bert_without_a_pooler_and_with_mlps_of_any_width(tmp_path: Path) -> None:
    transformers = hugging_face()
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=90,
        max_position_embeddings=16,
    )  # fmt: skip
    theirs = randomized(transformers.BertModel(config, add_pooling_layer=False))
    theirs.save_pretrained(tmp_path / "in")
    loaded = zoo.load_model("bert_mini", tmp_path / "in", **SMALL)
    assert (loaded.model.cfg.head, loaded.model.cfg.hidden, loaded.passed_over) == ("hidden", 90, ())
    with torch.no_grad():
        expected = theirs.double()(torch.tensor(TOKENS), torch.tensor(MASK).long()).last_hidden_state.numpy()
    hidden = loaded.model.apply(loaded.variables, TOKENS, MASK, train=False)
    assert error(hidden, expected) <= BOUND
    out = zoo.save_weights(tmp_path / "out", loaded.model, loaded.variables, layout="huggingface")
    again, said = transformers.BertModel.from_pretrained(out, add_pooling_layer=False, output_loading_info=True)
    assert not any(said[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), said
    with torch.no_grad():
        came_back = again.eval().double()(torch.tensor(TOKENS), torch.tensor(MASK).long()).last_hidden_state.numpy()
    assert error(came_back, expected) <= BOUND


def test_gpt2_with_mlps_of_any_width(tmp_path: Path) -> None:
    transformers = hugging_face()
    config = transformers.GPT2Config(
        vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=16, n_inner=90, bos_token_id=0, eos_token_id=0
    )
    theirs = randomized(transformers.GPT2LMHeadModel(config))
    loaded = comes_and_goes(theirs, "gpt2", TOKENS, SMALL, tmp_path, "huggingface")
    assert loaded.model.cfg.hidden == 90


def test_dense_layers_of_alexnet_of_another_width(tmp_path: Path) -> None:
    theirs = pytest.importorskip("torchvision").models.AlexNet(num_classes=10)
    theirs.classifier[1], theirs.classifier[4] = nn.Linear(9216, 40), nn.Linear(40, 40)
    theirs.classifier[6] = nn.Linear(40, 10)
    loaded = comes_and_goes(randomized(theirs), "alexnet_one_tower", images(96), {}, tmp_path, "torchvision")
    assert loaded.model.cfg.hidden == 40


def stack_of_torch(theirs: nn.Transformer, side: str) -> dict[str, Any]:
    """The parameters of our blocks and final norm of one side."""

    def linear(weight: Tensor, bias: Tensor) -> dict[str, Any]:
        return {"kernel": weight.detach().float().numpy().T, "bias": bias.detach().float().numpy()}

    def norm(layer: nn.LayerNorm) -> dict[str, Any]:
        return {"scale": layer.weight.detach().float().numpy(), "bias": layer.bias.detach().float().numpy()}

    stack, found = getattr(theirs, side), {}
    for i, layer in enumerate(stack.layers):
        own = layer.self_attn
        found[f"{side}{i}"] = {
            "attention": {"qkv": linear(own.in_proj_weight, own.in_proj_bias),
                          "out": linear(own.out_proj.weight, own.out_proj.bias)},
            "mlp": {"up": linear(layer.linear1.weight, layer.linear1.bias),
                    "down": linear(layer.linear2.weight, layer.linear2.bias)},
            "attention_norm": norm(layer.norm1),
            "mlp_norm": norm(layer.norm2 if side == "encoder" else layer.norm3),
        }  # fmt: skip
        if side == "decoder":
            cross, width = layer.multihead_attn, theirs.d_model
            weight, bias = cross.in_proj_weight, cross.in_proj_bias
            found[f"{side}{i}"] |= {
                "cross": {"q": linear(weight[:width], bias[:width]), "kv": linear(weight[width:], bias[width:]),
                          "out": linear(cross.out_proj.weight, cross.out_proj.bias)},
                "cross_norm": norm(layer.norm2),
            }  # fmt: skip
    return found | {f"{side}_norm": norm(stack.norm)}


@pytest.mark.filterwarnings("ignore:.*nested.tensor")  # which torch would use in its encoder, or says it does not
@pytest.mark.parametrize("first", [False, True])
def test_the_stacks_of_torch_end_in_norms(first: bool) -> None:
    """torch.nn.Transformer has no embeddings: ours are given to it, and its output to our logits."""
    theirs = randomized(nn.Transformer(32, 2, 2, 2, 48, batch_first=True, norm_first=first))
    fields = {"vocab": 50, **SMALL, "hidden": 48, "norm_epsilon": 1e-5}
    model = zoo.create("transformer_mini", **fields, **({"norm": "pre"} if first else {"final_norm": True}))
    table = np.random.default_rng(2).normal(size=(50, 32)).astype(np.float32) * 0.2
    params = {**stack_of_torch(theirs, "encoder"), **stack_of_torch(theirs, "decoder"), "tokens": {"embedding": table}}
    output = model.apply({"params": params}, TOKENS, MASK, TARGET, train=False)

    def embedded(tokens: np.ndarray) -> Tensor:
        positions = np.asarray(zoo.transformer.sinusoids(tokens.shape[1], 32), np.float64)
        return torch.tensor(table[tokens].astype(np.float64) * 32**0.5 + positions)

    causal, padding = nn.Transformer.generate_square_subsequent_mask(9).double(), torch.tensor(~MASK)
    masks = {"tgt_mask": causal, "src_key_padding_mask": padding, "memory_key_padding_mask": padding}
    with torch.no_grad():
        expected = theirs.double()(embedded(TOKENS), embedded(TARGET), **masks) @ torch.tensor(table.T).double()
    found = error(output, expected.numpy())
    print("torch.nn.Transformer", first, found)
    assert found <= BOUND


class PlainAttention(AttentionSeq2Seq):
    """With one linear layer for the logits, of the new state, as in bentrevett/pytorch-seq2seq, chapter 3."""

    def __init__(self, *, vocab: int, embed: int, width: int, **sizes: Any) -> None:
        super().__init__(vocab=vocab, embed=embed, width=width, maxout=1, **sizes)
        del self.readout
        self.head = nn.Linear(3 * width + embed, vocab)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        annotations, last = self.encoder(self.source_embed(source))
        keys, state = self.keys(annotations), torch.tanh(self.initial(last[1]))
        read = []
        for e in self.target_embed(target).unbind(1):
            energy = self.score(torch.tanh(self.query(state)[:, None] + keys)).squeeze(2)
            weights = energy.masked_fill(~source_mask, -torch.inf).softmax(1)
            context = torch.bmm(weights[:, None], annotations).squeeze(1)
            state = self.decoder(torch.cat([e, context], 1), state)
            read.append(torch.cat([state, e, context], 1))
        return self.head(torch.stack(read, 1))


def test_a_plain_output_of_attention(tmp_path: Path) -> None:
    sizes = {"source_vocab": 50, "vocab": 60, "embed": 12, "width": 16, "align": 10}
    theirs = randomized(PlainAttention(**sizes, dropout=0.0))
    fields = {name: size for name, size in sizes.items() if "vocab" not in name}
    path = saved(theirs, tmp_path / "w.safetensors")
    loaded = zoo.load_model("seq2seq_attention_mini", path, **fields)
    assert loaded.model.cfg.output == "plain"
    inputs = (torch.tensor(TOKENS), torch.ones(MASK.shape, dtype=bool), torch.tensor(TARGET))
    found = error(ours(loaded, TOKENS, np.ones_like(MASK), TARGET)["output"], run(theirs, *inputs)["output"])
    print("plain output", found)
    assert found <= BOUND
    out = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    arrays = load_file(out)
    for name, array in load_file(path).items():
        np.testing.assert_array_equal(arrays.pop(name), array)
    assert not arrays


def test_both_biases_of_an_lstm_come_back(tmp_path: Path) -> None:
    theirs = randomized(reference_text.RNNModel(50, 16, 2))
    fields = {"width": 16, "two_biases": True}
    loaded = comes_and_goes(theirs, "lstm_char", TOKENS, fields, tmp_path, "pytorch")
    assert "recurrent_bias" in loaded.variables["params"]["layers"]["layer1"]


def test_both_biases_of_two_lstms_come_back(tmp_path: Path) -> None:
    theirs = randomized(reference_text.Seq2Seq(50, 60, 12, 16, 2))
    path = saved(theirs, tmp_path / "w.safetensors")
    loaded = zoo.load_model("seq2seq_mini", path, embed=12, width=16, two_biases=True)
    expected = run(theirs, torch.tensor(TOKENS), torch.tensor(TARGET))["output"]
    assert error(ours(loaded, TOKENS, np.ones_like(MASK), TARGET)["output"], expected) <= BOUND
    out = zoo.save_weights(tmp_path / "out.safetensors", loaded.model, loaded.variables, layout="pytorch")
    arrays = load_file(out)
    for name, array in load_file(path).items():
        np.testing.assert_array_equal(arrays[name], array)
