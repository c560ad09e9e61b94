"""GPT: it cannot look ahead, it reads in pieces as at once, and it starts as its papers say."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from zoo import measure

KEY = jax.random.key(0)
SMALL = {"vocab": 11, "context": 8, "width": 16, "depth": 2, "heads": 2}
NETS = {"pre": ("gpt2", {}), "post": ("gpt1", {}), "char": ("gpt_char", {})}
each = pytest.mark.parametrize("net", NETS)


@functools.cache
def made(net: str) -> tuple[Any, dict]:
    name, fields = NETS[net]
    model = zoo.create(name, **SMALL, **fields)
    return model, jax.jit(lambda key: model.init(key, jnp.zeros((1, 2), int), train=False))(KEY)


@functools.partial(jax.jit, static_argnums=0)
def logits(model: Any, variables: dict, tokens: jax.Array) -> jax.Array:
    return model.apply(variables, tokens, train=False)


@functools.partial(jax.jit, static_argnums=0)
def features(model: Any, variables: dict, tokens: jax.Array) -> Any:
    return zoo.features(model, variables, tokens)


@functools.partial(jax.jit, static_argnums=0)
def decode(model: Any, variables: dict, tokens: jax.Array, cache: Any) -> Any:
    return model.apply(variables, tokens, cache, method="decode")


def text(*shape: int, vocab: int = 11) -> jax.Array:
    return jax.random.randint(jax.random.key(1), shape, 0, vocab)


@each
def test_no_token_sees_what_follows(net: str) -> None:
    model, variables = made(net)
    tokens = text(2, 8)
    before, after = (logits(model, variables, t) for t in (tokens, tokens.at[:, 5].set((tokens[:, 5] + 1) % 11)))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()


@each
@pytest.mark.parametrize("pieces", [(1,) * 7, (3, 1, 3), (7,)])
def test_decoding_in_pieces_equals_reading_at_once(net: str, pieces: tuple[int, ...]) -> None:
    model, variables = made(net)
    tokens, parts, start = text(3, 7), [], 0
    cache = model.apply(variables, 3, 8, method="begin")
    for n in pieces:
        part, cache = decode(model, variables, tokens[:, start : start + n], cache)
        parts.append(part)
        start += n
    np.testing.assert_allclose(jnp.concatenate(parts, 1), logits(model, variables, tokens), rtol=1e-4, atol=1e-5)
    assert cache.position == 7
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(cache) if leaf.ndim)


def test_a_cache_has_the_dtype_of_the_parameters() -> None:
    model, variables = made("pre")
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables)

    def first(variables: dict) -> tuple[jax.Array, dict]:
        return model.apply(variables, text(2, 3), model.apply(variables, 2, 8, method="begin"), method="decode")

    out, cache = jax.eval_shape(first, half)
    assert out.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(cache.blocks)} == {jnp.dtype(jnp.bfloat16)}


def test_one_table_embeds_and_gives_the_logits() -> None:
    model, variables = made("pre")
    output, found = features(model, variables, text(2, 8))
    table = variables["params"]["tokens"]["embedding"]
    np.testing.assert_allclose(output, found["norm"] @ table.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["tokens"], table[text(2, 8)])
    assert set(variables["params"]) == {"tokens", "positions", "block0", "block1", "norm"}


def test_places_tell_equal_tokens_apart() -> None:
    model, variables = made("pre")
    same = jnp.full((1, 8), 3)
    assert jnp.abs(jnp.diff(logits(model, variables, same), axis=1)).max() > 1e-4
    table = jax.tree.map(jnp.zeros_like, variables["params"]["positions"])
    blind = {"params": {**variables["params"], "positions": table}}
    assert jnp.abs(jnp.diff(logits(model, blind, same), axis=1)).max() < 1e-5


def test_norms_stand_where_each_paper_has_them() -> None:
    for net in ("pre", "post"):
        model, variables = made(net)
        _, found = features(model, variables, text(2, 8))
        stream = found["block1"].std(-1)
        assert (jnp.abs(stream - 1).max() < 1e-2) == (net == "post")
        assert ("norm" in found) == (net == "pre")


@pytest.mark.parametrize(
    ("name", "fields", "deviation", "scale"),
    [("gpt2", {}, 0.02, 0.02 / 8**0.5), ("gpt1", {}, 0.02, 0.02), ("gpt2", {"deviation": 0.06}, 0.06, 0.06 / 8**0.5)],
)
def test_what_is_added_to_the_stream_starts_small(name: str, fields: dict, deviation: float, scale: float) -> None:
    model = zoo.create(name, **{**SMALL, "width": 96, "depth": 4, "vocab": 99, **fields})
    params = jax.jit(lambda key: model.init(key, text(1, 2), train=False))(KEY)["params"]
    for kernel in (params["block3"]["attention"]["out"]["kernel"], params["block0"]["mlp"]["down"]["kernel"]):
        np.testing.assert_allclose(kernel.std(), scale, rtol=0.03)
    for kernel in (params["block3"]["attention"]["qkv"]["kernel"], params["block0"]["mlp"]["up"]["kernel"]):
        np.testing.assert_allclose(kernel.std(), deviation, rtol=0.03)
    np.testing.assert_allclose(params["tokens"]["embedding"].std(), deviation, rtol=0.05)


def test_before_training_every_token_is_as_likely() -> None:
    model = zoo.create("gpt_char_mini", vocab=200)
    tokens = text(4, 64, vocab=200)
    output = jax.jit(lambda key: model.init_with_output(key, tokens, train=False)[0])(KEY)
    loss = optax.softmax_cross_entropy_with_integer_labels(output[:, :-1], tokens[:, 1:]).mean()
    assert abs(loss - np.log(200)) < 0.1


def test_nanogpt_nets_have_no_biases() -> None:
    _, variables = made("char")
    assert {path[-1].key for path, _ in jax.tree.leaves_with_path(variables)} == {"kernel", "scale", "embedding"}


def test_a_text_beyond_the_context_is_one_line() -> None:
    model, variables = made("pre")
    for call in (
        lambda: model.apply(variables, text(1, 9), train=False),
        lambda: model.apply(variables, 1, 9, method="begin"),
    ):
        with pytest.raises(zoo.UserError, match=r"^gpt: 9 tokens do not fit its context of 8"):
            call()


@pytest.mark.parametrize("name", zoo.list_models("gpt*"))
def test_flops_are_those_of_the_formula(name: str) -> None:
    card = zoo.card(name)
    cfg, t = card.config, card.config.context
    block = 2 * t * 12 * cfg.width**2 + 2 * 2 * t * t * cfg.width  # products with parameters, scores and sums
    assert card.flops == cfg.depth * block + 2 * t * cfg.width * cfg.vocab


def test_a_step_with_the_cache_costs_one_token() -> None:
    model, (_, variables) = zoo.create("gpt_char"), zoo.card("gpt_char").shapes()
    cache = jax.eval_shape(lambda v: model.apply(v, 1, 256, method="begin"), variables)
    step = functools.partial(model.apply, method="decode")
    flops = measure.count_flops(step, variables, jax.ShapeDtypeStruct((1, 1), jnp.int32), cache)
    assert flops * 256 == zoo.card("gpt_char").flops
