"""Encoder-decoders of LSTM and GRU: padding moves nothing, no look ahead, the source reversed, the alignment."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from zoo import seq2seq

SOURCE = jax.random.randint(jax.random.key(1), (3, 6), 4, 13)
MASK = jnp.asarray(np.arange(6) < np.array([6, 4, 1])[:, None])
TARGET = jax.random.randint(jax.random.key(2), (3, 5), 2, 11)
SMALL = {
    "seq2seq": ("seq2seq", {"embed": 4, "width": 6, "depth": 2, "spread": 0.8}),
    "seq2seq_forward": ("seq2seq", {"embed": 4, "width": 6, "depth": 2, "spread": 0.8, "reverse_source": False}),
    "attention": ("seq2seq_attention", {"embed": 4, "width": 6, "align": 5, "maxout": 3}),
}
each = pytest.mark.parametrize("case", SMALL)


@functools.cache
def made(case: str) -> tuple[Any, dict]:
    """A model and its variables, with noise on them: the alignment's start is next to flat."""
    name, fields = SMALL[case]
    model = zoo.create(name, source_vocab=13, vocab=11, **fields)

    @jax.jit
    def init() -> dict:
        leaves, tree = jax.tree.flatten(model.init(jax.random.key(0), SOURCE, MASK, TARGET, train=False))
        keys = jax.random.split(jax.random.key(3), len(leaves))
        noisy = [p + 0.5 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
        return jax.tree.unflatten(tree, noisy)

    return model, init()


@functools.cache
def runner(case: str) -> Any:
    """(source, mask, target) -> logits, evaluation mode."""
    model, variables = made(case)
    return jax.jit(lambda source, mask, target: model.apply(variables, source, mask, target, train=False))


@functools.cache
def decoder(case: str) -> tuple[Any, Any]:
    """() -> cache, and (tokens, cache) -> (logits, cache); evaluation mode."""
    model, variables = made(case)
    begin = jax.jit(lambda: model.apply(variables, 3, 5, source=SOURCE, source_mask=MASK, method="begin"))
    return begin, jax.jit(lambda tokens, cache: model.apply(variables, tokens, cache, method="decode"))


def alignment(source: jax.Array, mask: jax.Array) -> jax.Array:
    model, variables = made("attention")
    apply = jax.jit(lambda s, m: model.apply(variables, s, m, TARGET, train=False, mutable=["intermediates"]))
    return apply(source, mask)[1]["intermediates"]["decoder"]["weights"][0]


def close(a: jax.Array, b: jax.Array) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@each
def test_padding_cannot_change_an_answer(case: str) -> None:
    run = runner(case)
    logits = run(SOURCE, MASK, TARGET)
    np.testing.assert_array_equal(logits, run(jnp.where(MASK, SOURCE, 0), MASK, TARGET))
    close(logits[1:2], run(SOURCE[1:2, :4], jnp.ones((1, 4), bool), TARGET[1:2]))  # and none at all is the same
    assert not np.allclose(logits[1:2], run(SOURCE[1:2], jnp.ones((1, 6), bool), TARGET[1:2]), atol=1e-3)


@each
def test_a_sentence_without_words_has_finite_logits_and_gradients(case: str) -> None:
    model, variables = made(case)
    nothing = jnp.zeros((3, 6), bool)

    @jax.jit
    @jax.value_and_grad
    def loss(variables: dict) -> jax.Array:
        return model.apply(variables, SOURCE, nothing, TARGET, train=False).mean()

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loss(variables)))


@each
def test_target_cannot_look_ahead_and_the_source_is_read(case: str) -> None:
    run = runner(case)
    before, after = run(SOURCE, MASK, TARGET), run(SOURCE, MASK, TARGET.at[:, 3].add(1) % 11)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any(axis=(0, 2)).all()
    for word in range(4):  # every real word counts, and only in its own sentence
        other = run(SOURCE.at[1, word].set(3), MASK, TARGET)
        assert not np.allclose(before[1], other[1], atol=1e-5)
        close(before[0::2], other[0::2])


