"""The tasks on text: each learns a fixed batch, counts what it says, and poses its problem as its paper does."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from train.algorithms import losses
from train.config import Classify, Masked
from train.core import run_chunk, run_evaluate
from train.data.inputs import sentences
from train.data.sources import Resident, Windows
from train.metrics.evaluation import means
from train.tasks.classify.task import classify
from train.tasks.text.language import language
from train.tasks.text.masked import Marks, Poser, Shape, foresee, hide, join, masked, random_text, with_loss
from train.tasks.text.translate import translate

KEY = jax.random.key(0)
MARKS = Marks(cls=1, sep=2, mask=3)
V = 12
SHAPE = Shape(length=9, vocab=V, marks=MARKS)


class Reader(nn.Module):
    """Looks at its inputs token by token; enough to learn by heart what depends on one token and its place."""

    width: int = V
    pooled: bool = False

    @nn.compact
    def __call__(self, tokens, mask=None, *, train: bool):
        x = nn.Embed(V, 32, name="embed")(tokens)
        x = x + self.param("place", nn.initializers.normal(1), (1, 16, 32))[:, : tokens.shape[1]]
        if self.pooled:
            x = (x * mask[..., None]).sum(1)
        x = nn.Dropout(0.0, deterministic=not train)(nn.relu(nn.Dense(64, name="hidden")(x)))
        return nn.Dense(self.width, name="head")(x)


class Translator(nn.Module):
    """The target's tokens so far and the first token of the source."""

    @nn.compact
    def __call__(self, source, source_mask, target, *, train: bool):
        y = Reader(name="reader")(target, train=train)
        return y + nn.Dense(V, name="source")(jax.nn.one_hot(source[:, :1], V))


class Reading(nn.Module):
    """BERT's contract where each guess sees its own token and place alone."""

    @nn.compact
    def __call__(self, tokens, mask, segments=None, positions=None, *, train: bool):
        logits = Reader(name="reader")(tokens, train=train)
        return jnp.take_along_axis(logits, positions[..., None], axis=1), jnp.zeros((len(tokens), 2))


class Guesser(nn.Module):
    """BERT's contract: logits at `positions`, and whether the two halves belong together."""

    @nn.compact
    def __call__(self, tokens, mask, segments=None, positions=None, *, train: bool):
        whole = jax.nn.one_hot(tokens, V).reshape(len(tokens), -1)
        logits = Reader(name="reader")(tokens, train=train) + nn.Dense(V, name="context")(whole)[:, None]
        at = jnp.take_along_axis(logits, positions[..., None], axis=1)
        return at, nn.Dense(2, name="related")(whole)


def learned(task, data, steps: int = 300) -> tuple[float, float]:
    state = jax.jit(task.init)(KEY)
    state, metrics = run_chunk(task, state, data, KEY, steps)
    return float(metrics["loss"][0]), float(metrics["loss"][-20:].mean())


def test_a_language_model_learns_a_text_and_counts_its_tokens() -> None:
    text = Windows(jnp.arange(61) % 6 + 4, batch=8, length=6)
    task = language(Reader(), optax.adam(1e-2), length=6)
    first, last = learned(task, text)
    assert first > 1.5
    assert last < 0.05
    sums = run_evaluate(task, jax.jit(task.init)(KEY), text, text.sweep())
    assert float(sums["count"]) == 60


PAIRS = {
    "source": jnp.array([[4, 3, 0, 0], [5, 4, 3, 0], [6, 3, 0, 0], [7, 5, 3, 0]]),
    "target": jnp.array([[2, 8, 3, 0, 0], [2, 9, 8, 3, 0], [2, 10, 3, 0, 0], [2, 11, 10, 9, 3]]),
}


def test_translation_learns_and_counts_real_tokens_only() -> None:
    task = translate(Translator(), optax.adam(1e-2))
    data = Resident(PAIRS, 4)
    _, last = learned(task, data)
    assert last < 0.1
    result = means(run_evaluate(task, jax.jit(task.init)(KEY), data, data.sweep()))
    assert result["count"] == 2 + 3 + 2 + 4


class Fixed(nn.Module):
    """Logits of each target token alone."""

    @nn.compact
    def __call__(self, source, source_mask, target, *, train: bool):
        return nn.Embed(V, V, name="table")(target)


def test_padding_of_a_target_changes_no_loss() -> None:
    task = translate(Fixed(), optax.sgd(0.1))
    state = jax.jit(task.init)(KEY)

    def loss(target) -> float:
        batch = {"source": PAIRS["source"], "target": target, "mask": jnp.ones(4)}
        sums = jax.jit(task.evaluate)(state, batch)
        return float(sums["loss"] / sums["count"])

    wider = jnp.pad(PAIRS["target"], ((0, 0), (0, 3)))
    np.testing.assert_allclose(loss(PAIRS["target"]), loss(wider), rtol=1e-6)


