"""Encode examples to the token arrays of each form, padded at the end with id 0."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from train.data.text.dataset import Examples
from train.data.text.tokenizers import Ragged, encode_many, require, special

ROWS = 1 << 16
"""Rows that are filled at once, which limits the memory of the indices."""
LEAST = {"stream": 1, "passages": 5, "pairs": 2, "labelled": 5}
"""Smallest data.length: the special tokens and one token of each sentence."""


class Encoded(NamedTuple):
    """The token arrays of a split."""

    arrays: dict[str, np.ndarray]
    truncated: int = 0  # examples that were too long


class Frame(NamedTuple):
    """The ids of the tokens around one sentence or two; None where there is no such token."""

    start: int | None  # before the first sentence
    end: int | None  # after each sentence


class Segments(NamedTuple):
    """One segment of each row: `flat[starts[i] : starts[i] + counts[i]]` in row i."""

    flat: np.ndarray
    starts: np.ndarray  # (rows,)
    counts: np.ndarray  # (rows,)

    @classmethod
    def of(cls, ids: Ragged, counts: np.ndarray) -> "Segments":
        """Return the first `counts` ids of each text."""
        return cls(ids.flat, ids.starts, counts)


def stream(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Encoded:
    """Return {"tokens": (N,)}: the concatenated documents. If there are several, [EOS] (if it exists) follows each."""
    ids = encode_many(tokenizer, examples.texts)
    end = special(tokenizer, "[EOS]") if several else None
    return Encoded({"tokens": ids.flat if end is None else np.insert(ids.flat, np.cumsum(ids.lengths), end)})


def passages(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Encoded:
    """Return {"a": (N, h), "b": (N, h)}, h = (length - 3) // 2: the halves of passages of up to 2 h tokens.

    The last passage of a document is shorter. One of a single token has no halves and is left out.
    """
    require(tokenizer, ("[PAD]", "[CLS]", "[SEP]", "[MASK]"), "masked passages")
    ids, half = encode_many(tokenizer, examples.texts), (length - 3) // 2
    pieces = -(-ids.lengths // (2 * half))
    document = np.repeat(np.arange(len(ids.lengths)), pieces)
    offset = 2 * half * (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces))
    count = np.minimum(2 * half, ids.lengths[document] - offset)
    start, count = (ids.starts[document] + offset)[count > 1], count[count > 1]
    first = (count + 1) // 2
    a = fill(half, len(count), [Segments(ids.flat, start, first)], ids.flat.dtype)
    b = fill(half, len(count), [Segments(ids.flat, start + first, count - first)], ids.flat.dtype)
    return Encoded({"a": a, "b": b})


def pairs(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Encoded:
    """Return {"source": (N, S), "target": (N, T)}, as wide as the longest, with S <= length and T <= length + 1.

    A source ends with [EOS]. A target starts with [BOS] and ends with [EOS].
    """
    _, begin, end = require(tokenizer, ("[PAD]", "[BOS]", "[EOS]"), "pairs of sentences")
    assert examples.seconds is not None  # the form has them
    sides = [encode_many(tokenizer, texts) for texts in (examples.texts, examples.seconds)]
    counts = [np.minimum(side.lengths, length - 1) for side in sides]
    truncated = np.any([side.lengths > length - 1 for side in sides], axis=0)
    arrays = {}
    for name, side, count, head in zip(("source", "target"), sides, counts, ([], [begin]), strict=True):
        width = int(count.max(initial=0)) + len(head) + 1
        arrays[name] = fill(width, len(count), [*head, Segments.of(side, count), end], side.flat.dtype)
    return Encoded(arrays, int(truncated.sum()))


def labelled(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Encoded:
    """Return {"tokens": (N, length), "y": int32 (N,)}: [CLS] sentence [SEP], or [CLS] first [SEP] second [SEP].

    With a tokenizer without these it is: sentence [EOS], or first [EOS] second [EOS]. Where two sentences are too long
    together, the longer one is truncated first.
    """
    require(tokenizer, ("[PAD]",), "sentences of several lengths")
    start, end = frame(tokenizer)
    head, tails = ([] if each is None else [each] for each in (start, end))
    groups = [examples.texts] if examples.seconds is None else [examples.texts, examples.seconds]
    sides = [encode_many(tokenizer, texts) for texts in groups]
    room = length - len(head) - len(tails) * len(sides)
    counts = _truncated([side.lengths for side in sides], room)
    columns: list[int | Segments] = list(head)
    for side, count in zip(sides, counts, strict=True):
        columns += [Segments.of(side, count), *tails]
    tokens = fill(length, len(examples), columns, sides[0].flat.dtype)
    too_long = sum(side.lengths for side in sides) > room
    assert examples.labels is not None  # the form has them
    return Encoded({"tokens": tokens, "y": examples.labels.astype(np.int32)}, int(np.sum(too_long)))


def framed(ids: Sequence[int], around: Frame, length: int) -> list[int]:
    """Return a row of `labelled` without its padding, from the ids of a text, or of two with the end token between."""
    cuts = [i for i, token in enumerate(ids) if token == around.end][:1]
    sides = [list(ids[: cuts[0]]), list(ids[cuts[0] + 1 :])] if cuts else [list(ids)]
    head, tail = ([] if each is None else [each] for each in around)
    counts = _truncated([np.array([len(side)]) for side in sides], length - len(head) - len(tail) * len(sides))
    row = head
    for side, count in zip(sides, counts, strict=True):
        row = [*row, *side[: int(count[0])], *tail]
    return row


def frame(tokenizer: Tokenizer) -> Frame:
    """Return the special tokens around labelled sentences: [CLS] and [SEP], or with a tokenizer without them [EOS]."""
    start, end = special(tokenizer, "[CLS]"), special(tokenizer, "[SEP]")
    return Frame(None, special(tokenizer, "[EOS]")) if start is None or end is None else Frame(start, end)


FORMS = {"stream": stream, "passages": passages, "pairs": pairs, "labelled": labelled}


def _truncated(lengths: list[np.ndarray], room: int) -> list[np.ndarray]:
    """Return lengths that fit into `room` together."""
    if len(lengths) == 1:
        return [np.minimum(lengths[0], room)]
    first = np.minimum(lengths[0], np.maximum(room - room // 2, room - lengths[1]))
    return [first, np.minimum(lengths[1], room - first)]


def fill(width: int, rows: int, columns: Sequence[int | Segments], dtype: np.dtype) -> np.ndarray:
    """Concatenate `columns` in each row and pad with zeros: (rows, width). An integer is an id in every row."""
    out = np.zeros((rows, width), dtype)
    for top in range(0, rows, ROWS):
        block = out[top : top + ROWS]
        at = np.zeros(len(block), np.int64)
        for column in columns:
            if isinstance(column, int):
                block[np.arange(len(block)), at] = column
                at += 1
                continue
            flat, starts, counts = column.flat, column.starts[top : top + ROWS], column.counts[top : top + ROWS]
            row = np.repeat(np.arange(len(block)), counts)
            within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
            block[row, at[row] + within] = flat[starts[row] + within]
            at += counts
    return out