@each
@pytest.mark.parametrize("pieces", [(5,), (2, 1, 2), (1,) * 5])
def test_decode_in_pieces_equals_the_whole(case: str, pieces: tuple[int, ...]) -> None:
    begin, decode = decoder(case)
    cache = begin()
    assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(cache))
    logits = []
    for piece in jnp.split(TARGET, np.cumsum(pieces)[:-1], axis=1):
        part, cache = decode(piece, cache)
        logits.append(part)
    close(jnp.concatenate(logits, axis=1), runner(case)(SOURCE, MASK, TARGET))


def test_the_source_is_reversed_without_its_padding() -> None:
    tokens = jnp.array([[5, 6, 7, 0, 0], [5, 6, 7, 8, 9], [5, 0, 0, 0, 0]])
    expected = [[7, 6, 5, 0, 0], [9, 8, 7, 6, 5], [5, 0, 0, 0, 0]]
    np.testing.assert_array_equal(jax.jit(seq2seq.reverse)(tokens, tokens != 0), expected)


def test_reversing_is_the_only_difference_between_the_two_readings() -> None:
    _, variables = made("seq2seq")
    model, _ = made("seq2seq_forward")
    forward = jax.jit(lambda source: model.apply(variables, source, MASK, TARGET, train=False))
    logits = runner("seq2seq")(SOURCE, MASK, TARGET)
    close(logits, forward(seq2seq.reverse(SOURCE, MASK)))
    assert not np.allclose(logits[:2], forward(SOURCE)[:2], atol=1e-3)


def test_decoder_layers_start_from_the_encoder_layers() -> None:
    model, variables = made("seq2seq")
    cache = model.apply(variables, 3, 5, SOURCE, MASK, method="begin")
    assert jax.tree.map(jnp.shape, cache) == (((3, 6),) * 2,) * 2
    bound = model.bind(variables)
    x = bound.source_embed(seq2seq.reverse(SOURCE, MASK))
    for i, (c, h) in enumerate(cache):
        layer = zoo.recurrent.LSTM(6, zoo.recurrent.uniform(0.1))
        x, final = layer.apply({"params": variables["params"]["encoder"][f"layer{i}"]}, x, mask=MASK)
        close(c, final[0])
        close(h, final[1])


def test_alignment_sums_to_one_and_leaves_out_padding() -> None:
    weights = alignment(SOURCE, MASK)
    assert weights.shape == (3, 5, 6)
    close(weights.sum(axis=-1), jnp.ones((3, 5)))
    np.testing.assert_array_equal((weights > 0).all(axis=1), MASK)
    assert weights[0].std() > 0.01


def test_attention_is_its_equations() -> None:
    """Appendix A.1 and A.2 by hand for one sentence without padding, from the annotations on."""
    model, variables = made("attention")
    cache = model.apply(variables, 1, 5, SOURCE[:1], MASK[:1], method="begin")
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"]["decoder"])
    s, h, keys = (np.asarray(cache[name][0], np.float64) for name in ("state", "annotations", "keys"))
    weights = alignment(SOURCE, MASK)
    logits = runner("attention")(SOURCE, MASK, TARGET)
    for t, token in enumerate(TARGET[0]):
        e = p["embed"]["embedding"][token]
        energy = np.tanh(s @ p["query"] + keys) @ p["score"]
        alpha = np.exp(energy) / np.exp(energy).sum()
        close(weights[0, t], alpha)
        c = alpha @ h
        readout = np.concatenate([s, e, c]) @ p["readout"]["kernel"] + p["readout"]["bias"]
        maxout = np.maximum(readout[0::2], readout[1::2])
        np.testing.assert_allclose(logits[0, t], maxout @ p["head"]["kernel"] + p["head"]["bias"], rtol=1e-4, atol=1e-5)
        x = e @ p["input"]["kernel"] + p["input"]["bias"] + c @ p["context"]
        r, z = (1 / (1 + np.exp(-(x[g : g + 6] + s @ p["recurrent"][:, g : g + 6]))) for g in (0, 6))
        s = (1 - z) * s + z * np.tanh(x[12:] + (r * s) @ p["recurrent"][:, 12:])


