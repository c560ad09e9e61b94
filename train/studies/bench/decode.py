"""`zoo bench --decode`: tokens per second of greedy decoding, with a cache and without.

With the cache (keys and values of attention, the state of an LSTM) a new token costs the work of one token. Without it
the whole target, padded to its final length, is processed again for every token. The source is encoded once in both
cases. Both are one compiled program, and their rounds alternate like those of `zoo bench`.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from rich import box
from rich.table import Table

from train.core import machine
from train.inference.decode import Decoder, Prompts, Variables, generate
from train.studies.bench.workloads import text_length
from zoo.cards import Card

FIRST = 1
"""The token that every sequence starts with."""


@dataclasses.dataclass(frozen=True)
class DecodeRow:
    """The timings of one model: tokens per second, summed over the batch, one entry per round."""

    name: str
    batch: int
    length: int  # tokens generated per sequence
    cached: list[float]
    uncached: list[float]

    @property
    def over_uncached(self) -> float:
        """The speedup by the cache: the median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.cached, self.uncached, strict=True))


def decodes(card: Card) -> bool:
    """Return whether the model of `card` can continue a sequence."""
    return hasattr(card.module, "decode")


@partial(jax.jit, static_argnames=("model", "batch", "length"))
def generate_uncached(
    model: nn.Module, variables: Variables, source: Mapping[str, Any], *, batch: int, length: int
) -> Array:
    """Return greedy tokens (batch, length) int32 after FIRST; each one processes the whole target again."""
    empty = model.apply(variables, batch, length, **source, method="begin")

    def body(t: int, tokens: Array) -> Array:
        logits, _ = model.apply(variables, tokens[:, :-1], empty, method="decode")
        best = jnp.argmax(logits[:, t], axis=-1).astype(jnp.int32)
        return tokens.at[:, t + 1].set(best)

    tokens = jnp.zeros((batch, length + 1), jnp.int32).at[:, 0].set(FIRST)
    return jax.lax.fori_loop(0, length, body, tokens)[:, 1:]


def measure_decoding(card: Card, batch: int, length: int | None, rounds: int) -> DecodeRow:
    """Time the untrained model of a card that `decodes`. A first round compiles and is not counted."""
    model, length, key = card.make(), text_length(card, length), jax.random.key(0)
    assert length is not None, f"{card.name} reads no text"
    tokens, source = jnp.ones((batch, length), jnp.int32), {}
    if "source" in card.inputs:
        source_vocab = getattr(card.config, "source_vocab", card.config.vocab)
        source_tokens = jax.random.randint(key, (batch, length), 4, source_vocab)
        source = {"source": source_tokens, "source_mask": jnp.ones((batch, length), bool)}
    inputs = {**source, "target": tokens} if source else {"tokens": tokens}
    variables = jax.jit(partial(model.init, train=False))(key, **inputs)
    decoder = Decoder(model, variables, source)
    prompts = Prompts(jnp.full((batch, 1), FIRST), jnp.ones(batch, jnp.int32))
    ways = {
        "cached": lambda: generate(decoder, prompts, key, length=length).tokens,
        "uncached": lambda: generate_uncached(model, variables, source, batch=batch, length=length),
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run().block_until_ready()
            speeds[way].append(batch * length / (time.perf_counter() - start))
    return DecodeRow(card.name, batch, length, speeds["cached"][1:], speeds["uncached"][1:])


def as_json(rows: Sequence[DecodeRow]) -> str:
    """Return all timings and the device as JSON."""
    figures = [dataclasses.asdict(row) | {"over_uncached": row.over_uncached} for row in rows]
    return json.dumps({"device": machine.describe(), "jax": jax.__version__, "rows": figures}, indent=2)


def as_table(rows: Sequence[DecodeRow]) -> Table:
    """Return a table with one row per model."""
    caption = (
        f"{machine.describe()}, JAX {jax.__version__}, float32. Greedy, tokens per second of the whole batch, "
        "median of the rounds. without: the whole target is processed again for each token. "
        "batch: sequences × tokens generated."
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption=caption, caption_justify="left")
    table.add_column("model", no_wrap=True)
    for head in ("batch", "with the cache", "without", "faster"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        speeds = [f"{statistics.median(each):,.0f}" for each in (row.cached, row.uncached)]
        table.add_row(row.name, f"{row.batch} × {row.length}", *speeds, f"{row.over_uncached:.1f} times")
    return table
