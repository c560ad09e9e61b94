"""Transformer: the target cannot look ahead, the source's padding is nothing, and pieces equal the whole."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import zoo
from zoo import measure
from zoo.transformer import sinusoids

KEY = jax.random.key(0)
SMALL = {"vocab": 11, "width": 16, "depth": 2, "heads": 2, "hidden": 24}
each = pytest.mark.parametrize("norm", ["post", "pre"])
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


def text(*shape: int, seed: int = 1, vocab: int = 11) -> jax.Array:
    return jax.random.randint(jax.random.key(seed), shape, 0, vocab)


SOURCE, TARGET = text(3, 6), text(3, 7, seed=2)
MASK = jnp.arange(6)[None] < jnp.array([[6], [4], [1]])


@functools.cache
def made(norm: str) -> tuple[Any, dict]:
    model = zoo.create("transformer_base", **SMALL, norm=norm)
    return model, jax.jit(lambda key: model.init(key, SOURCE, MASK, TARGET, train=False))(KEY)


@functools.partial(jax.jit, static_argnums=0)
def run(model: Any, variables: dict, *inputs: jax.Array) -> jax.Array:
    return model.apply(variables, *inputs, train=False)


@functools.partial(jax.jit, static_argnums=0)
def begin(model: Any, variables: dict) -> Any:
    return model.apply(variables, 3, 9, SOURCE, MASK, method="begin")


@functools.partial(jax.jit, static_argnums=0)
def decode(model: Any, variables: dict, tokens: jax.Array, cache: Any) -> Any:
    return model.apply(variables, tokens, cache, method="decode")


@functools.partial(jax.jit, static_argnums=0)
def features(model: Any, variables: dict) -> Any:
    return zoo.features(model, variables, SOURCE, MASK, TARGET)


@each
def test_no_target_token_sees_what_follows(norm: str) -> None:
    model, variables = made(norm)
    changed = TARGET.at[:, 4].set((TARGET[:, 4] + 1) % 11)
    before, after = (run(model, variables, SOURCE, MASK, target) for target in (TARGET, changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(-1).all()


@each
def test_padding_of_the_source_cannot_change_an_answer(norm: str) -> None:
    model, variables = made(norm)
    whole = run(model, variables, SOURCE, MASK, TARGET)
    longer = (jnp.pad(jnp.where(MASK, SOURCE, 7), ((0, 0), (0, 3))), jnp.pad(MASK, ((0, 0), (0, 3))))
    close(run(model, variables, *longer, TARGET), whole)
    close(run(model, variables, SOURCE[1:2, :4], MASK[1:2, :4], TARGET[1:2]), whole[1:2])
    assert np.abs(run(model, variables, SOURCE, jnp.ones_like(MASK), TARGET) - whole)[1:].max() > 1e-3


def test_every_real_source_token_is_read() -> None:
    model, variables = made("post")
    whole = run(model, variables, SOURCE, MASK, TARGET)
    for place in range(6):
        other = SOURCE.at[:, place].set((SOURCE[:, place] + 1) % 11)
        moved = jnp.abs(run(model, variables, other, MASK, TARGET) - whole).max((1, 2)) > 1e-5
        np.testing.assert_array_equal(moved, MASK[:, place])


def test_a_source_of_nothing_is_finite() -> None:
    model, variables = made("post")
    assert np.isfinite(run(model, variables, SOURCE, jnp.zeros_like(MASK), TARGET)).all()


@each
@pytest.mark.parametrize("pieces", [(1,) * 7, (3, 1, 3), (7,)])
def test_decoding_in_pieces_equals_reading_at_once(norm: str, pieces: tuple[int, ...]) -> None:
    model, variables = made(norm)
    parts, start, cache = [], 0, begin(model, variables)
    for n in pieces:
        part, cache = decode(model, variables, TARGET[:, start : start + n], cache)
        parts.append(part)
        start += n
    close(jnp.concatenate(parts, 1), run(model, variables, SOURCE, MASK, TARGET))
    assert cache.position == 7
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(cache) if leaf.ndim)


def test_a_step_with_the_cache_costs_one_token() -> None:
    card = zoo.card("transformer_mini")
    cfg, model, (_, variables) = card.config, card.make(), card.shapes()
    source = {
        name: jax.ShapeDtypeStruct((1, 64), dtype)
        for name, dtype in (("source", jnp.int32), ("source_mask", jnp.bool_))
    }
    begin = functools.partial(model.apply, method="begin")
    cache = jax.eval_shape(lambda v, source: begin(v, 1, 32, **source), variables, source)
    step = functools.partial(model.apply, method="decode")
    flops = measure.count_flops(step, variables, jax.ShapeDtypeStruct((1, 1), jnp.int32), cache)
    # queries, keys, values, output; query and output of cross-attention; feed-forward; scores and sums over 32 and 64
    block = 2 * ((4 + 2) * cfg.width**2 + 2 * cfg.width * cfg.hidden) + 4 * (32 + 64) * cfg.width
    assert flops == cfg.depth * block + 2 * cfg.width * cfg.vocab


def test_sources_of_another_number_are_one_line() -> None:
    model, variables = made("post")
    with pytest.raises(zoo.UserError, match="transformer: batch must be the 3 sources, not 2"):
        model.apply(variables, 2, 5, SOURCE, MASK, method="begin")


def test_positions_are_the_formula_of_the_paper() -> None:
    table = sinusoids(50, 8)
    for position in (0, 1, 7, 49):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            close(table[position, 2 * i : 2 * i + 2], [math.sin(angle), math.cos(angle)])


def test_embeddings_are_scaled_and_know_their_place() -> None:
    model, variables = made("post")
    table = variables["params"]["tokens"]["embedding"]
    embed = functools.partial(model.apply, variables, train=False, method="embed")
    close(embed(TARGET, sinusoids(7, 16)), 4 * table[TARGET] + sinusoids(7, 16)[None])


@each
def test_one_table_embeds_both_sides_and_gives_the_logits(norm: str) -> None:
    model, variables = made(norm)
    names = {"tokens", "encoder0", "encoder1", "decoder0", "decoder1"}
    assert set(variables["params"]) == names | ({"encoder_norm", "decoder_norm"} if norm == "pre" else set())
    output, found = features(model, variables)
    last = found["decoder_norm" if norm == "pre" else "decoder1"]
    close(output, last @ variables["params"]["tokens"]["embedding"].T)


@each
def test_norms_stand_where_they_are_said_to(norm: str) -> None:
    model, variables = made(norm)
    found = features(model, variables)[1]
    for block in ("encoder1", "decoder1"):
        assert (jnp.abs(found[block].std(-1) - 1).max() < 1e-3) == (norm == "post")
    read, entered = found["encoder0/attention_norm"], found["tokens"][:3] * 4 + sinusoids(6, 16)[None]
    mean, spread = entered.mean(-1, keepdims=True), entered.std(-1, keepdims=True)
    assert np.allclose(read, (entered - mean) / spread, atol=1e-3) == (norm == "pre")


def test_attention_weights_come_with_the_features() -> None:
    model, variables = made("post")
    found = features(model, variables)[1]
    cross = found["decoder1/cross/weights"]
    assert cross.shape == (3, 2, 7, 6)
    close(cross.sum(-1), 1)
    assert (cross[1, :, :, 4:] == 0).all()
    assert (found["decoder0/attention/weights"][:, :, 0, 1:] == 0).all()
    assert (found["encoder0/attention/weights"][2, :, :, 1:] == 0).all()


def test_before_training_tokens_are_about_as_likely() -> None:
    model = zoo.create("transformer_mini", vocab=500)
    source, target = text(4, 32, vocab=500), text(4, 33, seed=2, vocab=500)
    mask = jnp.ones_like(source, bool)
    output = jax.jit(lambda key: model.init_with_output(key, source, mask, target[:, :-1], train=False)[0])(KEY)
    loss = optax.softmax_cross_entropy_with_integer_labels(output, target[:, 1:]).mean()
    assert abs(loss - np.log(500)) < 0.7  # logits of variance 1 cost half a nat


@pytest.mark.parametrize("name", zoo.list_models("transformer*"))
def test_size_and_flops_are_those_of_the_formula(name: str) -> None:
    cfg, (s, t) = zoo.card(name).config, (64, 64)
    d, attention, mlp = cfg.width, 4 * cfg.width * (cfg.width + 1), cfg.hidden * (2 * cfg.width + 1) + cfg.width
    assert zoo.card(name).params == cfg.vocab * d + cfg.depth * (3 * attention + 2 * mlp + 5 * 2 * d)
    assert zoo.param_count(name, norm="pre") == zoo.card(name).params + 2 * 2 * d
    encoder = 2 * s * (4 * d * d + 2 * d * cfg.hidden) + 4 * s * s * d
    decoder = 2 * t * (6 * d * d + 2 * d * cfg.hidden) + 2 * s * 2 * d * d + 4 * t * (t + s) * d
    assert zoo.card(name).flops == cfg.depth * (encoder + decoder) + 2 * t * d * cfg.vocab
