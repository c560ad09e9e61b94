"""Write with trained models, from token ids to token ids: continue texts, translate sentences, fill masks."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array

from train.data.inputs import accepts, reading
from train.inference.decode import PAD, Beam, Decoder, Prompts, Sampling, SpecialTokens, beam_search, generate
from zoo.errors import UserError

SENTENCES_PER_BATCH = 64
Ids = list[int]


def continue_rows(
    decoder: Decoder,
    rows: Sequence[Ids],
    *,
    length: int,
    sampling: Sampling,
    seed: int,
    context: int | None = None,
    stop: int | None = None,
) -> list[Ids]:
    """Return each row followed by up to `length` new tokens. A row ends before the token `stop`.

    context: the most tokens that the model reads; of a longer row it reads the last ones. When the context is full,
    its last half becomes the prompt of the next window. So every token but the first few of a window is conditioned
    on at least half a context.
    """
    rows = [list(row) for row in rows]
    ended = np.zeros(len(rows), bool)
    key = jax.random.key(seed)
    made, window = 0, 0
    while made < length and not ended.all():
        visible = [row[-context:] if context else row for row in rows]
        if context and window and max(map(len, visible)) == context:
            visible = [row[-max(context // 2, 1) :] for row in visible]
        prompts = padded(visible)
        room = context + 1 - prompts.tokens.shape[1] if context else length
        # The last window is generated in full and then cut, since a shorter one would have to be compiled.
        size = room if window else min(room, length)
        window_key = jax.random.fold_in(key, window)
        new_tokens, counts = generate(decoder, prompts, window_key, length=size, sampling=sampling, stop=stop)
        for i, (tokens, count) in enumerate(zip(np.asarray(new_tokens), np.asarray(counts), strict=True)):
            if ended[i]:
                continue
            new = tokens[:count].tolist()
            ended[i] = stop in new
            if ended[i]:
                new.pop()
            rows[i] += new[: length - made]
        made, window = made + size, window + 1
    return rows


def translate_rows(decoder: Decoder, sources: Sequence[Ids], beam: Beam, special: SpecialTokens) -> list[Ids]:
    """Return the best translation of each source by beam search, with its [EOS] if it ended within `beam.length`."""
    size, width = min(SENTENCES_PER_BATCH, len(sources)), max(map(len, sources))
    translations = []
    for start in range(0, len(sources), SENTENCES_PER_BATCH):
        batch = sources[start : start + size]
        # All batches have the same shape: the last one is filled up with copies of its first row.
        filled = [*batch, *[batch[0]] * (size - len(batch))]
        source = padded(filled, width).tokens
        with_source = dataclasses.replace(decoder, source={"source": source, "source_mask": source != PAD})
        tokens = beam_search(with_source, size, beam, special).tokens
        best = tokens[: len(batch), 0]
        for row in np.asarray(best).tolist():
            translations.append(row[: row.index(special.eos) + 1] if special.eos in row else row)
    return translations


class MaskTokens(NamedTuple):
    """The ids of the special tokens of a masked language model."""

    cls: int
    sep: int
    mask: int


class Guess(NamedTuple):
    """A token for a mask."""

    token: int
    probability: float


def around_masks(ids: Ids, room: int, mask: int) -> Ids:
    """Return the `room` tokens around the masks in ids. UserError where the masks are too far apart for that."""
    positions = [i for i, token in enumerate(ids) if token == mask]
    first, last = positions[0], positions[-1]
    if last - first >= room:
        raise UserError(f"the [MASK]s are {last - first} tokens apart, and the model reads {room} at once")
    start = min(max((first + last + 1 - room) // 2, 0), max(len(ids) - room, 0))
    return ids[start : start + room]


def fill_row(
    model: nn.Module, variables: Mapping[str, Any], ids: Ids, special: MaskTokens, top: int, segmented: bool = True
) -> list[list[Guess]]:
    """Return for each mask in ids its `top` most likely tokens, most likely first.

    Tokens after the first [SEP] in ids are read as the second text, unless not `segmented`.
    """
    tokens = jnp.array([[special.cls, *ids, special.sep]], jnp.int32)
    positions = jnp.flatnonzero(tokens[0] == special.mask)
    inputs = reading(tokens, special.sep if segmented and accepts(model, "segments") else None)
    logits = _masked_logits(model, variables, inputs, positions[None])
    probabilities, guesses = jax.lax.top_k(jax.nn.softmax(logits[0]), min(top, logits.shape[-1]))
    return [
        [Guess(*pair) for pair in zip(guess.tolist(), probability.tolist(), strict=True)]
        for guess, probability in zip(np.asarray(guesses), np.asarray(probabilities), strict=True)
    ]


@partial(jax.jit, static_argnames="model")
def _masked_logits(
    model: nn.Module, variables: Mapping[str, Any], inputs: Mapping[str, Array], positions: Array
) -> Array:
    """Return the logits of the heads "pretrain" and "masked" at `positions`."""
    arguments: dict[str, Any] = {**inputs, "positions": positions}
    output = model.apply(variables, **arguments, train=False)
    return output[0] if isinstance(output, tuple) else output


def padded(rows: Sequence[Ids], width: int | None = None) -> Prompts:
    """Pad rows at the end to `width` tokens; None: to the length of the longest."""
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.full((len(rows), width or lengths.max()), PAD, np.int32)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
    return Prompts(jnp.asarray(tokens), jnp.asarray(lengths))
