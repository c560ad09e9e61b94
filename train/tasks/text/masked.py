"""BERT's pre-training (Devlin et al. 2018, section 3.1): guess hidden tokens, and whether two texts belong together.

Or, for comparison, predict each token from those before it (Table 5, "LTR").
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.algorithms.accumulate import by_sums
from train.config import Masked
from train.core import Loss, Mean, Metrics, State, Task
from train.data.inputs import segments
from train.metrics.accuracy import is_correct
from train.tasks.draws import row_keys
from train.tasks.network import Network


class Marks(NamedTuple):
    """The ids of the tokens that structure a passage."""

    cls: int
    sep: int
    mask: int


class Shape(NamedTuple):
    """The form of the passages that the network reads."""

    length: int  # tokens of [CLS] a [SEP] b [SEP], padding included
    vocab: int
    marks: Marks
    special: tuple[int, ...] = ()  # the ids that stand for no text, besides [PAD], 0, and the marks

    @property
    def ordinary(self) -> np.ndarray:
        """The ids of the tokens that stand for text, ascending."""
        return np.setdiff1d(np.arange(self.vocab), [0, *self.marks, *self.special])


class Answers(NamedTuple):
    """What the network has to say of a batch."""

    token: Array  # (B, guesses): the right token at each position that is guessed
    weight: Array  # (B, guesses): 1 where there is a guess, 0 where a row has fewer
    follows: Array  # (B,): 1 where the second text follows the first


@dataclasses.dataclass(frozen=True)
class Poser:
    """Turns pairs of texts into what the network reads and what it has to answer."""

    shape: Shape
    config: Masked

    @property
    def guesses(self) -> int:
        """Positions that are guessed in each row."""
        if self.config.left_to_right:
            return self.shape.length - 1
        return max(1, round(self.config.share * (self.shape.length - 3)))

    def example(self) -> dict[str, Array]:
        """Arguments of the model for a batch of one; they only give shapes."""
        one = jnp.ones((1, self.shape.length), jnp.int32)
        return {"tokens": one, "mask": one != 0, "segments": one, "positions": one[:, : self.guesses]}

    def pose(self, key: Array, batch: dict[str, Array]) -> tuple[dict[str, Array], Answers]:
        """Draw what is hidden in a batch: (arguments of the model, answers)."""
        coin_key, hide_key = jax.random.split(key)
        coins = jax.random.bernoulli(coin_key, 0.5, (len(batch["a"]),))
        return self._posed(batch, coins, lambda tokens: self._hidden(hide_key, tokens))

    def pose_again(self, batch: dict[str, Array]) -> tuple[dict[str, Array], Answers]:
        """Draw as `pose` does, but each row's from a key of its own two texts: the same again in any other batch."""
        coin_keys, hide_keys = jax.vmap(jax.random.split, out_axes=1)(row_keys(batch["a"], batch["b"]))

        def hidden(key: Array, row: Array) -> tuple[Array, Array, dict[str, Array]]:
            return jax.tree.map(lambda leaf: leaf[0], self._hidden(key, row[None]))

        coins = jax.vmap(jax.random.bernoulli)(coin_keys)
        return self._posed(batch, coins, lambda tokens: jax.vmap(hidden)(hide_keys, tokens))

    def _hidden(self, key: Array, tokens: Array) -> tuple[Array, Array, dict[str, Array]]:
        return hide(key, tokens, self.guesses, self.config.share, self.shape)

    def _posed(
        self, batch: dict[str, Array], coins: Array, hidden: Callable[[Array], tuple[Array, Array, dict[str, Array]]]
    ) -> tuple[dict[str, Array], Answers]:
        """Pose a batch. coins (B,): whether the true second text is shown; hidden: hides some of the tokens."""
        a, b = (batch[name].astype(jnp.int32) for name in ("a", "b"))
        follows = jnp.ones(len(a), jnp.int32)
        if self.config.next_sentence:
            shown = jnp.where(coins[:, None], b, jnp.roll(b, 1, axis=0))
            # The text of another row may be the very text that follows, as in a batch of one row.
            follows = (shown == b).all(axis=1).astype(jnp.int32)
            b = shown
        marks = self.shape.marks
        tokens, which = join(a, b, self.shape.length, marks)
        if self.config.left_to_right:
            positions, answers = foresee(tokens, marks)
        else:
            tokens, positions, answers = hidden(tokens)
        inputs = {"tokens": tokens, "mask": tokens != 0, "segments": which, "positions": positions}
        return inputs, Answers(answers["token"], answers["weight"], follows)


