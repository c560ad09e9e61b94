"""The layout of the Transformer in Hugging Face's Marian, the network of the OPUS translators (Helsinki-NLP/opus-mt-*).

It is the paper's network with swish instead of ReLU, all sines of the positions before the cosines, and a bias on the
logits.
"""

from collections.abc import Mapping
from typing import Any

from zoo.errors import UserError
from zoo.transformer import Config, Transformer
from zoo.weights import hugging_face
from zoo.weights.layout import Found, Layout, Shapes, activation_of, first_axis
from zoo.weights.preprocessing import Text
from zoo.weights.rules import LINEAR, ONE_ROW, SAME, Rule, joined, layer_norm, linear, rule

SIDE = {"layers": 12, "attention_heads": 16, "ffn_dim": 4096}
ACTIVATIONS = {"swish": "swish", "silu": "swish", "relu": "relu", "gelu": "gelu"}


def rules(config: Config) -> list[Rule]:
    """Return the rules: model.shared, model.encoder.layers.0, ..., model.decoder.layers.0, ..., final_logits_bias."""
    copies = ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"]
    found = [
        rule("params/tokens/embedding", "model.shared.weight", SAME, copies),
        rule("params/head/bias", "final_logits_bias", ONE_ROW),
    ]
    for side in ("encoder", "decoder"):
        for i in range(config.depth):
            ours, theirs = f"params/{side}{i}", f"model.{side}.layers.{i}"
            found += _joined(f"{ours}/attention/qkv", [f"{theirs}.self_attn.{n}_proj" for n in "qkv"])
            found += linear(f"{ours}/attention/out", f"{theirs}.self_attn.out_proj")
            found += layer_norm(f"{ours}/attention_norm", f"{theirs}.self_attn_layer_norm")
            found += linear(f"{ours}/mlp/up", f"{theirs}.fc1") + linear(f"{ours}/mlp/down", f"{theirs}.fc2")
            found += layer_norm(f"{ours}/mlp_norm", f"{theirs}.final_layer_norm")
            if side == "decoder":
                found += linear(f"{ours}/cross/q", f"{theirs}.encoder_attn.q_proj")
                found += _joined(f"{ours}/cross/kv", [f"{theirs}.encoder_attn.{n}_proj" for n in "kv"])
                found += linear(f"{ours}/cross/out", f"{theirs}.encoder_attn.out_proj")
                found += layer_norm(f"{ours}/cross_norm", f"{theirs}.encoder_attn_layer_norm")
    return found


def _joined(ours: str, theirs: list[str]) -> list[Rule]:
    return [
        rule(f"{ours}/kernel", [f"{name}.weight" for name in theirs], joined(LINEAR, len(theirs))),
        rule(f"{ours}/bias", [f"{name}.bias" for name in theirs], joined(SAME, len(theirs))),
    ]


def _infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
    found = first_axis(shapes, vocab="model.shared.weight")
    if not content:
        return found
    for name in ("layers", "attention_heads", "ffn_dim"):
        ours, other = (content[f"{side}_{name}"] for side in ("encoder", "decoder"))
        if ours != other:
            raise UserError(f"config.json: encoder_{name} is {ours} and decoder_{name} {other}: here both are equal")
    if not content["scale_embedding"]:
        raise UserError("config.json: scale_embedding is False: embeddings are not scaled by the root of the width")
    found["activation"] = activation_of(content, "activation_function", ACTIVATIONS)
    return found | {"heads": content["encoder_attention_heads"]}


KEYS = hugging_face.keys(
    ("marian",),
    architectures=r"(TF|Flax)?Marian(Model|MTModel)",
    used={
        "vocab_size": 58_101,
        "d_model": 1024,
        **{f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in SIDE.items()},
        "activation_function": "gelu",
        "scale_embedding": False,
    },
    only={
        "is_encoder_decoder": (True,),
        "normalize_before": (False,),
        "normalize_embedding": (False,),
        "add_final_layer_norm": (False,),
        "share_encoder_decoder_embeddings": (True,),
        "static_position_embeddings": (True,),
    },
    harmless=(
        "activation_dropout", "add_bias_logits", "attention_dropout", "classif_dropout", "classifier_dropout",
        "decoder_layerdrop", "decoder_vocab_size", "dropout", "encoder_layerdrop", "extra_pos_embeddings",
        "init_std", "max_position_embeddings", "num_hidden_layers",
    ),
)  # fmt: skip


def _facts(config: Config) -> Found:
    return {"norm": "post", "norm_epsilon": 1e-5, "positions": "halves", "logits_bias": True, "final_norm": False}


def _describe(config: Config, shapes: Shapes) -> dict[str, Any]:
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", config.depth), ("attention_heads", config.heads), ("ffn_dim", config.hidden))
    }
    return {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "vocab_size": config.vocab,
        "decoder_vocab_size": config.vocab,
        "d_model": config.width,
        **sides,
        "activation_function": config.activation,
        "scale_embedding": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "dropout": config.dropout,
        "pad_token_id": config.vocab - 1,
        "decoder_start_token_id": config.vocab - 1,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
    }


def _refuses(config: Config) -> str:
    named = config.activation in ACTIVATIONS.values()
    return "" if named else f"its activation is one of {', '.join(sorted(set(ACTIVATIONS.values())))}"


LAYOUTS = [
    Layout(
        "huggingface",
        Transformer,
        rules,
        known_by=("model.shared.weight", "final_logits_bias", "model.encoder.layers.0.self_attn.q_proj.weight"),
        facts=_facts,
        usual=lambda shapes: {"activation": "swish"},
        keys={"marian": KEYS},
        infer=_infer,
        not_weights=("model.*coder.embed_positions.weight",),
        refuses=_refuses,
        preprocessing=Text(),
        describe=_describe,
    )
]
