"""LSTM language model (Hochreiter & Schmidhuber 1997; sizes and dropout of Zaremba et al. 2014, arXiv:1409.2329).

tokens (B, T) int32 -> logits (B, T, V); those at index t predict the token after tokens[:, t]. A memory cell keeps its
state through a self-connection of weight one, so gradients survive many steps; gates learn when to write the cell, when
to forget it and when to output it. Differences from the papers: see the cards.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, text
from zoo.fields import check, require_tokens
from zoo.layers import Dense
from zoo.recurrent import LSTMStack, LSTMState, uniform


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies between embedding, layers and output, never to recurrent connections."""

    vocab: int
    width: int  # of the embedding and of each layer
    depth: int  # layers
    dropout: float = 0.0
    spread: float = 0.1  # every parameter starts uniform between -spread and spread
    two_biases: bool = False  # a second bias for each gate, added to the first, as in torch.nn.LSTM

    def __post_init__(self) -> None:
        check(self)


class LanguageModel(nn.Module):
    """tokens (B, T) int32 -> logits (B, T, V). Training with dropout needs the rng "dropout"."""

    cfg: Config

    def setup(self) -> None:
        cfg, init = self.cfg, uniform(self.cfg.spread)
        self.embed = nn.Embed(cfg.vocab, cfg.width, embedding_init=init)
        self.layers = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init, cfg.two_biases)
        self.dropout = nn.Dropout(cfg.dropout)
        self.head = Dense(cfg.vocab, kernel_init=init, bias_init=init)

    def __call__(self, tokens: Array, *, train: bool) -> Array:
        require_tokens(tokens, self.cfg.vocab, "lstm")
        x = self.embed(tokens)
        x, _ = self.layers(x, train=train)
        x = self.dropout(x, deterministic=not train)
        return self.head(x)

    def begin(self, batch: int, length: int) -> tuple[LSTMState, ...]:
        """Return the state before the first token: zero (c, h) of every layer, each (batch, width).

        Its size does not depend on `length`, the number of tokens to decode.
        """
        zero = jnp.zeros((batch, self.cfg.width), self.embed.embedding.dtype)
        return ((zero, zero),) * self.cfg.depth

    def decode(self, tokens: Array, cache: tuple[LSTMState, ...]) -> tuple[Array, tuple[LSTMState, ...]]:
        """Continue with n tokens (B, n), in evaluation mode; return their logits (B, n, V) and the new state."""
        require_tokens(tokens, self.cfg.vocab, "lstm")
        x, cache = self.layers(self.embed(tokens), cache, train=False)
        return self.head(x), cache


PAPER = Paper(
    title="Long short-term memory",
    authors="S. Hochreiter, J. Schmidhuber",
    venue="Neural Computation 9(8), 1997",
    id="10.1162/neco.1997.9.8.1735",
)
SHARED = (
    "It has the forget gate of Gers et al. 2000 (DOI 10.1162/089976600300015015), and trains with the full gradient; "
    "the paper truncates it at the gates. A cell's input and output are squashed by tanh, and each cell has its own "
    "gates; the paper squashes them to between -2 and 2 and between -1 and 1 by scaled logistic functions, and cells "
    "share gates in blocks. "
)
ZAREMBA = (
    SHARED + "Size, dropout and initial values are from Zaremba et al. 2014 (arXiv:1409.2329), who carry the state "
    "from one training batch to the next; here it starts at zero for every sequence."
)


def _card(name: str, config: Config, *, length: int, params: int, flops: int, differences: str = ZAREMBA) -> Card:
    return Card(
        name=name,
        family="lstm",
        year=1997,
        paper=PAPER,
        idea="A memory cell with a self-connection of weight one, guarded by gates, carries gradients over long gaps.",
        module=LanguageModel,
        config=config,
        inputs=text(length),
        output=(length, config.vocab),
        params=params,
        flops=flops,
        differences=differences,
        initial_values="As in Zaremba et al. 2014, section 4.1: every parameter uniform, within 0.1, 0.05 or 0.04 (the "
        "field spread). The paper of 1997 starts output gates with negative biases.",
        parents={"mlp": "back-propagation, now through time"},
    )


CARDS = [
    _card(
        "lstm_char",
        Config(vocab=65, width=220, depth=2),
        length=64,
        params=804_825,
        flops=100_953_600,
        differences=f"{SHARED}Not in the paper: 2 layers of width 220, as many parameters as gpt_char_mini, for "
        "characters.",
    ),
    _card("lstm_small", Config(vocab=10_000, width=200, depth=2), length=20, params=4_651_600, flops=105_600_000),
    _card(
        "lstm_medium",
        Config(vocab=10_000, width=650, depth=2, dropout=0.5, spread=0.05),
        length=35,
        params=19_775_200,
        flops=928_200_000,
    ),
    _card(
        "lstm_large",
        Config(vocab=10_000, width=1500, depth=2, dropout=0.65, spread=0.04),
        length=35,
        params=66_022_000,
        flops=3_570_000_000,
    ),
]
