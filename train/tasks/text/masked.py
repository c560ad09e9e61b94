"""BERT's pre-training (Devlin et al. 2018, section 3.1): guess hidden tokens, tell whether two texts are one.

Or, for comparison, each token from those before it (Table 5, "LTR").
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import Array

from train.algorithms import losses
from train.core import Metrics, State, Task
from train.tasks.network import Network


class Marks(NamedTuple):
    """The ids of the tokens that structure a passage."""

    cls: int
    sep: int
    mask: int


def masked(
    model: nn.Module,
    tx: optax.GradientTransformation,
    *,
    length: int,
    vocab: int,
    marks: Marks,
    share: float = 0.15,
    next_sentence: bool = True,
    left_to_right: bool = False,
    precision: str = "float32",
) -> Task:
    """A Task over {"a": (B, h), "b": (B, h)} integer, padded with 0, two texts that follow one another, and "mask":
    (B,) when evaluating; 2 h + 3 <= length.

    The network sees [CLS] a [SEP] b [SEP]. In half of the examples b is another example's (`next_sentence`). What is
    hidden is drawn anew each time an example is seen; when evaluating it depends on the batch alone. `left_to_right`:
    nothing is hidden, every token of the text is guessed from those before it, which is all that a causal network sees.
    """
    net = Network(model, tx, precision)
    guesses = length - 1 if left_to_right else max(1, round(share * (length - 3)))

    def init(key: Array) -> State:
        one = jnp.ones((1, length), jnp.int32)
        return net.init(key, {"tokens": one, "mask": one != 0, "segments": one, "positions": one[:, :guesses]})

    def pose(key: Array, batch: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """What the network is shown, and the answers: "token" and "weight" (B, guesses), "follows" (B,)."""
        coin_key, hide_key = jax.random.split(key)
        a, b = (batch[name].astype(jnp.int32) for name in ("a", "b"))
        follows = jnp.ones(len(a), jnp.int32)
        if next_sentence:
            follows = jax.random.bernoulli(coin_key, 0.5, (len(a),)).astype(jnp.int32)
            b = jnp.where(follows[:, None], b, jnp.roll(b, 1, axis=0))
        tokens, segments = join(a, b, length, marks)
        if left_to_right:
            positions, answers = foresee(tokens, marks)
        else:
            tokens, positions, answers = hide(hide_key, tokens, guesses, share, vocab, marks)
        shown = {"tokens": tokens, "mask": tokens != 0, "segments": segments, "positions": positions}
        return shown, answers | {"follows": follows}

    def step(state: State, batch: dict[str, Array], key: Array) -> tuple[State, Metrics]:
        pose_key, dropout_key = jax.random.split(key)
        shown, answers = pose(pose_key, batch)

        def loss_fn(output: tuple[Array, Array]) -> tuple[Array, Metrics]:
            tokens, pairs = judge(output, answers, next_sentence)
            weight = answers["weight"]
            means = {name: jnp.sum(value * weight) / weight.sum() for name, value in tokens.items()}
            means |= {name: value.mean() for name, value in pairs.items()}
            loss = means.pop("loss")
            return loss + means.get("next_sentence_loss", 0.0), means | {"masked_loss": loss}

        return net.descend(state, shown, dropout_key, loss_fn)

    def evaluate(state: State, batch: dict[str, Array]) -> Metrics:
        key = jax.random.fold_in(jax.random.key(0), batch["a"].astype(jnp.uint32).sum())
        shown, answers = pose(key, batch)
        tokens, pairs = judge(net.evaluate(state, shown), answers, next_sentence)
        weight = answers["weight"] * batch["mask"][:, None]
        sums = {name: jnp.sum(value * weight) for name, value in tokens.items()} | {"count": weight.sum()}
        examples = batch["mask"].sum()
        return sums | {name: (jnp.sum(value * batch["mask"]), examples) for name, value in pairs.items()}

    return Task(init, step, evaluate)


def judge(
    output: tuple[Array, Array], answers: dict[str, Array], next_sentence: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Values for each guess (B, guesses) and, where it was asked (`next_sentence`), for each example (B,)."""
    guessed, related = output
    tokens = {
        "loss": losses.token_cross_entropy(guessed, answers["token"]),
        "accuracy": guessed.argmax(-1) == answers["token"],
    }
    if not next_sentence:
        return tokens, {}
    return tokens, {
        "next_sentence_loss": losses.token_cross_entropy(related, answers["follows"]),
        "next_sentence_accuracy": related.argmax(-1) == answers["follows"],
    }


def join(a: Array, b: Array, length: int, marks: Marks) -> tuple[Array, Array]:
    """[CLS] a [SEP] b [SEP]: a, b (B, h) padded with 0 -> tokens (B, length), and segments, which are 1 on b [SEP]."""
    first, second = ((text != 0).sum(1, keepdims=True) for text in (a, b))
    place = jnp.broadcast_to(jnp.arange(length), (len(a), length))

    def take(text: Array, start: Array) -> Array:
        return jnp.take_along_axis(text, jnp.clip(place - start, 0, text.shape[1] - 1), axis=1)

    tokens = jnp.select(
        [place == 0, place <= first, place == first + 1, place <= first + 1 + second, place == first + 2 + second],
        [jnp.int32(marks.cls), take(a, 1), jnp.int32(marks.sep), take(b, first + 2), jnp.int32(marks.sep)],
        0,
    )
    segments = (place > first + 1) & (place <= first + 2 + second)
    return tokens, segments.astype(jnp.int32)


def is_text(tokens: Array, marks: Marks) -> Array:
    """True where a token is neither padding nor structure."""
    return (tokens != 0) & (tokens != marks.cls) & (tokens != marks.sep)


def foresee(tokens: Array, marks: Marks) -> tuple[Array, dict[str, Array]]:
    """Every token from the place before it: tokens (B, T) -> positions of the guesses (B, T - 1), and answers."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1] - 1), (len(tokens), tokens.shape[1] - 1))
    following = tokens[:, 1:]
    return positions, {"token": following, "weight": is_text(following, marks).astype(jnp.float32)}


def hide(
    key: Array, tokens: Array, guesses: int, share: float, vocab: int, marks: Marks
) -> tuple[Array, Array, dict[str, Array]]:
    """Hides `share` of each row's text, `guesses` tokens at most and one at least.

    tokens (B, T) -> (what is shown (B, T), positions of the guesses (B, guesses), answers). Of the chosen tokens 80 %
    become [MASK], 10 % any token, 10 % stay. answers: "token" (B, guesses), and "weight", 0 where a row has fewer.
    """
    choose_key, kind_key, other_key = jax.random.split(key, 3)
    text = is_text(tokens, marks)
    scores = jnp.where(text, jax.random.uniform(choose_key, tokens.shape), -1.0)
    _, positions = jax.lax.top_k(scores, guesses)
    wanted = jnp.clip(jnp.round(share * text.sum(1, keepdims=True)), 1, guesses)
    answer = jnp.take_along_axis(tokens, positions, axis=1)
    kind = jax.random.uniform(kind_key, positions.shape)
    other = jax.random.randint(other_key, positions.shape, 0, vocab)
    shown = jnp.where(kind < 0.8, marks.mask, jnp.where(kind < 0.9, other, answer))
    chosen = jnp.arange(guesses)[None] < wanted
    rows = jnp.arange(len(tokens))[:, None]
    tokens = tokens.at[rows, positions].set(jnp.where(chosen, shown, answer))
    return tokens, positions, {"token": answer, "weight": chosen.astype(jnp.float32)}
