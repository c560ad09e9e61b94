"""The layout of BERT in Hugging Face's library: BertModel, and the models with a head for pre-training, masked tokens,
text classification or token classification. Old files name the scale and bias of a LayerNorm gamma and beta.
"""

import re
from collections.abc import Mapping
from typing import Any

from zoo.bert import BERT, Config
from zoo.weights import hugging_face
from zoo.weights.layout import Found, Layout, Shapes, first_axis, gelu_of, mlp_of
from zoo.weights.preprocessing import Text
from zoo.weights.rules import LINEAR, SAME, Rule, joined, layer_norm, linear, rule

ARCHITECTURE = {
    "hidden": "BertModel",  # without its pooler, which no key of config.json tells
    "pooler": "BertModel",
    "pretrain": "BertForPreTraining",
    "masked": "BertForMaskedLM",
    "classify": "BertForSequenceClassification",
    "token": "BertForTokenClassification",
}
TABLE = "embeddings.word_embeddings.weight"


def rules(config: Config) -> list[Rule]:
    """Return the rules: bert.embeddings, bert.encoder.layer.0, ..., and cls.* or classifier.

    Only BertModel has no prefix "bert.".
    """
    lead = "" if config.head in ("hidden", "pooler") else "bert."
    predicts_masked = config.head in ("pretrain", "masked")
    embeddings = f"{lead}embeddings"
    found = [
        rule(
            "params/tokens/embedding", lead + TABLE, SAME, ["cls.predictions.decoder.weight"] if predicts_masked else []
        ),
        rule("params/positions/embedding", f"{embeddings}.position_embeddings.weight", SAME),
        rule("params/segments/embedding", f"{embeddings}.token_type_embeddings.weight", SAME),
        *layer_norm("params/norm", f"{embeddings}.LayerNorm"),
    ]
    for i in range(config.depth):
        ours, theirs = f"params/block{i}", f"{lead}encoder.layer.{i}"
        three = [f"{theirs}.attention.self.{name}" for name in ("query", "key", "value")]
        found += [
            rule(f"{ours}/attention/qkv/kernel", [f"{name}.weight" for name in three], joined(LINEAR, 3)),
            rule(f"{ours}/attention/qkv/bias", [f"{name}.bias" for name in three], joined(SAME, 3)),
            *linear(f"{ours}/attention/out", f"{theirs}.attention.output.dense"),
            *layer_norm(f"{ours}/attention_norm", f"{theirs}.attention.output.LayerNorm"),
            *linear(f"{ours}/mlp/up", f"{theirs}.intermediate.dense"),
            *linear(f"{ours}/mlp/down", f"{theirs}.output.dense"),
            *layer_norm(f"{ours}/mlp_norm", f"{theirs}.output.LayerNorm"),
        ]
    if config.head in ("pooler", "pretrain", "classify"):
        found += linear("params/pooler", f"{lead}pooler.dense")
    if config.head in ("classify", "token"):
        found += linear("params/head", "classifier")
    if predicts_masked:
        found += linear("params/masked/transform", "cls.predictions.transform.dense")
        found += layer_norm("params/masked/norm", "cls.predictions.transform.LayerNorm")
        bias = ["cls.predictions.decoder.bias"]
        found.append(rule("params/masked/logits/bias", "cls.predictions.bias", SAME, bias))
    if config.head == "pretrain":
        found += linear("params/next", "cls.seq_relationship")
    return found


def _name(name: str) -> str:
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name))
    name = name.replace("qa_outputs.", "classifier.")  # start and end of the answer: two classes per token
    return f"bert.{name}" if name.startswith(("embeddings.", "encoder.", "pooler.")) else name


def _infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
    found = first_axis(shapes, vocab=f"bert.{TABLE}", context="bert.embeddings.position_embeddings.weight")
    found |= mlp_of(shapes, "bert.encoder.layer.0.intermediate.dense.weight", config)
    if config.head in ("classify", "token"):
        found |= first_axis(shapes, classes="classifier.weight")
    if content:
        found["heads"] = content["num_attention_heads"]
        found["norm_epsilon"] = float(content["layer_norm_eps"])
        found["gelu"] = gelu_of(content, "hidden_act")
        found["causal"] = content["is_decoder"]
        told = _told(content)
        if told and config.head in ("classify", "token"):
            found["head"] = told
    return found


def _told(content: Mapping[str, Any]) -> str:
    """Return which head with classes config.json names, "" if none.

    Old files of a token classifier have a pooler that it does not use, so the arrays do not tell it.
    """
    names = content.get("architectures") or []
    text = names if isinstance(names, str) else " ".join(names)
    if re.search("ForTokenClassification|ForQuestionAnswering", text):
        return "token"
    return "classify" if re.search("ForSequenceClassification|ForMultipleChoice", text) else ""


KEYS = hugging_face.keys(
    ("bert",),
    architectures=r"(TF|Flax)?Bert(Model|LMHeadModel|For\w+)",
    used={
        "vocab_size": 30_522,
        **hugging_face.BASE,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "is_decoder": False,
    },
    only={"position_embedding_type": ("absolute",)},
    harmless=(
        "attention_probs_dropout_prob", "classifier_dropout", "directionality", "hidden_dropout_prob",
        "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",
    ),
)  # fmt: skip
"""The keys pooler_* are of Google's multilingual files; no version of the library reads them."""


def _head(shapes: Shapes) -> Found:
    """Return the head of the model that uses all arrays of a file: which heads it has, and whether it has a pooler."""
    pooler = "bert.pooler.dense.weight" in shapes
    if "classifier.weight" in shapes:
        return {"head": "classify" if pooler else "token"}
    if "cls.predictions.bias" in shapes:
        return {"head": "pretrain" if "cls.seq_relationship.weight" in shapes and pooler else "masked"}
    return {"head": "pooler" if pooler else "hidden"}


def _describe(config: Config, shapes: Shapes) -> dict[str, Any]:
    content = {
        "architectures": [ARCHITECTURE[config.head]],
        "model_type": "bert",
        "vocab_size": config.vocab,
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "intermediate_size": config.units,
        "hidden_act": "gelu" if config.gelu == "exact" else "gelu_new",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "max_position_embeddings": config.context,
        "type_vocab_size": 2,
        "layer_norm_eps": config.norm_epsilon,
        "is_decoder": config.causal,
    }
    if config.head in ("classify", "token"):
        labels = [f"LABEL_{i}" for i in range(config.classes)]
        content |= {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    return content


def _refuses(config: Config) -> str:
    pools = config.head in ("pooler", "pretrain", "classify")
    if config.causal and pools:
        return "with is_decoder it pools the first token; here a causal BERT pools the last"
    return ""


LAYOUTS = [
    Layout(
        "huggingface",
        BERT,
        rules,
        known_by=(f"bert.{TABLE}", "bert.embeddings.token_type_embeddings.weight", "bert.embeddings.LayerNorm.weight"),
        keys={"bert": KEYS},
        infer=_infer,
        usual=_head,
        rename=_name,
        not_weights=("bert.embeddings.position_ids",),
        other_heads=("cls.*", "classifier.*", "bert.pooler.*"),
        preprocessing=Text(lower=True),
        describe=_describe,
        refuses=_refuses,
    )
]