def masked(
    model: nn.Module,
    tx: optax.GradientTransformation,
    shape: Shape,
    config: Masked | None = None,
    *,
    precision: str = "float32",
) -> Task:
    """Build the Task over {"a": (B, h), "b": (B, h)} integer, padded with 0: two texts that follow one another.

    2 h + 3 <= length; "mask": (B,) when evaluating. The network reads [CLS] a [SEP] b [SEP]. With `next_sentence`, b
    comes from another example in half of the rows. What is hidden is drawn again each time an example is seen; when
    evaluating, the draw depends on the example alone. With `left_to_right` nothing is hidden: every token of the text
    is predicted from those before it, which is all that a causal network sees.
    """
    config = config or Masked()
    net, poser = Network(model, by_sums(tx, 2 if config.next_sentence else 1), precision), Poser(shape, config)

    def init(key: Array) -> State:
        return net.init(key, poser.example())

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        pose_key, dropout_key = jax.random.split(key)
        inputs, answers = poser.pose(pose_key, batch)

        def loss_fn(output: tuple[Array, Array]) -> tuple[Loss, Metrics]:
            tokens, pairs = judge(output, answers, config.next_sentence)
            weight, rows = answers.weight, jnp.float32(len(answers.follows))
            sums = {name: Mean(jnp.sum(value * weight), weight.sum()) for name, value in tokens.items()}
            sums |= {name: Mean(jnp.sum(value), rows) for name, value in pairs.items()}
            parts = tuple(sums[name] for name in ("loss", "next_sentence_loss") if name in sums)
            metrics: Metrics = {name: mean.total / mean.count for name, mean in sums.items() if name != "loss"}
            return parts, {**metrics, "masked_loss": parts[0].total / parts[0].count}

        return net.descend(state, inputs, dropout_key, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        inputs, answers = poser.pose_again(batch)
        tokens, pairs = judge(net.evaluate(state, inputs), answers, config.next_sentence)
        weight = answers.weight * batch["mask"][:, None]
        sums = {name: jnp.sum(value * weight) for name, value in tokens.items()} | {"count": weight.sum()}
        sums["masked_loss"] = sums.pop("loss")  # "loss" is what is trained, both parts: see `with_loss`
        examples = batch["mask"].sum()
        return sums | {name: Mean(jnp.sum(value * batch["mask"]), examples) for name, value in pairs.items()}

    return Task(init, step, evaluate)


def with_loss(means: dict[str, float]) -> dict[str, float]:
    """Add "loss" to the means over a split: the sum of the losses of guesses and of pairs, as in training.

    The two are means over different counts, so their sum cannot be added up batch by batch.
    """
    return {"loss": means["masked_loss"] + means.get("next_sentence_loss", 0.0), **means}


def judge(
    output: tuple[Array, Array], answers: Answers, next_sentence: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return metrics of each guess (B, guesses) and, with `next_sentence`, metrics of each example (B,)."""
    token_logits, pair_logits = output
    tokens = {
        "loss": losses.token_cross_entropy(token_logits, answers.token),
        "accuracy": is_correct(token_logits, answers.token),
    }
    if not next_sentence:
        return tokens, {}
    return tokens, {
        "next_sentence_loss": losses.token_cross_entropy(pair_logits, answers.follows),
        "next_sentence_accuracy": is_correct(pair_logits, answers.follows),
    }


def join(a: Array, b: Array, length: int, marks: Marks) -> tuple[Array, Array]:
    """Join a and b (B, h), padded with 0, to [CLS] a [SEP] b [SEP]: (tokens, segments), both (B, length).

    Segments are 1 on b and the [SEP] after it.
    """
    first, second = ((text != 0).sum(1, keepdims=True) for text in (a, b))
    place = jnp.broadcast_to(jnp.arange(length), (len(a), length))

    def take(text: Array, start: Array | int) -> Array:
        return jnp.take_along_axis(text, jnp.clip(place - start, 0, text.shape[1] - 1), axis=1)

    tokens = jnp.select(
        [place == 0, place <= first, place == first + 1, place <= first + 1 + second, place == first + 2 + second],
        [jnp.int32(marks.cls), take(a, 1), jnp.int32(marks.sep), take(b, first + 2), jnp.int32(marks.sep)],
        0,
    )
    return tokens, segments(tokens, marks.sep)


def is_text(tokens: Array, marks: Marks) -> Array:
    """True where a token is neither padding nor structure."""
    return (tokens != 0) & (tokens != marks.cls) & (tokens != marks.sep)


def foresee(tokens: Array, marks: Marks) -> tuple[Array, dict[str, Array]]:
    """Pose every token (B, T) as a guess from the position before it: (positions (B, T - 1), answers)."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1] - 1), (len(tokens), tokens.shape[1] - 1))
    following = tokens[:, 1:]
    return positions, {"token": following, "weight": is_text(following, marks).astype(jnp.float32)}


def hide(key: Array, tokens: Array, guesses: int, share: float, shape: Shape) -> tuple[Array, Array, dict[str, Array]]:
    """Hide `share` of each row's text, at most `guesses` tokens and at least one.

    tokens (B, T) -> (tokens with some hidden (B, T), positions of the guesses (B, guesses), answers). Of the chosen
    tokens 80 % become [MASK], 10 % a random token of text, 10 % stay. The answers are "token" (B, guesses) and "weight"
    (B, guesses), 0 where a row has fewer.
    """
    choose_key, kind_key, other_key = jax.random.split(key, 3)
    text = is_text(tokens, shape.marks)
    scores = jnp.where(text, jax.random.uniform(choose_key, tokens.shape), -1.0)
    _, positions = jax.lax.top_k(scores, guesses)
    wanted = jnp.clip(jnp.round(share * text.sum(1, keepdims=True)), 1, guesses)
    answer = jnp.take_along_axis(tokens, positions, axis=1)
    kind = jax.random.uniform(kind_key, positions.shape)
    other = random_text(other_key, positions.shape, shape)
    shown = jnp.where(kind < 0.8, shape.marks.mask, jnp.where(kind < 0.9, other, answer))
    chosen = jnp.arange(guesses)[None] < wanted
    rows = jnp.arange(len(tokens))[:, None]
    tokens = tokens.at[rows, positions].set(jnp.where(chosen, shown, answer))
    return tokens, positions, {"token": answer, "weight": chosen.astype(jnp.float32)}


def random_text(key: Array, size: tuple[int, ...], shape: Shape) -> Array:
    """Draw tokens of text uniformly: an array of `size`. In place of a special token another one is drawn.

    A [PAD] that is shown as text, for example, would be hidden from attention.
    """
    drawn = jax.random.randint(key, size, 0, shape.vocab)
    ordinary = shape.ordinary
    is_ordinary = jnp.asarray(np.isin(np.arange(shape.vocab), ordinary))
    again = jax.random.randint(jax.random.fold_in(key, 1), size, 0, len(ordinary))
    return jnp.where(is_ordinary[drawn], drawn, jnp.asarray(ordinary)[again])