def test_smoothing_is_for_training_only() -> None:
    state = jax.jit(translate(Translator(), optax.sgd(0.0)).init)(KEY)
    data = Resident(PAIRS, 4)
    trained, evaluated = [], []
    for smoothing in (0.0, 0.3):
        task = translate(Translator(), optax.sgd(0.0), label_smoothing=smoothing)
        evaluated.append(float(run_evaluate(task, state, data, data.sweep())["loss"]))
        _, metrics = run_chunk(task, jax.tree.map(jnp.copy, state), data, KEY, 1)
        trained.append(float(metrics["loss"][0]))
    assert trained[0] != trained[1]
    assert evaluated[0] == evaluated[1]


def test_token_cross_entropy_is_cross_entropy_with_smoothed_labels() -> None:
    logits = jax.random.normal(KEY, (2, 3, V))
    tokens = jnp.array([[0, 5, 11], [3, 3, 2]])
    labels = losses.one_hot(tokens.ravel(), V, 0.2).reshape(2, 3, V)
    expected = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(losses.token_cross_entropy(logits, tokens, 0.2), expected, rtol=1e-5)


def test_two_texts_are_joined_without_gaps() -> None:
    a, b = jnp.array([[7, 8, 0, 0], [7, 8, 9, 10]]), jnp.array([[5, 0, 0, 0], [5, 6, 4, 11]])
    tokens, segments = join(a, b, 11, MARKS)
    np.testing.assert_array_equal(tokens, [[1, 7, 8, 2, 5, 2, 0, 0, 0, 0, 0], [1, 7, 8, 9, 10, 2, 5, 6, 4, 11, 2]])
    np.testing.assert_array_equal(segments, [[0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]])


def test_of_the_hidden_tokens_80_percent_are_masked_10_replaced_10_left() -> None:
    rows, length, vocab = 400, 103, 5000
    text = jax.random.randint(KEY, (rows, length), 10, vocab).at[:, 0].set(MARKS.cls).at[:, -1].set(MARKS.sep)
    text = text.at[:200, 53:].set(0)  # half of the rows are half as long
    guesses = round(0.15 * (length - 3))
    shape = Shape(length, vocab, MARKS)
    shown, positions, answers = jax.jit(lambda k, t: hide(k, t, guesses, 0.15, shape))(jax.random.key(1), text)
    weight = np.asarray(answers["weight"])
    np.testing.assert_array_equal(weight.sum(1), [8] * 200 + [15] * 200)  # 15 % of 52 and of 101 tokens
    at = np.take_along_axis(np.asarray(shown), np.asarray(positions), 1)[weight == 1]
    answer = np.asarray(answers["token"])[weight == 1]
    assert not np.isin(answer, [0, MARKS.cls, MARKS.sep]).any()
    count = len(answer)
    hidden, same = (at == MARKS.mask).sum() / count, (at == answer).sum() / count
    assert abs(hidden - 0.8) < 3 * np.sqrt(0.16 / count)
    assert abs(same - 0.1) < 3 * np.sqrt(0.09 / count)
    untouched = (np.asarray(shown) == np.asarray(text)).sum()
    assert untouched == rows * length - (at != answer).sum()


def test_a_random_replacement_is_never_a_special_token() -> None:
    """Of 12 tokens 0 to 4 are special: another one is drawn in place of each, and the rest stay as they were drawn."""
    shape = Shape(9, V, MARKS, special=(4,))
    drawn = np.asarray(random_text(KEY, (7000,), shape))
    np.testing.assert_array_equal(np.unique(drawn), np.arange(5, V))
    counts = np.bincount(drawn)[5:]
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(1000)  # four deviations
    before = np.asarray(jax.random.randint(KEY, (7000,), 0, V))
    np.testing.assert_array_equal(drawn[before > 4], before[before > 4])


@pytest.mark.parametrize("rows", [1, 3])
def test_a_text_that_does_follow_counts_as_following(rows: int) -> None:
    """A batch of one row has no other row to take a text from, nor has one of equal texts."""
    poser = Poser(SHAPE, Masked())
    pose = jax.jit(poser.pose)
    texts = {"a": jnp.full((rows, 3), 5), "b": jnp.full((rows, 3), 6)}
    for seed in range(8):
        _, answers = pose(jax.random.key(seed), texts)
        np.testing.assert_array_equal(answers.follows, np.ones(rows))
    other = {"a": jnp.arange(4, 10).reshape(2, 3), "b": jnp.arange(6, 12).reshape(2, 3)}
    labels = [int(pose(jax.random.key(seed), other)[1].follows.sum()) for seed in range(32)]
    assert 16 < sum(labels) < 48  # of 64