def test_annotations_see_both_sides_and_the_state_starts_from_the_first() -> None:
    model, variables = made("attention")
    begin = jax.jit(lambda source: model.apply(variables, 3, 5, source, MASK, method="begin"))
    before, after = begin(SOURCE), begin(SOURCE.at[1, 2].set(3))
    forward, backward = jnp.split(before["annotations"] != after["annotations"], 2, axis=-1)
    np.testing.assert_array_equal(forward[1].any(axis=-1), [False, False, True, True, False, False])
    np.testing.assert_array_equal(backward[1].any(axis=-1), [True, True, True, False, False, False])
    dense = variables["params"]["encoder"]["initial"]
    close(before["state"], jnp.tanh(before["annotations"][:, 0, 6:] @ dense["kernel"] + dense["bias"][None]))
    assert before["keys"].shape == (3, 6, 5)


@pytest.mark.parametrize("name", ["seq2seq", "seq2seq_mini"])
def test_seq2seq_size_and_work_by_formula(name: str) -> None:
    card = zoo.card(name)
    cfg, (length,) = card.config, card.inputs["source"][0]
    m, n = cfg.embed, cfg.width
    first, other = 4 * n * (m + n), 4 * n * (n + n)
    products = 2 * (first + (cfg.depth - 1) * other)
    biases = 2 * cfg.depth * 4 * n
    embeddings = (cfg.source_vocab + cfg.vocab) * m
    assert card.params == embeddings + products + biases + n * cfg.vocab + cfg.vocab
    assert card.flops == 2 * length * (products + n * cfg.vocab)
    if name == "seq2seq":  # section 3.4: "384M parameters, of which 64M are pure recurrent connections"
        assert (products, biases, card.params) == (64_000_000, 32_000, 384_112_000)


def test_seq2seq_mini_is_the_common_small_net() -> None:
    """13,898,501 in PyTorch, whose LSTM has two biases for each gate."""
    second_biases = 4 * 4 * 512
    assert zoo.param_count("seq2seq_mini", source_vocab=7_853, vocab=5_893) + second_biases == 13_898_501


@pytest.mark.parametrize("name", ["seq2seq_attention", "seq2seq_attention_mini"])
def test_attention_size_and_work_by_formula(name: str) -> None:
    card = zoo.card(name)
    cfg, (length,) = card.config, card.inputs["source"][0]
    m, n, a, units = cfg.embed, cfg.width, cfg.align, cfg.maxout
    gru = 3 * (m * n + n * n)
    encoder = 2 * gru + 2 * n * a  # and U_a, once for each source word
    decoder = gru + 3 * 2 * n * n + n * a + (n + m + 2 * n) * 2 * units + units * cfg.vocab
    biases = 3 * 3 * n + a + n + 2 * units + cfg.vocab
    embeddings = (cfg.source_vocab + cfg.vocab) * m
    assert card.params == embeddings + encoder + n * n + decoder + a + biases
    looking = length * (a + 2 * n)  # scores and context, for each target word
    assert card.flops == 2 * (length * (encoder + decoder + looking) + n * n)


@each
def test_half_precision_stays_half(case: str) -> None:
    model, variables = made(case)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), variables)
    assert jax.eval_shape(lambda: model.apply(half, SOURCE, MASK, TARGET, train=False)).dtype == jnp.bfloat16


@pytest.mark.parametrize("case", ["seq2seq", "attention"])
def test_dropout_acts_in_training_only_on_both_sides(case: str) -> None:
    name, fields = SMALL[case]
    model = zoo.create(name, source_vocab=13, vocab=11, dropout=0.5, **fields)
    _, variables = made(case)

    @jax.jit
    def train(key: jax.Array) -> tuple[jax.Array, Any]:
        rngs, keep = {"dropout": key}, {"capture_intermediates": True, "mutable": ["intermediates"]}
        return model.apply(variables, SOURCE, MASK, TARGET, train=True, rngs=rngs, **keep)

    first, again, other = (train(jax.random.key(i)) for i in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.allclose(first[0], other[0])
    drops = [path for path, leaf in jax.tree.leaves_with_path(first[1]) if "dropout" in str(path) and (leaf == 0).any()]
    assert {str(path[1].key) for path in drops} == {"encoder", "decoder"}
    evaluate = jax.jit(lambda: model.apply(variables, SOURCE, MASK, TARGET, train=False))
    close(evaluate(), runner(case)(SOURCE, MASK, TARGET))
