"""The layouts of ViT in torchvision, timm, Hugging Face's library and Google's own JAX code
(github.com/google-research/vision_transformer). They differ in what names do not show: Hugging Face's norms have
epsilon 1e-12, the others 1e-6; Google's GELU is JAX's default, the tanh form, and exact in the others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import UserError
from zoo.vit import Config, ViT
from zoo.weights import hugging_face, timm_keys
from zoo.weights.layout import Found, Layout, Shapes, gelu_of, mlp_of
from zoo.weights.preprocessing import GOOGLE, TORCHVISION
from zoo.weights.rules import (
    LINEAR,
    SAME,
    Rule,
    flatten_first,
    flatten_last,
    joined,
    layer_norm,
    linear,
    patches,
    rule,
)


def _torch_rules(config: Config, names: Mapping[str, str]) -> list[Rule]:
    """Return the rules from the names of the parts; "{}" stands for the number of a block."""
    rules = [
        rule("params/token", names["token"], SAME),
        rule("params/positions", names["positions"], SAME),
        *linear("params/embed", names["embed"], patches(config.patch)),
        *layer_norm("params/norm", names["norm"]),
        *linear("params/head", names["head"]),
    ]
    if config.representation:
        rules += linear("params/representation", names["representation"])
    for i in range(config.depth):
        ours, part = f"params/block{i}", {key: name.format(i) for key, name in names.items()}
        rules += layer_norm(f"{ours}/norm1", part["norm1"]) + layer_norm(f"{ours}/norm2", part["norm2"])
        rules += linear(f"{ours}/attention/out", part["out"])
        rules += linear(f"{ours}/mlp/up", part["up"]) + linear(f"{ours}/mlp/down", part["down"])
        rules += _qkv(f"{ours}/attention/qkv", part)
    return rules


def _qkv(ours: str, part: Mapping[str, str]) -> list[Rule]:
    """Return the rules for queries, keys and values, in one array or in three."""
    if "qkv" in part:
        return [
            rule(f"{ours}/kernel", part["qkv"] + part["weight"], LINEAR),
            rule(f"{ours}/bias", part["qkv"] + part["bias"], SAME),
        ]
    three = [part[key] for key in ("query", "key", "value")]
    return [
        rule(f"{ours}/kernel", [f"{name}.weight" for name in three], joined(LINEAR, 3)),
        rule(f"{ours}/bias", [f"{name}.bias" for name in three], joined(SAME, 3)),
    ]


TORCHVISION_NAMES = {
    "token": "class_token",
    "positions": "encoder.pos_embedding",
    "embed": "conv_proj",
    "norm": "encoder.ln",
    "representation": "heads.pre_logits",
    "head": "heads.head",
    "norm1": "encoder.layers.encoder_layer_{}.ln_1",
    "norm2": "encoder.layers.encoder_layer_{}.ln_2",
    "qkv": "encoder.layers.encoder_layer_{}.self_attention.in_proj",
    "weight": "_weight",
    "bias": "_bias",
    "out": "encoder.layers.encoder_layer_{}.self_attention.out_proj",
    "up": "encoder.layers.encoder_layer_{}.mlp.0",
    "down": "encoder.layers.encoder_layer_{}.mlp.3",
}
TIMM_NAMES = {
    "token": "cls_token",
    "positions": "pos_embed",
    "embed": "patch_embed.proj",
    "norm": "norm",
    "representation": "pre_logits.fc",  # until timm 0.6
    "head": "head",
    "norm1": "blocks.{}.norm1",
    "norm2": "blocks.{}.norm2",
    "qkv": "blocks.{}.attn.qkv",
    "weight": ".weight",
    "bias": ".bias",
    "out": "blocks.{}.attn.proj",
    "up": "blocks.{}.mlp.fc1",
    "down": "blocks.{}.mlp.fc2",
}
HUGGING_FACE_NAMES = {
    "token": "vit.embeddings.cls_token",
    "positions": "vit.embeddings.position_embeddings",
    "embed": "vit.embeddings.patch_embeddings.projection",
    "norm": "vit.layernorm",
    "representation": "vit.pooler.dense",  # of ViTModel; ViTForImageClassification has none
    "head": "classifier",
    "norm1": "vit.encoder.layer.{}.layernorm_before",
    "norm2": "vit.encoder.layer.{}.layernorm_after",
    "query": "vit.encoder.layer.{}.attention.attention.query",
    "key": "vit.encoder.layer.{}.attention.attention.key",
    "value": "vit.encoder.layer.{}.attention.attention.value",
    "out": "vit.encoder.layer.{}.attention.output.dense",
    "up": "vit.encoder.layer.{}.intermediate.dense",
    "down": "vit.encoder.layer.{}.output.dense",
}
GOOGLE_NAMES = {
    "embed": "embedding",
    "representation": "pre_logits",
    "head": "head",
    "up": "Transformer/encoderblock_{}/MlpBlock_3/Dense_0",
}


def google_rules(config: Config) -> list[Rule]:
    """Return the rules: embedding, cls, Transformer/posembed_input, Transformer/encoderblock_0, ..."""
    p, width, heads = config.patch, config.width, config.heads
    size = width // heads
    rules = [
        rule("params/token", "cls", SAME),
        rule("params/positions", "Transformer/posembed_input/pos_embedding", SAME),
        rule("params/embed/kernel", "embedding/kernel", flatten_first(p, p, -1)),
        rule("params/embed/bias", "embedding/bias", SAME),
        *_flax("params/norm", "Transformer/encoder_norm", "scale"),
        *_flax("params/head", "head", "kernel"),
    ]
    if config.representation:
        rules += _flax("params/representation", "pre_logits", "kernel")
    for i in range(config.depth):
        ours, theirs = f"params/block{i}", f"Transformer/encoderblock_{i}"
        attention = f"{theirs}/MultiHeadDotProductAttention_1"
        three = [f"{attention}/{name}" for name in ("query", "key", "value")]
        rules += [
            *_flax(f"{ours}/norm1", f"{theirs}/LayerNorm_0", "scale"),
            *_flax(f"{ours}/norm2", f"{theirs}/LayerNorm_2", "scale"),
            rule(f"{ours}/attention/qkv/kernel", [f"{n}/kernel" for n in three], joined(flatten_last(heads, size), 3)),
            rule(f"{ours}/attention/qkv/bias", [f"{n}/bias" for n in three], joined(flatten_last(heads, size), 3)),
            rule(f"{ours}/attention/out/kernel", f"{attention}/out/kernel", flatten_first(heads, size)),
            rule(f"{ours}/attention/out/bias", f"{attention}/out/bias", SAME),
            *_flax(f"{ours}/mlp/up", f"{theirs}/MlpBlock_3/Dense_0", "kernel"),
            *_flax(f"{ours}/mlp/down", f"{theirs}/MlpBlock_3/Dense_1", "kernel"),
        ]
    return rules


def _flax(ours: str, theirs: str, weight: str) -> list[Rule]:
    return [rule(f"{ours}/{part}", f"{theirs}/{part}", SAME) for part in (weight, "bias")]


def _infer(names: Mapping[str, str], ending: str = ".weight") -> Callable[[Shapes, Mapping[str, Any], Config], Found]:
    """Return a function that infers what shapes tell, and from a config.json what changes the network.

    ending: of the name of a kernel, (outputs, ..., inputs) in PyTorch and (inputs, ..., outputs) in JAX.
    """
    torch = ending == ".weight"
    embed, head, up, pre = (names[part].format(0) + ending for part in ("embed", "head", "up", "representation"))

    def infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
        found: Found = {}
        if len(shapes.get(embed, ())) == 4:
            found["patch"] = shapes[embed][2 if torch else 0]
        if shapes.get(head):
            found["classes"] = shapes[head][0 if torch else -1]
        if names is not HUGGING_FACE_NAMES:  # its classifier has no such layer: a pooler is read where it is asked for
            found["representation"] = shapes[pre][0 if torch else -1] if shapes.get(pre) else 0
        found |= mlp_of(shapes, up, config, transposed=not torch)
        if content.get("model_type") == "vit":
            if config.representation and content["pooler_act"] != "tanh":
                raise UserError(
                    f"config.json: pooler_act is {content['pooler_act']!r}; a representation layer has 'tanh'"
                )
            _require_square("image_size", content.get("image_size"))
            found["heads"] = content["num_attention_heads"]
            found["norm_epsilon"] = float(content["layer_norm_eps"])
            found["gelu"] = gelu_of(content, "hidden_act")
        elif content:
            _require_square("img_size", content["model_args"].get("img_size"))
            found |= timm_heads(content)
        return found

    return infer


def _require_square(key: str, size: Any) -> None:
    """Raise UserError for images that are not square: their positions can be as many as those of a square."""
    if isinstance(size, list) and any(side != size[0] for side in size):
        raise UserError(f"config.json: {key} is {str(size)[:60]}: only square images can be read")


HUGGING_FACE_KEYS = hugging_face.keys(
    ("vit",),
    architectures=r"(TF|Flax)?ViT(Model|ForImageClassification)",
    used={
        **hugging_face.BASE,
        "patch_size": 16,
        "num_channels": 3,
        "pooler_act": "tanh",
    },
    only={"qkv_bias": (True,)},
    harmless=(
        "attention_probs_dropout_prob", "encoder_stride", "hidden_dropout_prob", "image_size", "pooler_output_size",
    ),
)  # fmt: skip
TIMM_KEYS = timm_keys.keys(
    architecture=r"(vit|deit)_(tiny|small|base|large|huge|giant|gigantic)_patch\d+_\d+",
    pool="token",
    used={"num_heads": None},
    only={
        "act_layer": (None, "gelu"),
        "class_token": (True,),
        "embed_norm_layer": (None,),
        "fc_norm": (None, False),
        "final_norm": (True,),
        "init_values": (None,),
        "no_embed_class": (False,),
        "norm_layer": (None,),
        "pos_embed": ("learn",),
        "pre_norm": (False,),
        "proj_bias": (True,),
        "qk_norm": (False,),
        "qkv_bias": (True,),
        "reg_tokens": (0,),
        "scale_attn_norm": (False,),
        "scale_mlp_norm": (False,),
    },
    harmless=(
        "attn_drop_rate", "depth", "drop_path_rate", "drop_rate", "dynamic_img_pad", "dynamic_img_size", "embed_dim",
        "fix_init", "mlp_ratio", "patch_drop_rate", "patch_size", "pool_include_prefix", "pos_drop_rate",
        "proj_drop_rate", "weight_init",
    ),
)  # fmt: skip
TIMM_HEADS = {"tiny": 3, "small": 6, "base": 12, "large": 16, "huge": 16, "giant": 16, "gigantic": 16}


def timm_heads(content: Mapping[str, Any]) -> Found:
    """Return the number of heads, which the arrays do not show, by the arguments or the name of the architecture."""
    size = str(content.get("architecture")).split("_")[1]
    heads = content["model_args"]["num_heads"]
    return {"heads": TIMM_HEADS[size] if heads is None else heads}


def _hugging_face_name(name: str) -> str:
    return f"vit.{name}" if name.startswith(("embeddings.", "encoder.layer.", "layernorm.", "pooler.")) else name


def _torchvision_name(name: str) -> str:
    """Rename the layers of an MLP, which had other names before torchvision 0.13."""
    return name.replace(".mlp.linear_1.", ".mlp.0.").replace(".mlp.linear_2.", ".mlp.3.")


def _google_name(name: str) -> str:
    return name.removeprefix("opt/target/").removeprefix("params/")


def _refuses(config: Config) -> str:
    if config.positions != "learned":
        return "its positions are learned"
    return "its head uses the class token, not the mean" if config.pool != "token" else ""


def _describe(config: Config, shapes: Shapes) -> dict[str, Any]:
    side = math.isqrt(shapes[HUGGING_FACE_NAMES["positions"]][1] - 1) * config.patch
    return {
        "architectures": ["ViTForImageClassification"],
        "image_size": side,
        "num_channels": shapes[f"{HUGGING_FACE_NAMES['embed']}.weight"][1],
        "model_type": "vit",
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.units,
        "hidden_act": "gelu" if config.gelu == "exact" else "gelu_pytorch_tanh",
        "layer_norm_eps": config.norm_epsilon,
        "patch_size": config.patch,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": 0.0,
        "id2label": {i: f"LABEL_{i}" for i in range(config.classes)},
        "label2id": {f"LABEL_{i}": i for i in range(config.classes)},
    }


EXACT = {"norm_epsilon": 1e-6, "gelu": "exact"}
LAYOUTS = [
    Layout(
        "torchvision",
        ViT,
        lambda config: _torch_rules(config, TORCHVISION_NAMES),
        known_by=("class_token", "conv_proj.weight", "encoder.pos_embedding"),
        facts=lambda config: EXACT,
        infer=_infer(TORCHVISION_NAMES),
        new_head_drops=("heads.pre_logits.*",),
        rename=_torchvision_name,
        refuses=_refuses,
        first=("conv_proj.weight", 1),
        positions=("encoder.pos_embedding", 1),
        preprocessing=TORCHVISION,
    ),
    Layout(
        "timm",
        ViT,
        lambda config: _torch_rules(config, TIMM_NAMES),
        known_by=("patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight"),
        facts=lambda config: EXACT,
        keys=timm_keys.kinds(TIMM_KEYS),
        infer=_infer(TIMM_NAMES),
        new_head_drops=("pre_logits.*",),
        refuses=_refuses,
        first=("patch_embed.proj.weight", 1),
        positions=("pos_embed", 1),
        preprocessing=GOOGLE,
    ),
    Layout(
        "huggingface",
        ViT,
        lambda config: _torch_rules(config, HUGGING_FACE_NAMES),
        known_by=("vit.embeddings.cls_token", "vit.embeddings.patch_embeddings.projection.weight"),
        usual=lambda shapes: {"norm_epsilon": 1e-12, "gelu": "exact"},
        keys={"vit": HUGGING_FACE_KEYS},
        infer=_infer(HUGGING_FACE_NAMES),
        rename=_hugging_face_name,
        other_heads=("vit.pooler.*",),
        refuses=_refuses,
        only_reads=lambda config: (
            "ViTForImageClassification has no representation layer" if config.representation else ""
        ),
        first=("vit.embeddings.patch_embeddings.projection.weight", 1),
        positions=("vit.embeddings.position_embeddings", 1),
        preprocessing=GOOGLE,
        describe=_describe,
    ),
    Layout(
        "google-vit",
        ViT,
        google_rules,
        known_by=("cls", "embedding/kernel", "Transformer/encoder_norm/scale"),
        facts=lambda config: {"norm_epsilon": 1e-6, "gelu": "tanh"},
        infer=_infer(GOOGLE_NAMES, "/kernel"),
        rename=_google_name,
        refuses=_refuses,
        new_head_drops=("pre_logits/*",),
        first=("embedding/kernel", 2),
        positions=("Transformer/posembed_input/pos_embedding", 1),
        preprocessing=GOOGLE,
        extension=".npz",
    ),
]
