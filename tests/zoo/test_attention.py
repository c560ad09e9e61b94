"""One attention for all: the formula, its masks, and a cache that changes nothing."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo.attention import CrossAttention, SelfAttention, attention, attention_weights

KEY = jax.random.key(0)
SELF = SelfAttention(12, 3)
CAUSAL = SELF.copy(causal=True)
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


def noise(*shape: int, seed: int = 1) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


@functools.cache
def made(model: SelfAttention) -> dict:
    """Variables of a self-attention, its biases not zero."""
    variables = jax.jit(lambda key: model.init(key, noise(1, 2, 12), train=False))(KEY)
    return jax.tree.map(lambda p: p + 0.1 * noise(*p.shape), variables)


@functools.partial(jax.jit, static_argnums=0)
def run(model: SelfAttention, variables: dict, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    return model.apply(variables, x, mask=mask, train=False)


@jax.jit
def decode(variables: dict, x: jax.Array, cache: Any, position: int) -> Any:
    return CAUSAL.apply(variables, x, cache, position, method="decode")


@jax.jit
def watched(variables: dict, x: jax.Array, mask: jax.Array | None = None) -> tuple[jax.Array, dict]:
    """SELF, its weights written out."""
    return SELF.apply(variables, x, mask=mask, train=False, mutable=["intermediates"])


def test_attention_is_the_softmax_of_scaled_products() -> None:
    q, k, v = noise(3, 2, 5, 3, 4)
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k) / 2)
    close(attention(q, k, v), jnp.einsum("bhqk,bkhd->bqhd", weights, v))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_are_those_of_attention(causal: bool, masked: bool) -> None:
    q, k, v = noise(3, 2, 5, 3, 4)
    mask = (jnp.arange(5)[None] < jnp.array([[5], [3]]))[:, None, None] if masked else None
    weights = jax.jit(functools.partial(attention_weights, causal=causal))(q, k, mask=mask)
    close(attention(q, k, v, mask=mask, causal=causal), jnp.einsum("bhqk,bkhd->bqhd", weights, v))
    close(weights.sum(-1), 1)
    assert (weights[1, :, :, 3:] == 0).all() == masked
    assert (weights[0][:, *np.triu_indices(5, 1)] == 0).all() == causal


@pytest.mark.parametrize("sow", [False, True])
def test_a_query_without_keys_is_finite_and_harms_nobody(sow: bool) -> None:
    x, mask = noise(3, 4, 12), jnp.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)

    @jax.jit
    def read(variables: dict, x: jax.Array) -> jax.Array:
        return watched(variables, x, mask)[0] if sow else run(SELF, variables, x, mask)

    y = read(made(SELF), x)
    assert np.isfinite(y).all()
    close(y[0], run(SELF, made(SELF), x[:1])[0])
    close(y[2, :2], run(SELF, made(SELF), x[2:, :2])[0])
    gradients = jax.jit(jax.grad(lambda v: (read(v, x)[mask] ** 2).sum()))(made(SELF))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_every_head_reads_its_own_part_of_one_product() -> None:
    x, params = noise(2, 5, 12), made(SELF)["params"]
    q, k, v = jnp.split(x @ params["qkv"]["kernel"] + params["qkv"]["bias"][None, None], 3, axis=-1)
    heads = [attention(*(a[:, :, None, 4 * h : 4 * h + 4] for a in (q, k, v)))[:, :, 0] for h in range(3)]
    expected = jnp.concatenate(heads, -1) @ params["out"]["kernel"] + params["out"]["bias"][None, None]
    close(run(SELF, made(SELF), x), expected)


def test_cross_attention_to_oneself_is_self_attention() -> None:
    x, params = noise(2, 5, 12), made(SELF)["params"]
    parts = {
        "q": jax.tree.map(lambda p: p[..., :12], params["qkv"]),
        "kv": jax.tree.map(lambda p: p[..., 12:], params["qkv"]),
        "out": params["out"],
    }
    cross = CrossAttention(12, 3)
    kv = cross.apply({"params": parts}, x, method="keys_values")
    close(cross.apply({"params": parts}, x, kv, train=False), run(SELF, made(SELF), x))
    fewer = cross.apply({"params": parts}, x[:, :2], kv, train=False)  # two queries, five keys
    close(fewer, run(SELF, made(SELF), x)[:, :2])


def test_causal_attention_cannot_look_ahead() -> None:
    x = noise(2, 6, 12)
    before, after = (run(CAUSAL, made(CAUSAL), a) for a in (x, x.at[:, 4].add(1)))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(-1).all()
    assert (run(SELF, made(SELF), x) != run(SELF, made(SELF), x.at[:, 4].add(1))).any(-1).all()


@pytest.mark.parametrize("pieces", [(1,) * 6, (6,), (3, 1, 1, 1)])
def test_pieces_with_a_cache_equal_the_whole(pieces: tuple[int, ...]) -> None:
    x, variables, outputs, position = noise(2, 6, 12), made(CAUSAL), [], 0
    cache = CAUSAL.apply(variables, 2, 9, method="empty_cache")  # more room than needed
    for n in pieces:
        y, cache = decode(variables, x[:, position : position + n], cache, position)
        outputs.append(y)
        position += n
    close(jnp.concatenate(outputs, 1), run(CAUSAL, variables, x))


def test_more_tokens_than_room_is_one_line() -> None:
    cache = CAUSAL.apply(made(CAUSAL), 1, 3, method="empty_cache")
    with pytest.raises(zoo.UserError, match="4 tokens do not fit a cache with room for 3"):
        CAUSAL.apply(made(CAUSAL), noise(1, 4, 12), cache, 0, method="decode")


def test_sown_weights_show_what_was_read() -> None:
    x, mask = noise(2, 5, 12), jnp.arange(5)[None] < jnp.array([[5], [2]])
    y, state = watched(made(SELF), x, mask)
    (weights,) = state["intermediates"]["weights"]
    assert weights.shape == (2, 3, 5, 5)
    assert (weights[1, :, :, 2:] == 0).all()
    close(y, run(SELF, made(SELF), x, mask))


def test_dropout_takes_weights_away_and_keeps_their_mean() -> None:
    model, x = SELF.copy(dropout=0.5), noise(1, 5, 12)

    def noisy(key: jax.Array) -> jax.Array:
        return model.apply(made(SELF), x, train=True, rngs={"dropout": key})

    outputs = jax.jit(jax.vmap(noisy))(jax.random.split(KEY, 4000))
    assert outputs.std(0).min() > 0.05
    np.testing.assert_allclose(outputs.mean(0), run(model, made(SELF), x), atol=0.1)


def test_fused_products_start_as_xavier_on_each_part() -> None:
    def size(model: SelfAttention, *inputs: Any) -> dict:
        params = jax.jit(lambda key: model.init(key, *inputs, train=False))(KEY)["params"]
        return {name: float(jnp.abs(p["kernel"]).max()) for name, p in params.items()}

    x = noise(1, 2, 64)
    bound = (6 / (64 + 64)) ** 0.5
    model = SelfAttention(64, 2)
    for name, largest in size(model, x).items():
        assert 0.99 * bound < largest <= bound, name
    cross = CrossAttention(64, 2, bias=False)
    shapes = jax.eval_shape(lambda key: cross.init(key, x, method="keys_values"), KEY)["params"]
    assert jax.tree.map(lambda p: p.shape, shapes) == {"kv": {"kernel": (64, 128)}}
