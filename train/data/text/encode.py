"""Examples and a tokenizer to the token arrays of each form; padded at the end with id 0."""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from train.data.text.dataset import Examples
from train.data.text.tokenizers import encode_many, require, special

ROWS = 1 << 16
"""Rows laid out at once, which bounds the memory that indices take."""
LEAST = {"stream": 1, "passages": 5, "pairs": 2, "labelled": 5}
"""Smallest data.length: room for the special tokens and one token of each sentence."""
Filled = tuple[dict[str, np.ndarray], int]
"""Arrays, and how many examples lost their end."""


def stream(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Filled:
    """{"tokens": (N,)}: document after document, each ended by [EOS] where there are several and it exists."""
    ids = encode_many(tokenizer, examples.texts)
    end = special(tokenizer, "[EOS]") if several else None
    return {"tokens": ids.flat if end is None else np.insert(ids.flat, np.cumsum(ids.lengths), end)}, 0


def passages(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Filled:
    """{"a": (N, h), "b": (N, h)}, h = (length - 3) // 2: stretches of up to 2 h tokens of a document, halved.

    The last stretch of a document is shorter; one of a single token, which has no halves, is left out.
    """
    require(tokenizer, ("[PAD]", "[CLS]", "[SEP]", "[MASK]"), "masked passages")
    ids, half = encode_many(tokenizer, examples.texts), (length - 3) // 2
    pieces = -(-ids.lengths // (2 * half))
    document = np.repeat(np.arange(len(ids.lengths)), pieces)
    offset = 2 * half * (np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces))
    count = np.minimum(2 * half, ids.lengths[document] - offset)
    start, count = (ids.starts[document] + offset)[count > 1], count[count > 1]
    first = (count + 1) // 2
    a = lay(half, len(count), [(ids.flat, start, first)], ids.flat.dtype)
    return {"a": a, "b": lay(half, len(count), [(ids.flat, start + first, count - first)], ids.flat.dtype)}, 0


def pairs(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Filled:
    """{"source": (N, S), "target": (N, T)}, S <= length, T <= length + 1, as wide as the longest.

    A source ends in [EOS]; a target starts with [BOS] and ends in [EOS].
    """
    _, begin, end = require(tokenizer, ("[PAD]", "[BOS]", "[EOS]"), "pairs of sentences")
    sides = [encode_many(tokenizer, texts) for texts in (examples.texts, examples.seconds)]
    counts = [np.minimum(side.lengths, length - 1) for side in sides]
    cut = sum(side.lengths > length - 1 for side in sides) > 0
    arrays = {}
    for name, side, count, head in zip(("source", "target"), sides, counts, ([], [begin]), strict=True):
        width = int(count.max(initial=0)) + len(head) + 1
        arrays[name] = lay(width, len(count), [*head, (side.flat, side.starts, count), end], side.flat.dtype)
    return arrays, int(cut.sum())


def labelled(examples: Examples, tokenizer: Tokenizer, length: int, several: bool) -> Filled:
    """{"tokens": (N, length), "y": int32 (N,)}: [CLS] sentence [SEP], or [CLS] first [SEP] second [SEP].

    A tokenizer without those has sentence [EOS], or first [EOS] second [EOS]. Of two sentences that are too long
    together the longer one is shortened first.
    """
    require(tokenizer, ("[PAD]",), "sentences of several lengths")
    start, end = special(tokenizer, "[CLS]"), special(tokenizer, "[SEP]")
    head, tail = ([], special(tokenizer, "[EOS]")) if start is None or end is None else ([start], end)
    tails = [] if tail is None else [tail]
    groups = [examples.texts] if examples.seconds is None else [examples.texts, examples.seconds]
    sides = [encode_many(tokenizer, texts) for texts in groups]
    room = length - len(head) - len(tails) * len(sides)
    counts = _shortened([side.lengths for side in sides], room)
    parts = list(head)
    for side, count in zip(sides, counts, strict=True):
        parts += [(side.flat, side.starts, count), *tails]
    tokens = lay(length, len(examples), parts, sides[0].flat.dtype)
    cut = sum(side.lengths for side in sides) > room
    return {"tokens": tokens, "y": examples.labels.astype(np.int32)}, int(np.sum(cut))


FORMS = {"stream": stream, "passages": passages, "pairs": pairs, "labelled": labelled}


def _shortened(lengths: list[np.ndarray], room: int) -> list[np.ndarray]:
    """Lengths that fit into `room` together."""
    if len(lengths) == 1:
        return [np.minimum(lengths[0], room)]
    first = np.minimum(lengths[0], np.maximum(room - room // 2, room - lengths[1]))
    return [first, np.minimum(lengths[1], room - first)]


def lay(width: int, rows: int, parts: Sequence[int | tuple], dtype: np.dtype) -> np.ndarray:
    """Rows of `parts` one after the other, then zeros: (rows, width).

    A part is an id that all rows have, or (flat, starts (rows,), counts (rows,)): for row i
    `flat[starts[i] : starts[i] + counts[i]]`.
    """
    out = np.zeros((rows, width), dtype)
    for top in range(0, rows, ROWS):
        block = out[top : top + ROWS]
        at = np.zeros(len(block), np.int64)
        for part in parts:
            if isinstance(part, int):
                block[np.arange(len(block)), at] = part
                at += 1
                continue
            flat, starts, counts = part[0], part[1][top : top + ROWS], part[2][top : top + ROWS]
            row = np.repeat(np.arange(len(block)), counts)
            within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
            block[row, at[row] + within] = flat[starts[row] + within]
            at += counts
    return out
