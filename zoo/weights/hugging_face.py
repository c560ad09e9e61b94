"""The keys that config.json has for every network of Hugging Face's library, and those of one network beside them.

From the library's PretrainedConfig, versions 3 to 5: later versions dropped many keys, but the files still have them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from zoo.weights.keys import Keys

ABOUT = (
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "_num_labels",
    "_output_attentions", "chunk_size_feed_forward", "dtype", "finetuning_task", "gradient_checkpointing", "id2label",
    "initializer_range", "label2id", "num_labels", "output_attentions", "output_hidden_states", "output_past",
    "prefix", "problem_type", "return_dict", "sbert_ce_default_activation_function", "sentence_transformers",
    "task_specific_params", "tf_legacy_loss", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version",
    "use_bfloat16", "use_cache", "xla_device",
)  # fmt: skip
"""Where the file comes from, how numbers are stored, what is returned besides, how training begins.

Two keys are what another library, sentence-transformers, does with the logits of a cross-encoder.
"""
TOKENS = (
    "bos_token_id", "cls_token_id", "decoder_start_token_id", "eos_token_id", "eos_token_ids", "forced_bos_token_id",
    "forced_eos_token_id", "mask_token_id", "pad_token_id", "sep_token_id", "unk_token_id",
)  # fmt: skip
"""Numbers of special tokens. They come from the tokenizer here."""
GENERATION = (
    "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "force_bos_token_to_be_generated",
    "length_penalty", "max_length", "max_new_tokens", "min_length",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores",
    "remove_invalid_values", "repetition_penalty", "return_dict_in_generate", "suppress_tokens", "temperature", "top_k",
    "top_p", "typical_p",
)  # fmt: skip
"""How the library would sample texts by default."""
NETWORK: dict[str, tuple[Any, ...]] = {
    "is_encoder_decoder": (False,),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "pruned_heads": ({}, None),
    "tie_encoder_decoder": (False,),
    "tie_word_embeddings": (True,),
}
"""What makes another network."""


BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
"""The blocks of BERT and ViT, with their defaults."""


def keys(
    model_type: tuple[str, ...],
    architectures: str,
    used: Mapping[str, Any],
    only: Mapping[str, tuple[Any, ...]],
    harmless: Iterable[str],
) -> Keys:
    """Return the keys of one network: its own, and those that all have.

    architectures: a regular expression for the names of the library's classes. Files older than `model_type` lack it.
    """
    shared = {key: values for key, values in NETWORK.items() if key not in used}
    return Keys(
        used,
        {"model_type": model_type, **shared, **only},
        {"architectures": architectures},
        harmless=frozenset((*ABOUT, *TOKENS, *GENERATION, *harmless)),
    )
