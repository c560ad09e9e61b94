"""The layouts of GPT-2 and GPT in Hugging Face's library. Kernels are (inputs, outputs), as here."""

from collections.abc import Mapping
from typing import Any

from zoo.gpt import GPT, Config
from zoo.weights import hugging_face
from zoo.weights.layout import Found, Layout, Shapes, first_axis, gelu_of, mlp_of
from zoo.weights.preprocessing import Text
from zoo.weights.rules import SAME, Rule, layer_norm, linear, rule


def rules(config: Config) -> list[Rule]:
    """Return the rules: transformer.wte, transformer.wpe, transformer.h.0, ..., transformer.ln_f.

    GPT-1 names the tables tokens_embed and positions_embed, and has no ln_f.
    """
    first = config.norm == "post"
    tokens, positions = ("tokens_embed", "positions_embed") if first else ("wte", "wpe")
    found = [
        rule("params/tokens/embedding", f"transformer.{tokens}.weight", SAME, ["lm_head.weight"]),
        rule("params/positions/embedding", f"transformer.{positions}.weight", SAME),
    ]
    for i in range(config.depth):
        ours, theirs = f"params/block{i}", f"transformer.h.{i}"
        found += [
            *layer_norm(f"{ours}/attention_norm", f"{theirs}.ln_1"),
            *linear(f"{ours}/attention/qkv", f"{theirs}.attn.c_attn", SAME),
            *linear(f"{ours}/attention/out", f"{theirs}.attn.c_proj", SAME),
            *layer_norm(f"{ours}/mlp_norm", f"{theirs}.ln_2"),
            *linear(f"{ours}/mlp/up", f"{theirs}.mlp.c_fc", SAME),
            *linear(f"{ours}/mlp/down", f"{theirs}.mlp.c_proj", SAME),
        ]
    return found if first else found + layer_norm("params/norm", "transformer.ln_f")


def _name(name: str) -> str:
    """Add the prefix "transformer.", which models without a head lack, and rename the tables of GPT-1."""
    if name.startswith(("h.", "wte.", "wpe.", "ln_f.", "tokens_embed.", "positions_embed.")):
        name = f"transformer.{name}"
    return name.replace(".tokens_embed.", ".wte.").replace(".positions_embed.", ".wpe.")


def _infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
    found = first_axis(shapes, vocab="transformer.wte.weight", context="transformer.wpe.weight")
    found |= mlp_of(shapes, "transformer.h.0.mlp.c_fc.weight", config, transposed=True)
    found["norm"] = "pre" if "transformer.ln_f.weight" in shapes else "post"
    if content:
        second = content["model_type"] == "gpt2"
        found["norm"] = "pre" if second else "post"
        found["heads"] = content["n_head"]
        found["norm_epsilon"] = float(content["layer_norm_epsilon"])
        # The activation that GPT-1's file names "gelu" is the tanh form.
        found["gelu"] = gelu_of(content, "activation_function") if second else "tanh"
    return found


SIZES = {"n_embd": 768, "n_layer": 12, "n_head": 12, "layer_norm_epsilon": 1e-5}
HARMLESS = (
    "attn_pdrop", "embd_pdrop", "n_ctx", "n_special", "predict_special_tokens", "resid_pdrop", "summary_activation",
    "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
)  # fmt: skip
"""n_ctx is n_positions in old files. What begins with summary_ is of a head that cannot be loaded here. The files of
gpt2-medium and larger have GPT-1's keys for special tokens."""
SECOND = hugging_face.keys(
    ("gpt2",),
    architectures=r"(TF|Flax)?GPT2(Model|\w*LMHeadModel|DoubleHeadsModel|For\w+)",
    used=SIZES | {"vocab_size": 50_257, "n_positions": 1024, "activation_function": "gelu_new"},
    only={"scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,)},
    harmless=(*HARMLESS, "n_inner", "reorder_and_upcast_attn"),  # n_inner shows in the arrays
)
FIRST = hugging_face.keys(
    ("openai-gpt",),
    architectures=r"(TF)?OpenAIGPT(Model|LMHeadModel|DoubleHeadsModel|For\w+)",
    used=SIZES | {"vocab_size": 40_478, "n_positions": 512},
    only={"afn": ("gelu",)},
    harmless=HARMLESS,
)


def _describe(config: Config, shapes: Shapes) -> dict[str, Any]:
    content = {
        "vocab_size": config.vocab,
        "n_positions": config.context,
        "n_embd": config.width,
        "n_layer": config.depth,
        "n_head": config.heads,
        "layer_norm_epsilon": config.norm_epsilon,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
        "tie_word_embeddings": True,
    }
    if config.norm == "post":
        return {"architectures": ["OpenAIGPTLMHeadModel"], "model_type": "openai-gpt", "afn": "gelu", **content}
    content |= {"n_inner": config.hidden} if config.hidden else {}
    act = "gelu_new" if config.gelu == "tanh" else "gelu"
    end = {"bos_token_id": config.vocab - 1, "eos_token_id": config.vocab - 1}
    return {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": act, **content, **end
    }  # fmt: skip


def _refuses(config: Config) -> str:
    if config.norm == "post" and config.gelu != "tanh":
        return "GPT-1 has the tanh form of GELU"
    if config.norm == "post" and config.units != 4 * config.width:
        return "GPT-1 has MLPs of four times the width"
    return "" if config.bias else "its linear layers and norms have biases"


LAYOUTS = [
    Layout(
        "huggingface",
        GPT,
        rules,
        known_by=("transformer.wte.weight", "transformer.wpe.weight", "transformer.h.0.attn.c_attn.weight"),
        keys={"gpt2": SECOND, "openai-gpt": FIRST},
        infer=_infer,
        rename=_name,
        not_weights=("*.attn.bias", "*.attn.masked_bias"),
        refuses=_refuses,
        preprocessing=Text(),
        describe=_describe,
    )
]
