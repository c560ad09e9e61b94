"""Small members of every family: they run, every parameter learns, and the transforms of JAX apply."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import slow_except

import zoo
from zoo.cards import image, text, text_pair

NARROW = {"depths": (1, 1), "widths": (8, 16), "classes": 5}
VIT = {"width": 16, "depth": 1, "heads": 2, "classes": 5}
VGG_NORM = {"batch_norm": True, "hidden": 8, "grid": 1, "dropout": 0.0, "classes": 5}
AGENT = {"hidden": (8,), "actions": 5}
PROJECT = {"widths": (12, 5)}
WORDS = {"vocab": 5, "width": 16, "depth": 1, "heads": 2}
PAIR = {"source_vocab": 6, "vocab": 5, "embed": 8}
FCN = {"depths": (1, 1), "widths": (4, 8), "kernel": 3, "hidden": 8}
SMALL = {  # id: name, fields, inputs as in a card. Every output ends in five classes or tokens.
    "perceptron": ("perceptron", {"classes": 5}, image(8, 8, 1)),
    "mlp": ("mlp", {"widths": (16, 8), "dropout": 0.5, "activation": "gelu", "classes": 5}, image(8, 8, 1)),
    "mlp_norm": ("mlp", {"widths": (16, 8), "batch_norm": True, "classes": 5}, image(8, 8, 1)),
    "lenet5": ("lenet5", {"classes": 5}, image(16, 20, 1)),
    "lenet5_modern": ("lenet5", {"activation": "relu", "pooling": "max", "classes": 5}, image(28, 28, 1)),
    "lecun1989": ("lecun1989", {"classes": 5}, image(16, 8, 1)),
    "lecun1989_modern": (
        "lecun1989",
        {"activation": "relu", "output": "plain", "dropout": 0.5, "classes": 5},
        image(16, 16, 1),
    ),
    "alexnet": ("alexnet", {"classes": 5}, image(64, 64, 3)),
    "alexnet_cifar": ("alexnet_cifar", {"activation": "tanh", "classes": 5}, image(8, 8, 3)),
    "vgg": ("vgg_mini", {"widths": (4, 8, 8), "hidden": 8, "grid": 2, "classes": 5}, image(8, 20, 3)),
    "vgg_norm": ("vgg16", {"depths": (1, 2), "widths": (4, 8), **VGG_NORM}, image(9, 8, 1)),
    "fcn": ("fcn_mini", {"widths": (4, 8, 8), "hidden": 8, "dropout": 0.5, "classes": 5}, image(8, 16, 3)),
    "fcn_coarse": ("fcn8s", {**FCN, "fused": 0, "classes": 5}, image(4, 8, 1)),
    "unet": ("unet_mini", {"width": 8, "dropout": 0.5, "classes": 5}, image(8, 12, 3)),
    "unet_valid": ("unet", {"width": 8, "depth": 1, "classes": 5}, image(20, 24, 1)),
    "unet_without_skips": ("unet_mini", {"width": 8, "skips": False, "classes": 5}, image(8, 8, 1)),
    "resnet": ("resnet18", NARROW, image(32, 32, 3)),
    "resnet_v15": ("resnet50", {**NARROW, "stride_in_3x3": True, "zero_init_last_scale": True}, image(16, 16, 3)),
    "resnet_cifar": ("resnet20", NARROW, image(8, 8, 1)),
    "resnet_drop_path": ("resnet20", {**NARROW, "drop_path": 0.5}, image(8, 8, 1)),
    "plain": ("plain20", NARROW, image(8, 8, 1)),
    "vit": ("vit_mini_patch4", {**VIT, "depth": 2, "dropout": 0.1, "drop_path": 0.2}, image(8, 12, 3)),
    "vit_mean_sine": ("vit_mini_patch2", {**VIT, "pool": "mean", "positions": "sine"}, image(8, 8, 1)),
    "dqn": ("dqn_2013", {**AGENT, "channels": (4, 6), "kernels": (3, 2), "strides": (2, 1)}, image(8, 8, 2)),
    "dqn_dueling": ("dqn_mlp", {**AGENT, "dueling": True}, {"x": ((6,), jnp.float32)}),
    "simclr": ("simclr_resnet20", {"fields": {"depths": (1, 1), "widths": (8, 16)}, **PROJECT}, image(8, 8, 1)),
    "simclr_vit": ("simclr_resnet20", {"encoder": "vit_mini_patch4", "fields": VIT, **PROJECT}, image(8, 8, 3)),
    "lstm": ("lstm_small", {"vocab": 5, "width": 8, "dropout": 0.2}, text(6)),
    "seq2seq": ("seq2seq_mini", {**PAIR, "width": 12}, text_pair(7, 5)),
    "seq2seq_attention": ("seq2seq_attention_mini", {**PAIR, "width": 12, "align": 6, "maxout": 4}, text_pair(5, 7)),
    "transformer": ("transformer_base", {**WORDS, "hidden": 8}, text_pair(9, 7)),
    "transformer_pre": ("transformer_mini", {**WORDS, "hidden": 8, "norm": "pre", "dropout": 0.0}, text_pair(4, 6)),
    "bert_classify": ("bert_mini", {**WORDS, "context": 8, "head": "classify", "classes": 5}, text(8)),
    "bert_token": ("bert_mini", {**WORDS, "context": 8, "head": "token", "classes": 5}, text(8)),
    "gpt": ("gpt2", {**WORDS, "context": 8}, text(8)),
    "gpt_post": ("gpt1", {**WORDS, "context": 8, "dropout": 0.0}, text(8)),
    "gpt_char": ("gpt_char", {**WORDS, "context": 8}, text(8)),
}
RECURRENT = ("lstm", "seq2seq", "seq2seq_attention")
STEPS = ("input", "readout", "head")  # what these make for all steps at once, batch and time in one axis or swapped
QUICK = (
    *("perceptron", "mlp", "alexnet_cifar", "resnet_cifar", "vit", "dqn", "lstm", "seq2seq_attention"),
    *("transformer", "bert_classify", "gpt"),
)
each = pytest.mark.parametrize("case", slow_except(QUICK, SMALL))
KEY = jax.random.key(0)


def batch_of_four(inputs: Mapping[str, tuple]) -> dict[str, jax.Array]:
    """Four random examples: noise, tokens, or a mask that leaves the first text whole and 1 to 3 tokens less after."""
    batch = {}
    for i, (name, (shape, dtype)) in enumerate(inputs.items()):
        key = jax.random.key(1 + i)
        if dtype == jnp.bool_:
            batch[name] = jnp.arange(shape[0])[None] < shape[0] - jnp.arange(4)[:, None]
        elif dtype == jnp.int32:
            batch[name] = jax.random.randint(key, (4, *shape), 0, 5)
        else:
            batch[name] = jax.random.normal(key, (4, *shape), dtype)
    return batch


@functools.cache
def made(case: str) -> tuple[Any, dict, dict[str, jax.Array]]:
    """Model, variables and a batch of four. Noise on the parameters: some start at zero and would block gradients."""
    name, fields, inputs = SMALL[case]
    model = zoo.create(name, **fields)
    x = batch_of_four(inputs)

    @jax.jit
    def init(key: jax.Array) -> dict:
        variables = model.init(key, **x, train=False)
        leaves, tree = jax.tree.flatten(variables["params"])
        noisy = [p + 0.02 * jax.random.normal(jax.random.fold_in(key, i), p.shape) for i, p in enumerate(leaves)]
        return {**variables, "params": jax.tree.unflatten(tree, noisy)}

    return model, init(KEY), x


@functools.cache
def trainer(model: Any) -> Callable:
    """(variables, x, key) -> logits in training mode, the updated collections, and the size of each gradient.

    One program for all three, because compiling takes most of the time of these tests.
    """

    def loss(params: dict, variables: dict, x: dict, key: jax.Array) -> tuple[jax.Array, tuple[jax.Array, dict]]:
        variables = {**variables, "params": params}
        logits, updates = model.apply(variables, **x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return -jax.nn.log_softmax(logits)[jnp.arange(4), ..., jnp.arange(4)].mean(), (logits, updates)

    @jax.jit
    def train(variables: dict, x: dict, key: jax.Array) -> tuple[jax.Array, dict, dict]:
        gradients, (logits, updates) = jax.grad(loss, has_aux=True)(variables["params"], variables, x, key)
        return logits, updates, jax.tree.map(lambda g: jnp.abs(g).max(), gradients)

    return train


@functools.cache
def evaluator(model: Any) -> Callable:
    """(variables, x) -> logits."""
    return jax.jit(lambda v, x: model.apply(v, **x, train=False))


@each
def test_every_parameter_gets_a_gradient(case: str) -> None:
    model, variables, x = made(case)
    _, _, sizes = trainer(model)(variables, x, KEY)
    for path, size in jax.tree.leaves_with_path(sizes):
        assert 0 < size < np.inf, jax.tree_util.keystr(path)


@each
def test_evaluation_is_deterministic_and_finite(case: str) -> None:
    model, variables, x = made(case)
    logits = evaluator(model)(variables, x)
    texts = [shape for name, (shape, _) in SMALL[case][2].items() if name in ("tokens", "target")]
    sequence = texts and not case.endswith("classify")
    places = texts[0] if sequence else logits.shape[1:3] if zoo.card(SMALL[case][0]).of_pixels else ()
    assert logits.shape == (4, *places, 5)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(logits, evaluator(model)(variables, x))
    alone = jax.tree.map(lambda a: jnp.repeat(a[:1], 4, axis=0), x)  # of the same shape, so the same program
    np.testing.assert_allclose(evaluator(model)(variables, alone)[:1], logits[:1], rtol=1e-3, atol=1e-5)


@each
def test_training_is_random_exactly_where_there_is_dropout(case: str) -> None:
    model, variables, x = made(case)
    first, again, other = (trainer(model)(variables, x, jax.random.key(i))[0] for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    rates = [getattr(model.cfg, field, 0) for field in ("dropout", "drop_path")]
    assert np.array_equal(first, other) == (not any(rates))


@each
def test_arithmetic_follows_inputs_and_parameters(case: str) -> None:
    model, variables, x = made(case)

    def cast(dtype: Any) -> dict:
        return jax.tree.map(lambda a: a.astype(dtype) if a.dtype == jnp.float32 else a, x)

    half = {**variables, "params": jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables["params"])}
    for v, dtype in ((half, jnp.bfloat16), (variables, jnp.float32)):
        logits, updates, _ = jax.eval_shape(trainer(model), v, cast(dtype), KEY)
        assert logits.dtype == dtype
        assert all(s.dtype == jnp.float32 for s in jax.tree.leaves(updates))
    assert jax.eval_shape(trainer(model), variables, cast(jnp.bfloat16), KEY)[0].dtype == jnp.float32


@pytest.mark.parametrize("case", ["mlp", "resnet_cifar", "vit", "transformer", "gpt"])
def test_vmap_over_seeds_equals_one_by_one(case: str) -> None:
    model, _, x = made(case)
    keys = jax.random.split(KEY, 2)
    init = jax.jit(lambda key: model.init(key, **x, train=False))
    together = jax.jit(jax.vmap(lambda key: model.apply(init(key), **x, train=False)))(keys)
    for key, logits in zip(keys, together, strict=True):
        np.testing.assert_allclose(evaluator(model)(init(key), x), logits, rtol=1e-3, atol=1e-5)


@each
def test_features_name_every_module(case: str) -> None:
    model, variables, x = made(case)
    features = jax.jit(lambda v, x: zoo.features(model, v, *x.values()))
    output, found = features(variables, x)
    np.testing.assert_allclose(output, evaluator(model)(variables, x), rtol=1e-3, atol=1e-5)
    (head,) = (path for path in found if path.rpartition("/")[2] == "head")
    if not case.startswith("fcn"):  # which enlarges what its head says
        np.testing.assert_allclose(found[head].reshape(output.shape), output, rtol=1e-3, atol=1e-5)
    rows = zoo.measure.layer_table(model, SMALL[case][2])
    called = {path for path in found if not path.endswith("/weights")}
    within = {path[:i] for path in called for i, letter in enumerate(path) if letter == "/"}
    assert {row.path for row in rows} - {""} == called | within  # of an encoder another method may be called
    one = jax.eval_shape(features, variables, jax.tree.map(lambda a: a[:1], x))[1]
    for row in (row for row in rows[1:] if row.path in called):
        assert jax.tree.leaves(one[row.path])[0].shape[1:] == row.output
        name = row.path.rpartition("/")[2]
        if not (case in RECURRENT and name in STEPS):
            copies = 1 if name == "positions" else 4  # every text has the same places
            assert jax.tree.leaves(found[row.path])[0].shape[0] == copies
        by_flax = name[0].isupper() and name.rpartition("_")[2].isdigit()  # of its class and a number
        assert not by_flax, "a name made up by Flax"
