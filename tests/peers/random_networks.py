"""Random networks of the reference libraries: every key of their configs, with sensible values and odd ones.

Each is built and saved by its own library and loaded here. It must give the same output, or be refused in one line that
names what is different about it.
"""

import dataclasses
import random
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from published import images, nchw, randomized  # noqa: E402  it prepares torchvision, which timm imports

timm = pytest.importorskip("timm")

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

Values = dict[str, tuple[Any, ...]]
VOCAB, CONTEXT, LENGTH, CHANNELS = 50, 16, 12, 3
TOKENS = np.random.default_rng(0).integers(1, VOCAB - 1, size=(2, LENGTH))
TARGET = np.random.default_rng(1).integers(1, VOCAB - 1, size=(2, 9))
MASK = np.arange(LENGTH)[None] < np.array([[LENGTH], [7]])
SEGMENTS = np.tile(np.arange(LENGTH) > 5, (2, 1)).astype(np.int32)
ACTIVATIONS = (
    "gelu",
    "gelu_new",
    "gelu_python",
    "gelu_pytorch_tanh",
    "gelu_fast",
    "quick_gelu",
    "relu",
    "silu",
    "tanh",
)
PLAIN = {  # odd values of keys that every config of transformers has
    "is_decoder": (True,), "add_cross_attention": (True,), "is_encoder_decoder": (True, False), "use_cache": (False,),
    "tie_word_embeddings": (False,), "initializer_range": (0.5,), "pad_token_id": (3,), "bos_token_id": (2,),
    "chunk_size_feed_forward": (2,), "problem_type": ("regression",), "output_hidden_states": (True,),
    "new_key": (1,), "prunedheads": ({},), "tokenizer_class": ("X",),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A network of a library that was saved, and how the same is loaded and run here."""

    card: str
    fields: dict[str, Any]
    odd: dict[str, Any]  # the keys that differ from the library's defaults, beside the sizes
    sizes: dict[str, Any]
    output: list[np.ndarray]  # of the library, in float64
    run: Callable[[Any], Any]  # the same of a loaded model here


@dataclasses.dataclass(frozen=True)
class Family:
    sizes: Values  # keys that are always drawn
    odd: Values  # keys that are changed now and then
    build: Callable[[dict[str, Any], Path, random.Random], tuple[str, dict[str, Any], Any, Callable[[Any], Any]]]


def draw(family: Family, seed: int, folder: Path) -> Drawn | None:
    """Save a random network of `family` in `folder`; None if its own library cannot build, save or run it."""
    pick = random.Random(seed)
    sizes = {key: pick.choice(values) for key, values in family.sizes.items()}
    keys = pick.sample(sorted(family.odd), pick.choice((0, 1, 1, 2, 3)))
    odd = {key: pick.choice(family.odd[key]) for key in keys}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            card, fields, output, run = family.build({**sizes, **odd}, folder, pick)
    except Exception:
        return None
    output = [np.asarray(each, np.float64) for each in output]
    if not all(np.isfinite(each).all() and np.abs(each).max() > 1e-3 for each in output):
        return None
    return Drawn(card, fields, odd, sizes, output, run)


def _random(model: Any, faint: tuple[str, ...] = ()) -> Any:
    """Random numbers that 16 bits hold exactly, in float64: a file of them is small, and no number is rounded."""
    return randomized(model, faint=faint).half().double()


def _tuple(found: Any) -> list[Any]:
    return [part.numpy() for part in found.to_tuple() if isinstance(part, torch.Tensor)]


def _bert(given: Mapping[str, Any], folder: Path, pick: random.Random) -> Any:
    kinds = ("BertModel", "BertForPreTraining", "BertForMaskedLM", "BertLMHeadModel", "BertForSequenceClassification",
             "BertForTokenClassification", "BertForQuestionAnswering")  # fmt: skip
    kind = pick.choice(kinds)
    config = transformers.BertConfig(**given)
    model = _random(getattr(transformers, kind)(config))
    found = model(
        torch.tensor(TOKENS),
        attention_mask=torch.tensor(MASK).long(),
        token_type_ids=torch.tensor(SEGMENTS).long() % config.type_vocab_size,
        return_dict=True,
        output_hidden_states=False,
        use_cache=False,
    )
    model.half().save_pretrained(folder)
    output = _tuple(found)
    if kind == "BertForQuestionAnswering":
        output = [np.stack(output, -1)]
    fields = {"width": given["hidden_size"], "depth": given["num_hidden_layers"]}

    def run(loaded: Any) -> Any:
        return loaded.model.apply(loaded.variables, TOKENS, MASK, SEGMENTS, train=False)

    return "bert_mini", fields, output, run


def _gpt(kind: str, card: str) -> Callable[..., Any]:
    def build(given: Mapping[str, Any], folder: Path, pick: random.Random) -> Any:
        config = getattr(transformers, f"{kind}Config")(**given)
        model = _random(getattr(transformers, f"{kind}LMHeadModel")(config), faint=("*wte*", "*c_proj*"))
        found = model(torch.tensor(TOKENS), return_dict=True).logits
        model.half().save_pretrained(folder)
        fields = {"width": given["n_embd"], "depth": given["n_layer"]}
        return card, fields, [found.numpy()], lambda loaded: loaded.model.apply(loaded.variables, TOKENS, train=False)

    return build


def _marian(given: Mapping[str, Any], folder: Path, pick: random.Random) -> Any:
    config = transformers.MarianConfig(**given)
    model = _random(transformers.MarianMTModel(config))
    model.final_logits_bias.data.copy_(torch.arange(-25, 25)[None, : model.final_logits_bias.shape[1]] / 32)
    for side in (model.model.encoder, model.model.decoder):
        side.embed_positions.weight.data.copy_(side.embed_positions.create_weight())
    found = model(
        torch.tensor(TOKENS),
        attention_mask=torch.tensor(MASK).long(),
        decoder_input_ids=torch.tensor(TARGET),
        return_dict=True,
        use_cache=False,
    ).logits
    model.half().save_pretrained(folder)
    fields = {"width": config.d_model, "depth": config.encoder_layers, "hidden": config.encoder_ffn_dim}

    def run(loaded: Any) -> Any:
        return loaded.model.apply(loaded.variables, TOKENS, MASK, TARGET, train=False)

    return "transformer_mini", fields, [found.numpy()], run


def _images(size: int) -> Callable[[Any], Any]:
    return lambda loaded: loaded.model.apply(loaded.variables, images(size), train=False)


def _vit(given: Mapping[str, Any], folder: Path, pick: random.Random) -> Any:
    config = transformers.ViTConfig(**given)
    model = _random(transformers.ViTForImageClassification(config))
    found = model(nchw(images(given["image_size"])), return_dict=True).logits
    model.half().save_pretrained(folder)
    fields = {"width": given["hidden_size"], "depth": given["num_hidden_layers"]}
    return "vit_mini_patch4", fields, [found.numpy()], _images(given["image_size"])


def _resnet(given: Mapping[str, Any], folder: Path, pick: random.Random) -> Any:
    config = transformers.ResNetConfig(**given)
    model = _random(transformers.ResNetForImageClassification(config))
    found = model(nchw(images(64)), return_dict=True).logits
    model.half().save_pretrained(folder)
    deep = given["layer_type"] == "bottleneck"
    widths = tuple(width // 4 if deep else width for width in given["hidden_sizes"])
    fields = {"depths": tuple(given["depths"]), "widths": widths}
    return "resnet50" if deep else "resnet18", fields, [found.numpy()], _images(64)


def _timm(ours: Callable[..., tuple[str, dict[str, Any]]], size: int) -> Any:
    def build(given: dict[str, Any], folder: Path, pick: random.Random) -> Any:
        given = dict(given)
        model = timm.create_model(given.pop("architecture"), **given)
        model = _random(model)
        found = model(nchw(images(size)))
        timm.models.save_for_hf(model.half(), str(folder), safe_serialization=True)
        card, fields = ours(given)
        return card, fields, [found.numpy()], _images(size)

    return build


def _timm_resnet(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "resnet50", {"depths": given["layers"], "widths": given["channels"]}


def _timm_vit(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "vit_mini_patch4", {"width": given["embed_dim"], "depth": given["depth"]}


FAMILIES: dict[str, Family] = {
    "bert": Family(
        sizes={
            "vocab_size": (VOCAB,), "max_position_embeddings": (CONTEXT,), "hidden_size": (16, 24),
            "num_hidden_layers": (1, 2), "num_attention_heads": (1, 2, 4), "num_labels": (2, 3),
        },
        odd={
            **PLAIN, "intermediate_size": (40,), "hidden_act": ACTIVATIONS, "layer_norm_eps": (1e-5, 0.1),
            "type_vocab_size": (1, 3), "hidden_dropout_prob": (0.5,), "attention_probs_dropout_prob": (0.5,),
            "classifier_dropout": (0.3,), "position_embedding_type": ("relative_key",),
        },
        build=lambda given, folder, pick: _bert({"intermediate_size": 4 * given["hidden_size"], **given}, folder, pick),
    ),
    "gpt2": Family(
        sizes={
            "vocab_size": (VOCAB,), "n_positions": (CONTEXT,), "n_embd": (16, 24), "n_layer": (1, 2, 3),
            "n_head": (1, 2, 4),
        },
        odd={
            **PLAIN, "n_inner": (40, None), "activation_function": ACTIVATIONS, "layer_norm_epsilon": (1e-6, 0.1),
            "scale_attn_weights": (False,), "scale_attn_by_inverse_layer_idx": (True,),
            "reorder_and_upcast_attn": (True,), "resid_pdrop": (0.5,), "summary_type": ("last",),
            "summary_use_proj": (False,), "n_ctx": (8,),
        },
        build=_gpt("GPT2", "gpt2"),
    ),
    "gpt1": Family(
        sizes={
            "vocab_size": (VOCAB,), "n_positions": (CONTEXT,), "n_embd": (16, 24), "n_layer": (1, 2),
            "n_head": (1, 2, 4),
        },
        odd={
            **PLAIN, "afn": ("relu", "silu", "swish"), "layer_norm_epsilon": (1e-6, 0.1), "attn_pdrop": (0.5,),
            "summary_activation": ("tanh",), "predict_special_tokens": (False,), "activation_function": ("relu",),
        },
        build=_gpt("OpenAIGPT", "gpt1"),
    ),
    "marian": Family(
        sizes={
            "vocab_size": (VOCAB,), "decoder_vocab_size": (VOCAB,), "d_model": (16, 24), "encoder_layers": (1, 2),
            "decoder_layers": (1, 2), "encoder_attention_heads": (2, 4), "decoder_attention_heads": (2, 4),
            "encoder_ffn_dim": (32,), "decoder_ffn_dim": (32,), "scale_embedding": (True,), "pad_token_id": (49,),
            "decoder_start_token_id": (49,), "max_position_embeddings": (CONTEXT,),
        },
        odd={
            **{key: values for key, values in PLAIN.items() if key != "pad_token_id"},
            "activation_function": ACTIVATIONS, "scale_embedding": (False,), "decoder_ffn_dim": (40,),
            "share_encoder_decoder_embeddings": (False,), "normalize_before": (True,), "dropout": (0.5,),
            "add_final_layer_norm": (True,), "decoder_vocab_size": (40,), "encoder_layerdrop": (0.5,),
        },
        build=_marian,
    ),
    "vit": Family(
        sizes={
            "image_size": (16,), "patch_size": (4, 8), "hidden_size": (16, 24), "num_hidden_layers": (1, 2),
            "num_attention_heads": (1, 2, 4), "num_labels": (3, 5), "num_channels": (CHANNELS,),
        },
        odd={
            **PLAIN, "intermediate_size": (40,), "hidden_act": ACTIVATIONS, "layer_norm_eps": (1e-6, 0.1),
            "qkv_bias": (False,), "encoder_stride": (4,), "pooler_act": ("relu",), "pooler_output_size": (8,),
            "hidden_dropout_prob": (0.5,),
        },
        build=lambda given, folder, pick: _vit({"intermediate_size": 4 * given["hidden_size"], **given}, folder, pick),
    ),
    "resnet": Family(
        sizes={
            "embedding_size": (16,), "hidden_sizes": ([16, 32], [64, 128], [32, 64]), "depths": ([1, 1], [2, 1]),
            "layer_type": ("basic", "bottleneck"), "num_labels": (3, 5), "num_channels": (CHANNELS,),
        },
        odd={
            **PLAIN, "hidden_act": ("gelu", "silu"), "downsample_in_first_stage": (True,),
            "downsample_in_bottleneck": (True,), "embedding_size": (8,), "out_indices": ([1],),
        },
        build=_resnet,
    ),
    "timm-resnet": Family(
        sizes={
            "architecture": ("resnet26", "resnet50", "resnet50", "resnet101", "resnetaa50", "resnetblur50",
            "resnet50_gn", "resnet50d", "resnext50_32x4d", "seresnet50"), "layers": ((1, 1, 1, 1), (1, 2, 1, 1)),
            "channels": ((8, 16, 16, 32), (64, 8, 16, 32)), "stem_width": (64,), "num_classes": (3, 5),
        },
        odd={
            "output_stride": (16, 8), "global_pool": ("max", "avgmax"), "cardinality": (2,), "base_width": (32, 128),
            "stem_width": (16,), "stem_type": ("deep",), "replace_stem_pool": (True,), "block_reduce_first": (2,),
            "down_kernel_size": (3,), "avg_down": (True,), "act_layer": ("silu", "relu", "gelu"),
            "norm_layer": ("groupnorm1",), "drop_rate": (0.5,), "drop_path_rate": (0.5,), "zero_init_last": (False,),
            "block_args": ({"attn_layer": "se"},), "aa_layer": ("avg",),
        },
        build=_timm(_timm_resnet, 64),
    ),
    "timm-vit": Family(
        sizes={
            "architecture": ("vit_tiny_patch16_224", "vit_base_patch16_224", "vit_small_patch32_224",
            "deit_base_patch16_224", "vit_base_patch16_gap_224", "vit_base_patch16_clip_quickgelu_224",
            "vit_base_patch16_rpn_224", "vit_small_patch16_18x2_224", "vit_base_patch16_siglip_224"),
            "img_size": (16,), "patch_size": (4, 8), "embed_dim": (24, 48), "depth": (1, 2), "num_classes": (3, 5),
        },
        odd={
            "num_heads": (1, 2, 4), "mlp_ratio": (2, 3.5), "qkv_bias": (False,), "qk_norm": (True,),
            "proj_bias": (False,), "init_values": (0.1,), "class_token": (False,), "pos_embed": ("none",),
            "no_embed_class": (True,), "reg_tokens": (2,), "pre_norm": (True,), "final_norm": (False,),
            "fc_norm": (True, False), "dynamic_img_size": (True,), "global_pool": ("avg", "max", "map", ""),
            "act_layer": ("relu", "gelu", "gelu_tanh", "quick_gelu"), "norm_layer": ("rmsnorm", "layernorm"),
            "drop_rate": (0.5,), "weight_init": ("jax",), "pool_include_prefix": (True,), "scale_attn_norm": (True,),
            "scale_mlp_norm": (True,), "fix_init": (True,),
        },
        build=_timm(_timm_vit, 16),
    ),
}  # fmt: skip
