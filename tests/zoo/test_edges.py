"""What all families do at the edges: nothing to look at, numbers that are no tokens, 64 bits, and NNX."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import zoo
from zoo.attention import CrossAttention, KeysValues, SelfAttention, attend, attention_weights
from zoo.errors import UserError
from zoo.layers import DropPath

TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "perceptron": ("perceptron", {}),
    "mlp": ("mlp", {"widths": (4,), "batch_norm": True}),
    "lecun1989": ("lecun1989", {}),
    "lenet": ("lenet5", {}),
    "alexnet": ("alexnet_cifar", {}),
    "vgg": ("vgg_mini", {"widths": (4, 4, 4), "hidden": 4, "batch_norm": True}),
    "unet": ("unet_mini", {"width": 4}),
    "fcn": ("fcn_mini", {"widths": (4, 4, 4), "hidden": 4}),
    "resnet": ("resnet20", {"depths": (1,), "widths": (4,)}),
    "vit": ("vit_mini_patch8", {"width": 8, "depth": 1, "heads": 2}),
    "gpt": ("gpt_char_mini", {"vocab": 9, "width": 8, "depth": 1, "heads": 2, "context": 8}),
    "lstm": ("lstm_char", {"vocab": 9, "width": 4, "depth": 1}),
    "bert": ("bert_tiny", {"vocab": 9, "width": 8, "depth": 1, "heads": 2, "context": 8, "head": "classify"}),
    "seq2seq": ("seq2seq_mini", {"vocab": 9, "source_vocab": 9, "embed": 4, "width": 4, "depth": 1}),
    "seq2seq_attention": (
        "seq2seq_attention_mini",
        {"vocab": 9, "source_vocab": 9, "embed": 4, "width": 4, "align": 4, "maxout": 4},
    ),
    "transformer": ("transformer_mini", {"vocab": 9, "width": 8, "depth": 1, "heads": 2, "hidden": 8}),
    "gan": ("gan", {"widths": (4,)}),
    "dcgan": ("dcgan_28", {"widths": (4, 4)}),
    "dqn": ("dqn_minatar", {"hidden": (4,), "channels": (2,)}),
    "simclr": ("simclr_resnet20", {"fields": {"depths": (1,), "widths": (4,)}, "widths": (4,)}),
}
TOKENS = ("gpt", "lstm", "bert", "seq2seq", "seq2seq_attention", "transformer")
each = pytest.mark.parametrize("family", TINY)


def inputs(family: str, batch: int, length: int = 4) -> dict[str, jax.Array]:
    """Inputs of ones; texts have `length` tokens."""
    made = {}
    for name, (shape, dtype) in zoo.card(TINY[family][0]).inputs.items():
        is_text = dtype in (jnp.int32, jnp.bool_) and len(shape) == 1
        made[name] = jnp.ones((batch, length) if is_text else (batch, *shape), dtype)
    return made


@functools.cache
def made(family: str) -> tuple[Any, dict[str, Any]]:
    name, fields = TINY[family]
    model = zoo.create(name, **fields)
    x = inputs(family, 2)
    return model, jax.jit(lambda key: model.init(key, **x, train=False))(jax.random.key(0))


def test_every_family_is_here() -> None:
    assert {zoo.card(name).family for name, _ in TINY.values()} == {card.family for card in zoo.CARDS.values()}


@each
def test_an_empty_batch_gives_an_empty_output_and_changes_no_statistics(family: str) -> None:
    model, variables = made(family)
    x = inputs(family, 0)
    assert all(len(leaf) == 0 for leaf in jax.tree.leaves(model.apply(variables, **x, train=False)))
    collections = {name: value for name, value in variables.items() if name != "params"}

    @jax.jit
    def train(params: Any) -> tuple[Any, Any]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            state, rngs = {**collections, "params": params}, {"dropout": jax.random.key(1)}
            output, updated = model.apply(state, **x, train=True, rngs=rngs, mutable=list(collections))
            return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(output)), updated

        return jax.grad(loss, has_aux=True)(params)

    gradients, updated = train(variables["params"])
    jax.tree.map(np.testing.assert_array_equal, updated, collections)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("family", ["gpt", "lstm", "seq2seq"])
def test_an_empty_text_gives_no_logits(family: str) -> None:
    model, variables = made(family)
    assert model.apply(variables, **inputs(family, 2, 0), train=False).shape == (2, 0, 9)


@pytest.mark.parametrize(
    ("family", "line"),
    [
        ("bert", "bert: a text without tokens has none to stand for it, as head 'classify' needs"),
        ("transformer", "cross-attention: the memory is empty, so there is nothing to attend to"),
        ("seq2seq_attention", "seq2seq_attention: the source is empty, so there is nothing to attend to"),
    ],
)
def test_where_something_must_be_attended_to_an_empty_text_is_one_line(family: str, line: str) -> None:
    model, variables = made(family)
    with pytest.raises(UserError) as error:
        model.apply(variables, **inputs(family, 2, 0), train=False)
    assert str(error.value) == line


@pytest.mark.parametrize("family", TOKENS)
def test_what_is_no_token_is_one_line(family: str) -> None:
    model, variables = made(family)
    x = inputs(family, 2)
    for name in (name for name, value in x.items() if value.dtype == jnp.int32):
        cases = {
            "takes": (jnp.ones(4, jnp.int32), jnp.ones((2, 4)), jnp.ones((2, 4, 1), jnp.int32)),
            "must be from 0 to 8, not 9": (x[name].at[1, 2].set(9),),
            "must be from 0 to 8, not -1": (x[name].at[1, 2].set(-1), np.asarray(x[name]) - 2),
        }
        for line, values in cases.items():
            for value in values:
                with pytest.raises(UserError, match=f"^{family}:? ({name} )?{line}"):
                    model.apply(variables, **{**x, name: value}, train=False)


def test_the_other_numbers_of_bert_are_checked_too() -> None:
    model, variables = made("bert")
    x = inputs("bert", 2)
    with pytest.raises(UserError, match="bert: segments must be from 0 to 1, not 2"):
        model.apply(variables, **x, segments=jnp.full((2, 4), 2), train=False)
    with pytest.raises(UserError, match="bert: positions must be from 0 to 3, not 4"):
        model.apply(variables, **x, positions=jnp.full((2, 1), 4), train=False)


@pytest.mark.parametrize("family", ["gpt", "transformer"])
def test_decoding_beyond_the_cache_is_one_line_outside_of_jit(family: str) -> None:
    model, variables = made(family)
    x = {name: value for name, value in inputs(family, 2).items() if name not in ("tokens", "target")}
    cache = model.apply(variables, 2, 3, **x, method="begin")
    token = jnp.ones((2, 2), jnp.int32)
    decode = functools.partial(model.apply, variables, method="decode")
    _, cache = decode(token, cache)
    line = "attention: 2 more tokens at position 2 do not fit a cache with room for 3"
    with pytest.raises(UserError, match=line):
        decode(token, cache)
    jax.jit(decode)(token, cache)  # there nobody can look
    decode(token[:, :1], cache)


def test_attention_checks_its_position_and_its_dropout() -> None:
    layer, x = SelfAttention(8, 2, causal=True), jnp.ones((1, 2, 8))
    variables = layer.init(jax.random.key(0), x, train=False)
    cache = layer.apply(variables, 1, 4, method="empty_cache")
    for position in (3, -1):
        with pytest.raises(UserError, match=f"2 more tokens at position {position} do not fit"):
            layer.apply(variables, x, cache, jnp.int32(position), method="decode")
    with pytest.raises(UserError, match=r"attention: dropout must be at least 0 and below 1, not 1\.0"):
        SelfAttention(8, 2, dropout=1.0).apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
    with pytest.raises(UserError, match=r"drop_path: rate must be at least 0 and below 1, not 1\.0"):
        DropPath(1.0).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    cross = CrossAttention(8, 2)
    empty = KeysValues(jnp.ones((1, 0, 2, 4)), jnp.ones((1, 0, 2, 4)))
    with pytest.raises(UserError, match="the memory is empty"):
        cross.init(jax.random.key(0), x, empty, train=False)


@each
def test_no_config_takes_a_rate_of_one(family: str) -> None:
    name, _ = TINY[family]
    for field in ("dropout", "drop_path", "input_dropout"):
        if hasattr(zoo.card(name).config, field):
            with pytest.raises(UserError, match=f"{field} must be at least 0 and below 1"):
                zoo.create(name, **{field: 1.0})


@each
def test_initial_values_have_one_dtype_with_64_bits_too(family: str) -> None:
    model, expected = made(family)
    with jax.enable_x64(True):
        got = jax.eval_shape(lambda: model.init(jax.random.key(0), **inputs(family, 2), train=False))
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(jnp.float32)}
    assert jax.tree.structure(got) == jax.tree.structure(expected)


def test_the_weights_of_attention_keep_64_bits() -> None:
    """The right values are numpy's, in float64."""
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 1, 3, 1, 5))
    scores = np.einsum("bthd,bshd->bhts", q, k) / 5**0.5
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    with jax.enable_x64(True):
        weights = attention_weights(jnp.asarray(q), jnp.asarray(k))
        assert weights.dtype == jnp.float64
        np.testing.assert_allclose(weights, expected, rtol=1e-14)
        assert attention_weights(jnp.float32(q), jnp.float32(k)).dtype == jnp.float32
        recorder = _Recorder()
        y, sown = recorder.apply({}, *map(jnp.asarray, (q, k, v)), mutable=["intermediates"])
        np.testing.assert_allclose(y, np.einsum("bhts,bshd->bthd", expected, v).reshape(1, 3, 5), rtol=1e-13)
        assert jax.tree.leaves(sown)[0].dtype == jnp.float64


class _Recorder(nn.Module):
    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return attend(self, q, k, v)


@pytest.mark.parametrize(
    "family",
    [family if family in ("mlp", "vit", "gpt") else pytest.param(family, marks=pytest.mark.slow) for family in TINY],
)
def test_nnx_takes_every_family(family: str) -> None:
    model, variables = made(family)
    x = inputs(family, 2)
    bridged = nnx.bridge.lazy_init(nnx.bridge.ToNNX(model, rngs=nnx.Rngs(0)), **x, train=False)
    got = bridged(**x, train=False)
    expected = model.apply(variables, **x, train=False)
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(f"{a.shape}"), got, expected)
