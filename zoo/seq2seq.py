"""Sequence to sequence (Sutskever et al. 2014, arXiv:1409.3215): read a sentence into a state, write from that state.

source (B, S), its mask (B, S) and target (B, T) -> logits (B, T, V) for the token after each of target.
Section 2 and 3: two deep LSTMs; the decoder starts from the encoder's final state, layer by layer; the source is
read backwards, so that its first words stand near the first ones of the target.
Departs: see the cards.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, text_pair
from zoo.fields import check
from zoo.layers import Dense
from zoo.recurrent import LSTMStack, LSTMState, uniform


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts on the input of every layer."""

    source_vocab: int
    vocab: int  # of the target
    embed: int  # width of an embedding
    width: int  # units of a layer
    depth: int  # layers of encoder and decoder each
    reverse_source: bool = True
    dropout: float = 0.0
    spread: float = 0.08  # every parameter starts uniform between -spread and spread

    def __post_init__(self) -> None:
        check(self)


def reverse(tokens: Array, mask: Array) -> Array:
    """Tokens (B, S), the first n of each row real by mask (B, S): those n in opposite order, padding as it was."""
    place = jnp.arange(tokens.shape[1])[None]  # (1, S)
    count = mask.sum(axis=1, keepdims=True)  # (B, 1)
    return jnp.take_along_axis(tokens, jnp.where(place < count, count - 1 - place, place), axis=1)


class Seq2Seq(nn.Module):
    """source (B, S), source_mask (B, S), target (B, T) -> logits (B, T, V). Dropout needs the rng "dropout"."""

    cfg: Config

    def setup(self) -> None:
        cfg, init = self.cfg, uniform(self.cfg.spread)
        self.source_embed = nn.Embed(cfg.source_vocab, cfg.embed, embedding_init=init)
        self.target_embed = nn.Embed(cfg.vocab, cfg.embed, embedding_init=init)
        self.encoder = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init)
        self.decoder = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init)
        self.head = Dense(cfg.vocab, kernel_init=init, bias_init=init)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        x, _ = self.decoder(self.target_embed(target), self.encode(source, source_mask, train=train), train=train)
        return self.head(x)

    def encode(self, source: Array, source_mask: Array, *, train: bool) -> tuple[LSTMState, ...]:
        """The final (c, h) of every layer, each (B, width): all that the decoder learns of the source."""
        if self.cfg.reverse_source:
            source = reverse(source, source_mask)
        return self.encoder(self.source_embed(source), mask=source_mask, train=train)[1]

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> tuple[LSTMState, ...]:
        """The decoder's state before its first token, from `batch` sources. It holds for any `length`."""
        return self.encode(source, source_mask, train=False)

    def decode(self, tokens: Array, cache: tuple[LSTMState, ...]) -> tuple[Array, tuple[LSTMState, ...]]:
        """The next target tokens (B, n) -> logits (B, n, V) and the state after them; evaluation mode."""
        x, cache = self.decoder(self.target_embed(tokens), cache, train=False)
        return self.head(x), cache


PAPER = Paper(
    title="Sequence to sequence learning with neural networks",
    authors="I. Sutskever, O. Vinyals, Q. V. Le",
    venue="NIPS 2014",
    id="1409.3215",
)


def _card(
    name: str, config: Config, length: int, params: int, flops: int, departs: str, paper_params: int | None = None
) -> Card:
    idea = "One LSTM reads a sentence into a vector, another writes the translation from it; nothing else is built in."
    inputs, output = text_pair(length, length), (length, config.vocab)
    parents = {"lstm_large": "the LSTM: one reads, one writes"}
    return Card(name, "seq2seq", 2014, PAPER, idea, Seq2Seq, config, inputs, output, params, flops,
                departs, parents, paper_params)  # fmt: skip


SHARED = "The LSTM has no peepholes, and one bias for each gate (the paper names neither)."
MINI = (
    "Not in the paper: 2 layers of 512, embeddings of 256, dropout 0.5 and two vocabularies of 10,000, the size of the "
    f"widely used small net for Multi30k (bentrevett/pytorch-seq2seq, chapter 1). {SHARED}"
)
CARDS = [
    _card("seq2seq_mini", Config(10_000, 10_000, 256, 512, 2, dropout=0.5), 32, 17_598_224, 797_442_048, MINI),
    _card("seq2seq", Config(160_000, 80_000, 1000, 1000, 4), 50, 384_112_000, 14_400_000_000, SHARED, 384_000_000),
]