def test_what_an_evaluation_hides_follows_from_a_row_and_the_order_of_its_ids_alone() -> None:
    """Rows of the same ids in another order are other rows, and a row is hidden alike beside any others."""
    seen: list[jax.Array] = []

    class Looking(nn.Module):
        """Keeps what it is shown, and has no opinion."""

        @nn.compact
        def __call__(self, tokens, mask, segments, positions, *, train: bool):
            seen.append(jnp.concatenate([tokens, positions], axis=1))
            weight = self.param("weight", nn.initializers.zeros, (V,))
            return jnp.broadcast_to(weight, (*positions.shape, V)), jnp.zeros((len(tokens), 2))

    task = masked(Looking(), optax.sgd(0.1), Shape(19, V, MARKS), Masked(share=0.5, next_sentence=False))
    state = task.init(KEY)

    def shown(a: jax.Array) -> np.ndarray:
        task.evaluate(state, {"a": a, "b": jnp.full_like(a, 4), "mask": jnp.ones(len(a))})
        return np.asarray(seen[-1])

    a = jnp.arange(4, 12)
    swapped = a.at[:2].set(a[1::-1])
    one, other = shown(a[None]), shown(swapped[None])
    assert not np.array_equal(one[:, 19:], other[:, 19:])  # the places that are guessed
    np.testing.assert_array_equal(shown(jnp.stack([a, swapped, a])), [one[0], other[0], one[0]])


def test_masked_modelling_learns_and_half_of_the_pairs_belong_together() -> None:
    a = jnp.tile(jnp.array([[4, 4, 4], [5, 5, 5], [6, 6, 6], [7, 7, 7]]), (16, 1))
    data = Resident({"a": a, "b": a + 4}, 32)
    task = masked(Guesser(), optax.adam(1e-2), SHAPE)
    state, metrics = run_chunk(task, jax.jit(task.init)(KEY), data, KEY, 400)
    assert float(metrics["next_sentence_loss"][0]) > 0.4
    assert float(metrics["masked_loss"][-50:].mean()) < 0.6 * float(metrics["masked_loss"][:5].mean())
    result = means(run_evaluate(task, state, data, data.sweep()))
    assert result["count"] == 64  # one guess in each
    assert result["masked_loss"] > 0
    assert "loss" not in result
    assert with_loss(result)["loss"] == result["masked_loss"] + result["next_sentence_loss"]
    again = means(run_evaluate(task, state, data, data.sweep()))
    assert result == again


def test_without_next_sentence_the_halves_stay_together() -> None:
    a = jnp.array([[4, 5, 6], [7, 8, 9]])
    task = masked(Guesser(), optax.sgd(0.1), SHAPE, Masked(next_sentence=False))
    _, metrics = run_chunk(task, jax.jit(task.init)(KEY), Resident({"a": a, "b": a}, 2), KEY, 2)
    assert "next_sentence_loss" not in metrics
    np.testing.assert_allclose(metrics["loss"], metrics["masked_loss"])


def test_from_left_to_right_every_token_of_the_text_is_guessed_from_the_place_before_it() -> None:
    tokens = jnp.array([[1, 7, 8, 2, 5, 2, 0, 0]])
    positions, answers = foresee(tokens, MARKS)
    np.testing.assert_array_equal(positions, [[0, 1, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal(answers["token"] * answers["weight"], [[7, 8, 0, 5, 0, 0, 0]])
    a = jnp.array([[4, 5, 6], [7, 8, 9]])
    data = Resident({"a": a, "b": a}, 2)
    task = masked(Reading(), optax.adam(1e-2), SHAPE, Masked(next_sentence=False, left_to_right=True))
    state, metrics = run_chunk(task, jax.jit(task.init)(KEY), data, KEY, 200)
    assert means(run_evaluate(task, state, data, data.sweep()))["count"] == 12  # nothing is hidden, all are guessed
    # Only the first token of either text does not follow from the one before it.
    assert float(metrics["loss"][0]) > 2
    assert float(metrics["loss"][-1]) < 0.4


def test_of_a_pair_the_second_sentence_is_segment_1() -> None:
    """Devlin et al. 2018, figure 2: [CLS] a [SEP] is 0, b [SEP] is 1; a single sentence and padding are 0."""
    tokens = jnp.array([[1, 7, 8, 9, 2, 9, 10, 2, 0], [1, 8, 2, 0, 0, 0, 0, 0, 0], [1, 2, 2, 0, 0, 0, 0, 0, 0]])
    batch = sentences(9, MARKS.sep).evaluate({"tokens": tokens})
    expected = [[0, 0, 0, 0, 0, 1, 1, 1, 0], [0] * 9, [0, 0, 1, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(batch["segments"], expected)
    np.testing.assert_array_equal(batch["mask"], tokens != 0)
    assert "segments" not in sentences(9).evaluate({"tokens": tokens})


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_sentences_are_classified_whatever_their_padding(smoothing: float) -> None:
    tokens = jnp.array([[4, 5, 0, 0], [6, 7, 8, 0], [9, 0, 0, 0], [10, 11, 4, 5]])
    data = Resident({"tokens": tokens, "y": jnp.array([0, 1, 0, 1])}, 4)
    task = classify(
        Reader(2, pooled=True), optax.adam(1e-2), sentences(4), classes=2, config=Classify(label_smoothing=smoothing)
    )
    state, metrics = run_chunk(task, jax.jit(task.init)(KEY), data, KEY, 100)
    assert metrics["accuracy"][-1] == 1
    assert means(run_evaluate(task, state, data, data.sweep()))["count"] == 4
