"""LSTM language model (Hochreiter & Schmidhuber 1997; sizes and dropout of Zaremba et al. 2014, arXiv:1409.2329).

tokens (B, T) int32 -> logits (B, T, V) for the token after each. The memory cell keeps what it holds by a weight of
one, so that a gradient survives many steps; gates learn when to write, forget and show it.
Departs: see the cards.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, text
from zoo.fields import check
from zoo.layers import Dense
from zoo.recurrent import LSTMStack, LSTMState, uniform


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts between embedding, layers and output, never from one step to the next."""

    vocab: int
    width: int  # units of a layer, and of an embedding
    depth: int  # layers
    dropout: float = 0.0
    spread: float = 0.1  # every parameter starts uniform between -spread and spread

    def __post_init__(self) -> None:
        check(self)


class LanguageModel(nn.Module):
    """tokens (B, T) int32 -> logits (B, T, V). Dropout needs the rng "dropout"."""

    cfg: Config

    def setup(self) -> None:
        cfg, init = self.cfg, uniform(self.cfg.spread)
        self.embed = nn.Embed(cfg.vocab, cfg.width, embedding_init=init)
        self.layers = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init)
        self.dropout = nn.Dropout(cfg.dropout)
        self.head = Dense(cfg.vocab, kernel_init=init, bias_init=init)

    def __call__(self, tokens: Array, *, train: bool) -> Array:
        x, _ = self.layers(self.embed(tokens), train=train)
        return self.head(self.dropout(x, deterministic=not train))

    def begin(self, batch: int, length: int) -> tuple[LSTMState, ...]:
        """The state before the first token: (c, h) of every layer, each (batch, width). It holds for any `length`."""
        zero = jnp.zeros((batch, self.cfg.width), self.embed.embedding.dtype)
        return ((zero, zero),) * self.cfg.depth

    def decode(self, tokens: Array, cache: tuple[LSTMState, ...]) -> tuple[Array, tuple[LSTMState, ...]]:
        """The next tokens (B, n) -> logits (B, n, V) and the state after them; evaluation mode."""
        x, cache = self.layers(self.embed(tokens), cache, train=False)
        return self.head(x), cache


PAPER = Paper(
    title="Long short-term memory",
    authors="S. Hochreiter, J. Schmidhuber",
    venue="Neural Computation 9(8), 1997",
    id="10.1162/neco.1997.9.8.1735",
)
DEPARTS = (
    "Has the forget gate of Gers et al. 2000 (DOI 10.1162/089976600300015015), and trains by the whole gradient, "
    "where the paper cuts it at the gates. "
)
ZAREMBA = (
    DEPARTS + "Size, dropout and initial values are of Zaremba et al. 2014 (arXiv:1409.2329), who carry the state "
    "from one training batch to the next; here it starts at zero with every sequence."
)


def _card(name: str, config: Config, length: int, params: int, flops: int, departs: str = ZAREMBA) -> Card:
    idea = "A memory cell with a self-connection of weight one, guarded by gates, carries gradients over long gaps."
    output = (length, config.vocab)
    parents, inputs = {"mlp": "back-propagation, now through time"}, text(length)
    return Card(name, "lstm", 1997, PAPER, idea, LanguageModel, config, inputs, output, params, flops, departs, parents)


CHAR = f"{DEPARTS}Not in the paper: 2 layers of 220, the size of gpt_char_mini, for characters."
CARDS = [
    _card("lstm_char", Config(65, 220, 2), 64, 804_825, 100_953_600, CHAR),
    _card("lstm_small", Config(10_000, 200, 2), 20, 4_651_600, 105_600_000),
    _card("lstm_medium", Config(10_000, 650, 2, dropout=0.5, spread=0.05), 35, 19_775_200, 928_200_000),
    _card("lstm_large", Config(10_000, 1500, 2, dropout=0.65, spread=0.04), 35, 66_022_000, 3_570_000_000),
]
