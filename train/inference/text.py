"""What trained models write, from token ids to token ids: texts continued, sentences translated, masks filled."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.inference.decode import PAD, Sampling, Variables, beam_search, generate
from zoo.errors import UserError

TOGETHER = 64  # sentences in one batch
Ids = list[int]


def continue_rows(
    model: nn.Module,
    variables: Variables,
    rows: Sequence[Ids],
    *,
    length: int,
    settings: Sampling,
    seed: int,
    context: int | None = None,
    stop: int | None = None,
) -> list[Ids]:
    """Each row with up to `length` new tokens, fewer where the model draws `stop`, which is left out.

    A model that reads `context` tokens at most sees the last of them. When a window is full its last half becomes the
    prompt of the next, so that every token but the first few of a window has at least half a context before it.
    """
    rows, ended, made, window = [list(row) for row in rows], np.zeros(len(rows), bool), 0, 0
    key = jax.random.key(seed)
    while made < length and not ended.all():
        read = [row[-context:] if context else row for row in rows]
        if context and window and max(map(len, read)) == context:
            read = [row[-max(context // 2, 1) :] for row in read]
        prompt, lengths = padded(read)
        room = context + 1 - prompt.shape[1] if context else length
        # The last window is made whole and then cut: a shorter one would have to be compiled anew.
        size = room if window else min(room, length)
        at = jax.random.fold_in(key, window)
        tokens, lengths = generate(model, variables, prompt, lengths, at, length=size, settings=settings, stop=stop)
        for i, (row, count) in enumerate(zip(np.asarray(tokens), np.asarray(lengths), strict=True)):
            if not ended[i]:
                new = row[:count].tolist()
                ended[i] = stop in new
                rows[i] += new[: length - made] if not ended[i] else new[:-1][: length - made]
        made, window = made + size, window + 1
    return rows


def translate_rows(
    model: nn.Module,
    variables: Variables,
    sources: Sequence[Ids],
    *,
    beams: int,
    length: int,
    length_penalty: float,
    bos: int,
    eos: int,
) -> list[Ids]:
    """The best translation of each source by beam search, [EOS] included where it came within `length` tokens."""
    batch, found = min(TOGETHER, len(sources)), []
    for start in range(0, len(sources), TOGETHER):
        some = sources[start : start + batch]
        # One shape for all batches: the last is filled up, and one row is as wide as the longest source.
        source = padded([*some, *some[:1] * (batch - len(some))], max(map(len, sources)))[0]
        tokens, _ = beam_search(
            model,
            variables,
            batch,
            beams=beams,
            length=length,
            length_penalty=length_penalty,
            bos=bos,
            stop=eos,
            source={"source": source, "source_mask": source != PAD},
        )
        for row in np.asarray(tokens[: len(some), 0]).tolist():
            found.append(row[: row.index(eos) + 1] if eos in row else row)
    return found


def around_masks(ids: Ids, room: int, mask: int) -> Ids:
    """The `room` tokens around the masks in ids. UserError where the masks lie too far apart for that."""
    places = [i for i, token in enumerate(ids) if token == mask]
    if places[-1] - places[0] >= room:
        raise UserError(f"the [MASK]s lie {places[-1] - places[0]} tokens apart, and the model reads {room} at once")
    start = min(max((places[0] + places[-1] + 1 - room) // 2, 0), max(len(ids) - room, 0))
    return ids[start : start + room]


def fill_row(
    model: nn.Module, variables: Mapping[str, Any], ids: Ids, marks: Sequence[int], top: int
) -> list[list[tuple[int, float]]]:
    """For each mask in ids the `top` likeliest tokens with their probabilities, likeliest first.

    marks: the ids of [CLS], [SEP] and [MASK]. What follows a [SEP] in ids is the second text.
    """
    cls, sep, mask = marks
    tokens = np.array([cls, *ids, sep], np.int32)
    before = np.cumsum(tokens == sep) - (tokens == sep)
    places = np.flatnonzero(tokens == mask)
    logits = _masked_logits(model, variables, tokens[None], np.minimum(before, 1).astype(np.int32)[None], places[None])
    probabilities, guesses = jax.lax.top_k(jax.nn.softmax(logits[0]), min(top, logits.shape[-1]))
    return [
        list(zip(guess.tolist(), probability.tolist(), strict=True))
        for guess, probability in zip(np.asarray(guesses), np.asarray(probabilities), strict=True)
    ]


@partial(jax.jit, static_argnames="model")
def _masked_logits(
    model: nn.Module, variables: Mapping[str, Any], tokens: Array, segments: Array, positions: Array
) -> Array:
    logits, _ = model.apply(variables, tokens, mask=tokens != PAD, segments=segments, positions=positions, train=False)
    return logits


def padded(rows: Sequence[Ids], width: int | None = None) -> tuple[Array, Array]:
    """(tokens (B, T) int32, padded at the end; lengths (B,) int32), T being `width` or the longest row's length."""
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.full((len(rows), width or lengths.max()), PAD, np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
    return jnp.asarray(tokens), jnp.asarray(lengths)
