"""Sequence to sequence (Sutskever et al. 2014, arXiv:1409.3215): encode a sentence in a state, decode from that state.

source (B, S), its mask (B, S) and target (B, T) -> logits (B, T, V); those at index t predict the token after
target[:, t]. Sections 2 and 3: two deep LSTMs; each decoder layer starts from the final state of the same encoder
layer. The source is reversed, so that its first words are near the first words of the target. Differences from the
paper: see the cards.
"""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, text_pair
from zoo.fields import check, require_tokens
from zoo.layers import Dense
from zoo.recurrent import LSTMStack, LSTMState, uniform


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies to the input of every layer."""

    source_vocab: int
    vocab: int  # of the target
    embed: int  # width of an embedding
    width: int  # units of each layer
    depth: int  # layers of the encoder, and as many of the decoder
    reverse_source: bool = True
    dropout: float = 0.0
    spread: float = 0.08  # every parameter starts uniform between -spread and spread
    two_biases: bool = False  # a second bias for each gate, added to the first, as in torch.nn.LSTM

    def __post_init__(self) -> None:
        check(self)


def reverse(tokens: Array, mask: Array) -> Array:
    """Reverse the real tokens of each row (B, S), those at the start where mask (B, S) is True; padding stays."""
    index = jnp.arange(tokens.shape[1])[None]  # (1, S)
    count = mask.sum(axis=1, keepdims=True)  # (B, 1)
    return jnp.take_along_axis(tokens, jnp.where(index < count, count - 1 - index, index), axis=1)


class Seq2Seq(nn.Module):
    """source (B, S), source_mask (B, S), target (B, T) -> logits (B, T, V).

    Training with dropout needs the rng "dropout".
    """

    cfg: Config

    def setup(self) -> None:
        cfg, init = self.cfg, uniform(self.cfg.spread)
        self.source_embed = nn.Embed(cfg.source_vocab, cfg.embed, embedding_init=init)
        self.target_embed = nn.Embed(cfg.vocab, cfg.embed, embedding_init=init)
        self.encoder = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init, cfg.two_biases)
        self.decoder = LSTMStack(cfg.width, cfg.depth, cfg.dropout, init, cfg.two_biases)
        self.head = Dense(cfg.vocab, kernel_init=init, bias_init=init)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        require_tokens(target, self.cfg.vocab, "seq2seq", "target")
        x = self.target_embed(target)
        state = self.encode(source, source_mask, train=train)
        x, _ = self.decoder(x, state, train=train)
        return self.head(x)

    def encode(self, source: Array, source_mask: Array, *, train: bool) -> tuple[LSTMState, ...]:
        """Return the final (c, h) of every encoder layer, each (B, width): all that the decoder gets of the source."""
        require_tokens(source, self.cfg.source_vocab, "seq2seq", "source")
        if self.cfg.reverse_source:
            source = reverse(source, source_mask)
        _, state = self.encoder(self.source_embed(source), mask=source_mask, train=train)
        return state

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> tuple[LSTMState, ...]:
        """Encode `batch` sources and return the decoder's state before its first token.

        Its size does not depend on `length`, the number of tokens to decode.
        """
        return self.encode(source, source_mask, train=False)

    def decode(self, tokens: Array, cache: tuple[LSTMState, ...]) -> tuple[Array, tuple[LSTMState, ...]]:
        """Continue with n target tokens (B, n), in evaluation mode; return their logits (B, n, V) and the new state."""
        require_tokens(tokens, self.cfg.vocab, "seq2seq")
        x, cache = self.decoder(self.target_embed(tokens), cache, train=False)
        return self.head(x), cache


PAPER = Paper(
    title="Sequence to sequence learning with neural networks",
    authors="I. Sutskever, O. Vinyals, Q. V. Le",
    venue="NIPS 2014",
    id="1409.3215",
)


SHARED = "The LSTM has no peepholes, and one bias for each gate (the paper specifies neither)."


def _card(
    name: str,
    config: Config,
    *,
    length: int,
    params: int,
    flops: int,
    differences: str,
    paper_params: int | None = None,
) -> Card:
    return Card(
        name=name,
        family="seq2seq",
        year=2014,
        paper=PAPER,
        idea="One LSTM encodes a sentence as a vector, another decodes its translation; nothing else is built in.",
        module=Seq2Seq,
        config=config,
        inputs=text_pair(length, length),
        output=(length, config.vocab),
        params=params,
        flops=flops,
        differences=differences,
        initial_values="As in the paper, section 3.4: every parameter uniform within 0.08.",
        parents={"lstm_large": "the LSTM: one encodes, one decodes"},
        paper_params=paper_params,
    )


CARDS = [
    _card(
        "seq2seq_mini",
        Config(source_vocab=10_000, vocab=10_000, embed=256, width=512, depth=2, dropout=0.5),
        length=32,
        params=17_598_224,
        flops=797_442_048,
        differences="Not in the paper: 2 layers of width 512, embeddings of width 256, dropout 0.5 and two "
        "vocabularies of 10,000, the size of the widely used small network for Multi30k (bentrevett/pytorch-seq2seq, "
        f"chapter 1). {SHARED}",
    ),
    _card(
        "seq2seq",
        Config(source_vocab=160_000, vocab=80_000, embed=1000, width=1000, depth=4),
        length=50,
        params=384_112_000,
        flops=14_400_000_000,
        differences=SHARED,
        paper_params=384_000_000,
    ),
]
