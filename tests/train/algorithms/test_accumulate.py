"""Accumulated batches weigh as one large batch would, whatever each of them counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import zoo
from train.algorithms.optimizers import make_optimizer, remarks
from train.config import Masked, Optim
from train.core import run_chunk
from train.data.sources import Resident
from train.tasks.text.masked import Marks, Shape, masked
from train.tasks.text.translate import translate

VOCAB = 20
KEY = jax.random.key(0)


def sentences(rows: int, least: int, most: int, seed: int) -> dict[str, np.ndarray]:
    """Sources and targets of `least` to `most` tokens, padded to 14, with [BOS] 2 and [EOS] 3."""
    rng = np.random.default_rng(seed)
    source, target = np.zeros((2, rows, 14), np.int32)
    for i in range(rows):
        length = rng.integers(least, most + 1)
        source[i, :length], source[i, length] = rng.integers(4, VOCAB, length), 3
        target[i, 0], target[i, 1 : 1 + length], target[i, 1 + length] = 2, rng.integers(4, VOCAB, length), 3
    return {"source": source, "target": target}


def moved(task, batches) -> np.ndarray:
    """How far steps on `batches` move the parameters, as one vector."""
    state = task.init(KEY)
    start = state.params["net"]
    for batch in batches:
        state, _ = task.step(state, jax.tree.map(jnp.asarray, batch), KEY)
    return flat(jax.tree.map(jnp.subtract, state.params["net"], start))


def flat(tree) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def compiled(task):
    return task._replace(init=jax.jit(task.init), step=jax.jit(task.step))


@functools.cache
def translator(accumulate: int = 1, **optim):
    model = zoo.create("seq2seq_mini", vocab=VOCAB, source_vocab=VOCAB, embed=4, width=8, depth=1, dropout=0.0)
    optim = {"name": "sgd", "lr": 1.0, **optim}
    return compiled(translate(model, make_optimizer(Optim(accumulate=accumulate, **optim), 10)))


SHORT, LONG = sentences(4, 1, 1, 0), sentences(4, 11, 12, 1)  # 8 and 49 target tokens
BOTH = {name: np.concatenate([SHORT[name], LONG[name]]) for name in SHORT}


RULES = {"sgd": {}, "momentum": {"name": "momentum", "ema": 0.5, "clip_norm": 0.1, "weight_decay": 0.1}}


@pytest.mark.parametrize("optim", RULES.values(), ids=RULES)
def test_short_and_long_sentences_are_the_batch_of_both(optim) -> None:
    """The right value is the step on both batches at once: the mean over all of their tokens."""
    whole = moved(translator(**optim), [BOTH])
    assert relative(moved(translator(accumulate=2, **optim), [SHORT, LONG]), whole) < 2e-5
    assert relative(moved(translator(accumulate=2, **optim), [LONG, SHORT]), whole) < 2e-5


def test_the_sums_start_again_after_each_update() -> None:
    whole = moved(translator(), [BOTH, LONG])
    halves = [{name: leaf[:2] for name, leaf in LONG.items()}, {name: leaf[2:] for name, leaf in LONG.items()}]
    assert relative(moved(translator(accumulate=2), [SHORT, LONG, *halves]), whole) < 2e-5


def test_nothing_moves_between_two_updates_and_a_batch_without_tokens_counts_nothing() -> None:
    empty = {name: np.zeros_like(leaf) for name, leaf in SHORT.items()}
    assert not moved(translator(accumulate=3), [SHORT, LONG]).any()
    nothing = moved(translator(accumulate=2), [empty, empty])
    assert np.isfinite(nothing).all()
    assert relative(moved(translator(accumulate=2), [empty, LONG]), moved(translator(), [LONG])) < 2e-5


def passages(rows: int, length: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    text = np.zeros((2, rows, 10), np.int32)
    text[:, :, :length] = rng.integers(4, VOCAB, (2, rows, length))
    return {"a": text[0], "b": text[1]}


def reader(accumulate: int):
    fields = {"vocab": VOCAB, "width": 8, "depth": 1, "heads": 2, "context": 23, "dropout": 0.0, "head": "pretrain"}
    tx = make_optimizer(Optim("sgd", lr=1.0, accumulate=accumulate), 10)
    return masked(zoo.create("bert_tiny", **fields), tx, Shape(23, VOCAB, Marks(1, 2, 3)), Masked(share=0.3))


def test_the_guesses_of_all_batches_count_alike_and_pairs_are_counted_in_rows() -> None:
    """The right value is the mean over all guesses plus the mean over all pairs, of gradients taken batch by batch."""
    batches = [passages(4, 2, 0), passages(4, 10, 1)]
    guesses = np.array([4 * 1, 4 * 6])  # of the 4 and 20 tokens of each row 30 %, rounded

    task = reader(1)
    state = jax.jit(task.init)(KEY)

    @jax.jit
    @jax.grad
    def gradient(params, batch, name):
        _, metrics = task.step(state.replace(params={"net": params}), batch, KEY)
        return metrics["masked_loss"] * name["masked_loss"] + metrics["next_sentence_loss"] * name["next_sentence_loss"]

    def gradients(name):
        names = {"masked_loss": 0.0, "next_sentence_loss": 0.0} | {name: 1.0}
        return np.stack([flat(gradient(state.params["net"], batch, names)) for batch in batches])

    masked_gradient = guesses @ gradients("masked_loss") / guesses.sum()
    expected = -(masked_gradient + gradients("next_sentence_loss").mean(0))
    assert relative(moved(compiled(reader(2)), batches), expected) < 2e-5


def test_an_accumulation_of_sums_runs_in_the_compiled_loop() -> None:
    task = translator(accumulate=2)
    state, metrics = run_chunk(task, jax.jit(task.init)(KEY), Resident(jax.tree.map(jnp.asarray, BOTH), 4), KEY, 5)
    assert np.isfinite(metrics["loss"]).all()
    assert int(state.opt["net"].mini_step) == 1


def test_steps_that_are_left_over_are_said_before_training() -> None:
    assert remarks(Optim(accumulate=4), 12) == ()
    assert remarks(Optim(), 7) == ()
    assert remarks(Optim(accumulate=4), 1_001) == (
        "the last step makes no update: optim.accumulate=4 does not divide the 1,001 steps",
    )
    (line,) = remarks(Optim(accumulate=4), 10)
    assert line == "the last 2 steps make no update: optim.accumulate=4 does not divide the 10 steps"
