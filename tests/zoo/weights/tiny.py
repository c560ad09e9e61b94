"""A small network for every layout, with random variables that need no compiling."""

from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

import zoo
from zoo.weights import layouts
from zoo.weights.fit import expected_shapes, inputs_for

VIT = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "classes": 5}
BERT = {"width": 16, "depth": 2, "heads": 2, "vocab": 11, "context": 8}
GPT = {"width": 16, "depth": 2, "heads": 2, "vocab": 11, "context": 8}
MARIAN = {"vocab": 11, "width": 16, "depth": 2, "heads": 2, "hidden": 24, "norm_epsilon": 1e-5, "activation": "swish",
          "positions": "halves", "logits_bias": True}  # fmt: skip
ATTENTION = {"source_vocab": 9, "vocab": 11, "embed": 6, "width": 8, "align": 5, "maxout": 4, "reset_after": True}
RESNET = {"depths": (1, 2), "widths": (4, 8), "classes": 5}
DEEP = {**RESNET, "stride_in_3x3": True}
CIFAR = {"depths": (2, 1, 1), "widths": (4, 8, 16), "classes": 5}
VGG = {"depths": (1, 2, 1), "widths": (4, 8, 8), "hidden": 6, "classes": 5}
NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {  # card, layout, fields
    "alexnet": ("alexnet_one_tower", "torchvision", {"classes": 5}),
    "alexnet-narrow": ("alexnet_one_tower", "torchvision", {"classes": 5, "hidden": 8}),
    "vgg-torchvision": ("vgg11", "torchvision", VGG),
    "vgg-timm": ("vgg11", "timm", VGG),
    "vgg-torchvision-norm": ("vgg16", "torchvision", {**VGG, "batch_norm": True}),
    "vgg-timm-norm": ("vgg16", "timm", {**VGG, "batch_norm": True}),
    "lenet5": ("lenet5", "pytorch", {"activation": "relu", "pooling": "max"}),
    "dqn-cleanrl": ("dqn_nature", "cleanrl", {"actions": 6}),
    "dqn-cleanrl-2013": ("dqn_2013", "cleanrl", {}),
    "dqn-cleanrl-vector": ("dqn_mlp", "cleanrl", {}),
    "dqn-stable-baselines3": ("dqn_nature", "stable-baselines3", {}),
    "dcgan": ("dcgan_32", "pytorch", {"widths": (8, 4, 2), "latent": 7}),
    "resnet18-torchvision": ("resnet18", "torchvision", RESNET),
    "resnet50-torchvision": ("resnet50", "torchvision", DEEP),
    "resnet50-timm": ("resnet50", "timm", DEEP),
    "resnet18-torchvision-stem": ("resnet18", "torchvision", {**RESNET, "stem_width": 6}),
    "resnet50-timm-stem": ("resnet50", "timm", {**DEEP, "stem_width": 16}),
    "resnet18-huggingface-stem": ("resnet18", "huggingface", {**RESNET, "stem_width": 6}),
    "resnet50-huggingface-stem": ("resnet50", "huggingface", {**DEEP, "stem_width": 16}),
    "resnet20-pytorch-cifar-stem": ("resnet20", "pytorch-cifar", {**CIFAR, "shortcut": "B", "stem_width": 6}),
    "resnet50-torchvision-v1": ("resnet50", "torchvision-v1", RESNET),
    "resnet18-huggingface": ("resnet18", "huggingface", RESNET),
    "resnet50-huggingface": ("resnet50", "huggingface", DEEP),
    "resnet20-pytorch-cifar": ("resnet20", "pytorch-cifar", CIFAR),
    "resnet20-pytorch-cifar-projected": ("resnet20", "pytorch-cifar", {**CIFAR, "shortcut": "B"}),
    "vit-torchvision": ("vit_mini_patch4", "torchvision", VIT),
    "vit-timm": ("vit_mini_patch4", "timm", VIT),
    "vit-huggingface": ("vit_mini_patch4", "huggingface", {**VIT, "norm_epsilon": 1e-12}),
    "vit-torchvision-pre": ("vit_mini_patch4", "torchvision", {**VIT, "hidden": 27, "representation": 6}),
    "vit-timm-pre": ("vit_mini_patch4", "timm", {**VIT, "mlp_ratio": 2, "representation": 6}),
    "vit-huggingface-hidden": ("vit_mini_patch4", "huggingface", {**VIT, "norm_epsilon": 1e-12, "hidden": 27}),
    "vit-google-pre": ("vit_mini_patch4", "google-vit", {**VIT, "gelu": "tanh", "hidden": 27, "representation": 6}),
    "vit-google": ("vit_mini_patch4", "google-vit", {**VIT, "gelu": "tanh"}),
    **{f"bert-{head}": ("bert_mini", "huggingface", {**BERT, "head": head})
       for head in ("hidden", "pooler", "pretrain", "masked", "classify", "token")},
    "bert-units": ("bert_mini", "huggingface", {**BERT, "hidden": 27}),
    "gpt2-units": ("gpt2", "huggingface", {**GPT, "hidden": 27}),
    "gpt2": ("gpt2", "huggingface", GPT),
    "gpt1": ("gpt1", "huggingface", GPT),
    "transformer": ("transformer_mini", "huggingface", MARIAN),
    "seq2seq_attention": ("seq2seq_attention_mini", "pytorch", ATTENTION),
    "seq2seq_attention-plain": ("seq2seq_attention_mini", "pytorch", {**ATTENTION, "output": "plain"}),
    "lstm-two-biases": ("lstm_char", "pytorch", {"width": 8, "vocab": 11, "two_biases": True}),
    "seq2seq-two-biases": ("seq2seq_mini", "pytorch",
                           {"source_vocab": 9, "vocab": 11, "embed": 6, "width": 8, "two_biases": True}),
    "lstm": ("lstm_char", "pytorch", {"width": 8, "vocab": 11}),
    "seq2seq": ("seq2seq_mini", "pytorch", {"source_vocab": 9, "vocab": 11, "embed": 6, "width": 8}),
}  # fmt: skip


def variables_of(model: Any, seed: int = 0) -> dict[str, Any]:
    """Random float32 arrays of the shapes that `model.init` gives at its card's input."""
    card = zoo.weights.fit.card_of(model)
    shapes = expected_shapes(model, inputs_for(card, model.cfg, layouts.own(type(model)), {}))
    draw = np.random.default_rng(seed)
    return unflatten_dict({path: draw.normal(size=s).astype(np.float32) for path, s in shapes.items()}, sep="/")


def network(name: str) -> tuple[str, str, dict[str, Any], Any, dict[str, Any]]:
    """(card, layout, fields, model, variables) of one of NETWORKS."""
    card, layout, fields = NETWORKS[name]
    model = zoo.create(card, **fields)
    return card, layout, fields, model, variables_of(model)
