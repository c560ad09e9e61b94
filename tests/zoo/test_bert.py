"""BERT: it reads both ways, padding is nothing to it, and one body carries every head."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo

KEY = jax.random.key(0)
SMALL = {"vocab": 11, "context": 9, "width": 16, "depth": 2, "heads": 2, "classes": 3}
HEADS = ("pooler", "pretrain", "classify", "token")


@functools.cache
def made(head: str, *, causal: bool = False) -> tuple[Any, dict]:
    """Model and variables; noise on the biases, which start at zero."""
    model = zoo.create("bert_mini", **SMALL, head=head, causal=causal)
    variables = jax.jit(lambda key: model.init(key, jnp.zeros((1, 2), int), train=False))(KEY)
    return model, jax.tree.map(lambda p: p + 0.1 * jax.random.normal(KEY, p.shape), variables)


@functools.partial(jax.jit, static_argnums=0)
def run(model: Any, variables: dict, *inputs: Any) -> Any:
    return model.apply(variables, *inputs, train=False)


def text(*shape: int, vocab: int = 11) -> jax.Array:
    return jax.random.randint(jax.random.key(1), shape, 0, vocab)


def close(a: Any, b: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), a, b)


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        ("pooler", ((2, 7, 16), (2, 16))),
        ("pretrain", ((2, 7, 11), (2, 2))),
        ("classify", (2, 3)),
        ("token", (2, 7, 3)),
    ],
)
def test_each_head_gives_what_it_says(head: str, shapes: tuple) -> None:
    model = zoo.create("bert_mini", **SMALL, head=head)
    output, _ = jax.eval_shape(lambda key: model.init_with_output(key, text(2, 7), train=False), KEY)
    assert jax.tree.map(lambda a: a.shape, output) == shapes


@pytest.mark.parametrize("head", HEADS)
def test_every_head_has_the_same_body(head: str) -> None:
    body = {"tokens", "positions", "segments", "norm", "block0", "block1"}
    own = {"pooler": {"pooler"}, "pretrain": {"pooler", "masked", "next"}, "classify": {"pooler", "head"}}
    params = made(head)[1]["params"]
    assert set(params) == body | own.get(head, {"head"})
    known = made("pretrain")[1]["params"]
    for name in set(params) - {"head"}:  # so a fine-tuned model takes them over as they are
        assert jax.tree.map(jnp.shape, params[name]) == jax.tree.map(jnp.shape, known[name])


@pytest.mark.parametrize("head", HEADS)
def test_padding_cannot_change_an_answer(head: str) -> None:
    model, variables = made(head)
    tokens, mask = text(2, 9), jnp.arange(9)[None] < jnp.array([[6], [4]])

    def answer(length: int, fill: int, *, masked: bool = True) -> list[jax.Array]:
        """The outputs at real tokens, and those of the whole text."""
        visible = mask if masked else jnp.ones_like(mask)
        output = run(model, variables, jnp.where(mask, tokens, fill)[:, :length], visible[:, :length])
        return [o[:, :6] * mask[:, :6, None] if o.ndim == 3 else o for o in jax.tree.leaves(output)]

    close(answer(9, 0), answer(6, 0))
    close(answer(9, 0), answer(9, 5))
    for masked, unmasked in zip(answer(9, 0), answer(9, 0, masked=False), strict=True):
        assert jnp.abs(masked - unmasked).max() > 1e-3


def test_nothing_but_padding_is_finite() -> None:
    model, variables = made("pretrain")
    mask = jnp.array([[True] * 5, [False] * 5])
    close(jax.tree.map(lambda a: a[0], run(model, variables, text(2, 5), mask)),
          jax.tree.map(lambda a: a[0], run(model, variables, text(2, 5))))  # fmt: skip
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(run(model, variables, text(2, 5), mask)))


def test_every_token_reads_both_ways() -> None:
    model, variables = made("pooler")
    tokens = text(2, 7)
    before, after = (run(model, variables, t)[0] for t in (tokens, tokens.at[:, 3].set((tokens[:, 3] + 1) % 11)))
    assert (jnp.abs(before - after).max(-1) > 1e-4).all()


def test_from_left_to_right_no_token_reads_what_comes_after_it() -> None:
    model, variables = made("pooler", causal=True)
    tokens = text(2, 7)
    other = tokens.at[:, 3].set((tokens[:, 3] + 1) % 11)
    before, after = (run(model, variables, t)[0] for t in (tokens, other))
    moved = jnp.abs(before - after).max((0, 2))
    np.testing.assert_array_equal(moved[:3], 0)
    assert (moved[3:] > 1e-4).all()


def test_from_left_to_right_the_last_real_token_stands_for_the_text() -> None:
    model, variables = made("pooler", causal=True)
    tokens, mask = text(2, 9), jnp.arange(9)[None] < jnp.array([[6], [4]])
    hidden, pooled = run(model, variables, tokens, mask)
    dense = variables["params"]["pooler"]
    close(pooled, jnp.tanh(hidden[jnp.arange(2), jnp.array([5, 3])] @ dense["kernel"] + dense["bias"][None]))
    close(run(model, variables, jnp.where(mask, tokens, 5), mask)[1], pooled)
    close(run(model, variables, tokens[:1, :6])[1], pooled[:1])  # without a mask all tokens are real


def test_left_out_inputs_have_their_defaults() -> None:
    model, variables = made("pretrain")
    tokens = text(2, 7)
    everything = jnp.broadcast_to(jnp.arange(7), (2, 7))
    given = run(model, variables, tokens, jnp.ones((2, 7), bool), jnp.zeros((2, 7), int), everything)
    close(run(model, variables, tokens), given)
    other = run(model, variables, tokens, None, jnp.ones((2, 7), int))
    assert all(jnp.abs(a - b).max() > 1e-3 for a, b in zip(given, other, strict=True))


def test_masked_tokens_are_read_at_their_places() -> None:
    model, variables = made("pretrain")
    tokens, places = text(2, 7), jnp.array([[5, 0, 2], [1, 1, 6]])
    masked, following = run(model, variables, tokens, None, None, places)
    everywhere, same = run(model, variables, tokens)
    close((masked, following), (jnp.take_along_axis(everywhere, places[..., None], 1), same))


def test_the_embedding_table_gives_the_masked_logits() -> None:
    model, variables = made("pretrain")
    (output, _), found = jax.jit(lambda v, x: zoo.features(model, v, x))(variables, text(2, 7))
    params = variables["params"]
    expected = found["masked/norm"] @ params["tokens"]["embedding"].T
    close(output, expected + params["masked"]["logits"]["bias"].reshape(1, 1, -1))
    assert set(params["masked"]["logits"]) == {"bias"}


def test_every_parameter_learns_from_pretraining() -> None:
    model, variables = made("pretrain")
    tokens, segments = text(4, 9), jnp.broadcast_to(jnp.arange(9) // 5, (4, 9))

    @jax.jit
    def gradients(variables: dict) -> dict:
        def loss(variables: dict) -> jax.Array:
            masked, following = model.apply(variables, tokens, None, segments, train=True, rngs={"dropout": KEY})
            entropy = optax.softmax_cross_entropy_with_integer_labels
            return entropy(masked, tokens).mean() + entropy(following, jnp.array([0, 1, 1, 0])).mean()

        return jax.grad(loss)(variables)

    for path, gradient in jax.tree.leaves_with_path(gradients(variables)):
        assert 0 < jnp.abs(gradient).max() < np.inf, jax.tree_util.keystr(path)


def test_before_training_every_token_is_as_likely() -> None:
    model, tokens = zoo.create("bert_tiny", vocab=200, head="pretrain"), text(4, 32, vocab=200)
    (masked, following), variables = jax.jit(lambda key: model.init_with_output(key, tokens, train=False))(KEY)
    assert abs(optax.softmax_cross_entropy_with_integer_labels(masked, tokens).mean() - np.log(200)) < 0.1
    assert abs(optax.softmax_cross_entropy_with_integer_labels(following, tokens[:, 0] % 2).mean() - np.log(2)) < 0.1
    for path, p in jax.tree.leaves_with_path(variables):
        if path[-1].key in ("kernel", "embedding"):  # a normal distribution of 0.02, cut at twice that
            assert jnp.abs(p).max() <= 0.04
            assert p.size < 1000 or abs(p.std() - 0.0176) < 0.001


def test_a_text_beyond_the_context_is_one_line() -> None:
    model, variables = made("classify")
    with pytest.raises(zoo.UserError, match=r"^bert: 10 tokens do not fit its context of 9"):
        model.apply(variables, text(1, 10), train=False)


@pytest.mark.parametrize("name", zoo.list_models("bert*"))
def test_flops_are_those_of_the_formula(name: str) -> None:
    cfg, t = zoo.card(name).config, 512
    block = 2 * t * 12 * cfg.width**2 + 2 * 2 * t * t * cfg.width
    assert zoo.card(name).flops == cfg.depth * block + 2 * cfg.width**2  # and the pooler, for one token
