"""Initial values are those that the cards state: deviations, bounds, and what starts at 0 or at 1."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo

TOKENS = jnp.zeros((1, 2), int)
PAIR = {"source": TOKENS, "source_mask": TOKENS == 0, "target": TOKENS}
TEXT = {"tokens": TOKENS}
WORDS = {"vocab": 300, "width": 96, "depth": 1, "heads": 2}
ENCODER = zoo.card("simclr_resnet50").config.fields
SENTENCES = {"source_vocab": 99, "vocab": 99, "embed": 32, "width": 48}


def image(size: int, channels: int) -> dict[str, jax.Array]:
    return {"x": jnp.zeros((1, size, size, channels))}


NETS: dict[str, tuple[dict[str, Any], dict[str, jax.Array]]] = {  # card -> changes that make it small, inputs
    "alexnet": ({"hidden": 32}, image(64, 3)),
    "vgg_mini": ({"widths": (32, 32, 32)}, image(8, 3)),
    "vgg16": ({"depths": (1, 1), "widths": (64, 64), "hidden": 64, "deviation": 0.1}, image(8, 3)),
    "lenet5": ({}, image(32, 1)),
    "lecun1989": ({}, image(16, 1)),
    "fcn8s": ({"depths": (1, 1, 1), "widths": (8, 8, 32), "kernel": 3, "hidden": 96, "classes": 3}, image(8, 3)),
    "unet": ({"width": 32, "depth": 1, "padding": "same"}, image(8, 3)),
    "mlp": ({"widths": (96, 640), "deviation": 0.01}, image(28, 1)),
    "gpt2": ({**WORDS, "context": 300}, TEXT),
    "gpt_char": ({**WORDS, "context": 300}, TEXT),
    "transformer_base": ({**WORDS, "hidden": 192}, PAIR),
    "seq2seq": ({**SENTENCES, "depth": 1}, PAIR),
    "seq2seq_attention": ({**SENTENCES, "align": 48, "maxout": 32}, PAIR),
    "seq2seq_attention_mini": ({**SENTENCES, "align": 48, "maxout": 32, "deviation": 0.04}, PAIR),
    "simclr_resnet50": ({"fields": {**ENCODER, "depths": (1,), "widths": (64,)}, "widths": (256, 32)}, image(8, 3)),
}


@functools.cache
def initial(name: str) -> dict[str, Any]:
    """Path of each parameter -> its initial value."""
    fields, inputs = NETS[name]
    model = zoo.create(name, **fields)
    return flatten_dict(
        jax.jit(lambda key: model.init(key, **inputs, train=False))(jax.random.key(0))["params"], sep="/"
    )


@pytest.mark.parametrize(
    ("name", "path", "deviation"),
    [
        *(("alexnet", f"{layer}/kernel", 0.01) for layer in ("conv1", "conv3", "conv5", "fc6", "head")),
        *(("vgg16", f"{layer}/kernel", 0.1) for layer in ("trunk/conv1_1", "trunk/conv2_1", "fc6", "fc7", "head")),
        *(("mlp", f"{layer}/kernel", 0.01) for layer in ("hidden0", "hidden1", "head")),
        ("gpt2", "positions/embedding", 0.01),
        ("gpt2", "tokens/embedding", 0.02),
        ("gpt_char", "positions/embedding", 0.02),
        ("unet", "down0_conv2/kernel", (2 / (9 * 32)) ** 0.5),
        ("unet", "up0_conv/kernel", (2 / 64) ** 0.5),
        ("transformer_base", "tokens/embedding", 96**-0.5),
        ("transformer_base", "encoder0/attention/qkv/kernel", (2 / (96 + 96)) ** 0.5),
        ("transformer_base", "decoder0/mlp/up/kernel", (2 / (96 + 192)) ** 0.5),
        ("seq2seq_attention", "encoder/keys/kernel", 0.001),
        ("seq2seq_attention", "decoder/readout/kernel", 0.01),
        ("seq2seq_attention", "decoder/embed/embedding", 0.01),
        ("seq2seq_attention_mini", "encoder/keys/kernel", 0.004),
        ("seq2seq_attention_mini", "decoder/readout/kernel", 0.04),
        ("seq2seq_attention_mini", "decoder/embed/embedding", 0.04),
        ("simclr_resnet50", "head/dense1/kernel", 0.01),
        ("simclr_resnet50", "encoder/s0b0/conv2/kernel", (2 / (9 * 64)) ** 0.5),
    ],
)
def test_deviations(name: str, path: str, deviation: float) -> None:
    np.testing.assert_allclose(initial(name)[path].std(), deviation, rtol=0.05)
    np.testing.assert_allclose(initial(name)[path].mean(), 0, atol=0.05 * deviation)


@pytest.mark.parametrize(
    ("name", "path", "bound"),
    [
        ("lenet5", "c3/kernel", 2.4 / (5 * 5 * 6)),
        ("lenet5", "f6/kernel", 2.4 / 120),
        ("vgg_mini", "trunk/conv1_2/kernel", (6 / (9 * 32 + 9 * 32)) ** 0.5),
        ("fcn8s", "fc6/kernel", (6 / (9 * 32 + 9 * 96)) ** 0.5),
        ("vgg_mini", "fc6/kernel", (6 / (4 * 4 * 32 + 128)) ** 0.5),
        ("lecun1989", "h2/kernel", 2.4 / 200),
        ("lecun1989", "h3/kernel", 2.4 / 192),
        *(("seq2seq", path, 0.08) for path in ("decoder/layer0/recurrent", "decoder/layer0/input/bias", "head/kernel")),
    ],
)
def test_bounds(name: str, path: str, bound: float) -> None:
    assert 0.9 * bound < jnp.abs(initial(name)[path]).max() <= bound


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        *(("alexnet", f"{layer}/bias", 1) for layer in ("conv2", "conv4", "conv5", "fc6", "fc7")),
        *(("alexnet", f"{layer}/bias", 0) for layer in ("conv1", "conv3", "head")),
        *(("fcn8s", f"{layer}/kernel", 0) for layer in ("head", "head1", "head2")),
        *(("vgg_mini", f"{layer}/bias", 0) for layer in ("trunk/conv1_1", "trunk/conv3_2", "fc6", "fc7", "head")),
        ("seq2seq_attention", "decoder/score", 0),
        ("simclr_resnet50", "encoder/s0b0/norm3/scale", 0),
        ("simclr_resnet50", "encoder/s0b0/norm2/scale", 1),
    ],
)
def test_constants(name: str, path: str, value: float) -> None:
    np.testing.assert_array_equal(initial(name)[path], value)


def test_the_small_alexnet_can_start_with_the_biases_of_section_5() -> None:
    """The claim on its units blamed the initial values, and could not try the paper's."""
    model = zoo.create("alexnet_cifar", bias=1)
    values = flatten_dict(model.init(jax.random.key(0), **image(16, 3), train=False)["params"], sep="/")
    for layer in ("conv1", "conv2", "conv3", "head"):
        np.testing.assert_array_equal(values[f"{layer}/bias"], float(layer == "conv2"))
