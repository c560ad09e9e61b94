"""Attention (Bahdanau et al. 2014, arXiv:1409.0473): while writing, look at the part of the source that matters now.

source (B, S), its mask (B, S) and target (B, T) -> logits (B, T, V) for the token after each of target.
Appendix A, with its letters: h annotations of the source, s state of the decoder, c context, e the last word.
Departs: see the cards.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.cards import Card, Paper, text_pair
from zoo.fields import check
from zoo.layers import Dense
from zoo.recurrent import GRU, gru_step, gru_step_after, orthogonal, over_time

Cache = dict[str, Array]  # state s (B, width), annotations h (B, S, 2 * width), keys U_a h (B, S, align), mask (B, S)
NORMAL = nn.initializers.normal(0.01)  # appendix B.1: all but what is named there
FAINT = nn.initializers.normal(0.001)  # W_a and U_a


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts on the embeddings of both sides."""

    source_vocab: int
    vocab: int  # of the target
    embed: int = 620  # m: width of an embedding
    width: int = 1000  # n: units of the decoder, and of each direction of the encoder
    align: int = 1000  # n': hidden units of the alignment
    maxout: int = 500  # l: maxout units before the output
    dropout: float = 0.0
    reset_after: bool = False  # the GRU of PyTorch: its reset acts after the product, and that has a bias

    def __post_init__(self) -> None:
        check(self)


class Encoder(nn.Module):
    """source (B, S), mask (B, S) -> what the decoder begins with: its first state, annotations, keys and mask."""

    cfg: Config

    @nn.compact
    def __call__(self, source: Array, mask: Array, *, train: bool) -> Cache:
        cfg = self.cfg
        x = nn.Embed(cfg.source_vocab, cfg.embed, embedding_init=NORMAL, name="embed")(source)
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(x)
        forward, _ = GRU(cfg.width, NORMAL, reset_after=cfg.reset_after, name="forward")(x, mask=mask)
        backward, first = GRU(cfg.width, NORMAL, reverse=True, reset_after=cfg.reset_after, name="backward")(
            x, mask=mask
        )
        annotations = jnp.concatenate([forward, backward], axis=-1)  # (B, S, 2 * width)
        keys = Dense(cfg.align, kernel_init=FAINT, name="keys")(annotations)
        state = nn.tanh(nn.Dense(cfg.width, kernel_init=NORMAL, name="initial")(first))
        return {"state": state, "annotations": annotations, "keys": keys, "mask": mask}


class Decoder(nn.Module):
    """tokens (B, n) and the cache before them -> logits (B, n, V) and the cache after them.

    Sows its alignment, `weights` (B, n, S), as intermediates: how much of each source position made each context.
    """

    cfg: Config

    @nn.compact
    def __call__(self, tokens: Array, cache: Cache, *, train: bool) -> tuple[Array, Cache]:
        cfg, width = self.cfg, self.cfg.width
        e = nn.Embed(cfg.vocab, cfg.embed, embedding_init=NORMAL, name="embed")(tokens)
        e = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(e)  # (B, n, embed)
        gates = Dense(3 * width, kernel_init=NORMAL, name="input")(e)  # (B, n, 3 * width)
        recurrent = self.param("recurrent", orthogonal, (width, 3 * width)).astype(gates.dtype)
        if cfg.reset_after:
            bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (3 * width,)).astype(gates.dtype)
            advance = partial(gru_step_after, recurrent, bias)
        else:
            advance = partial(gru_step, jnp.split(recurrent, [2 * width], axis=1))
        from_context = self.param("context", NORMAL, (2 * width, 3 * width)).astype(gates.dtype)
        query = self.param("query", FAINT, (width, cfg.align)).astype(gates.dtype)
        score = self.param("score", nn.initializers.zeros_init(), (cfg.align,)).astype(gates.dtype)

        def step(s: Array, gates: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            weights = align(s @ query, cache["keys"], score, cache["mask"])
            c = jnp.einsum("bs,bsd->bd", weights, cache["annotations"])
            new, _ = advance(s, gates + c @ from_context)
            return new, (s, c, weights)

        (s, c, weights), state = over_time(step, cache["state"], gates)
        self.sow("intermediates", "weights", weights)
        t = Dense(2 * cfg.maxout, kernel_init=NORMAL, name="readout")(jnp.concatenate([s, e, c], axis=-1))
        t = t.reshape(*t.shape[:-1], cfg.maxout, 2).max(axis=-1)  # (B, n, maxout)
        return Dense(cfg.vocab, kernel_init=NORMAL, name="head")(t), {**cache, "state": state}


@jax.checkpoint  # for the gradient, store no hidden units (B, S, A) of any step
def align(query: Array, keys: Array, score: Array, mask: Array) -> Array:
    """Weights (B, S) of the source positions, summing to 1, 0 on padding: query (B, A), keys (B, S, A), score (A,)."""
    energy = nn.tanh(query[:, None] + keys) @ score  # (B, S)
    energy = jnp.where(mask, energy.astype(jnp.float32), jnp.finfo(jnp.float32).min)
    return jax.nn.softmax(energy).astype(keys.dtype)


class AttentionSeq2Seq(nn.Module):
    """source (B, S), source_mask (B, S), target (B, T) -> logits (B, T, V). Dropout needs the rng "dropout"."""

    cfg: Config

    def setup(self) -> None:
        self.encoder = Encoder(self.cfg)
        self.decoder = Decoder(self.cfg)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        return self.decoder(target, self.encoder(source, source_mask, train=train), train=train)[0]

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> Cache:
        """The decoder's state before its first token, from `batch` sources, read once. It holds for any `length`."""
        return self.encoder(source, source_mask, train=False)

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """The next target tokens (B, n) -> logits (B, n, V) and the cache after them; evaluation mode."""
        return self.decoder(tokens, cache, train=False)


PAPER = Paper(
    title="Neural machine translation by jointly learning to align and translate",
    authors="D. Bahdanau, K. Cho, Y. Bengio",
    venue="ICLR 2015",
    id="1409.0473",
)


def _card(name: str, config: Config, length: int, params: int, flops: int, departs: str) -> Card:
    idea = "Instead of one vector for the whole sentence, every word written looks back over all of the source."
    module, inputs, output = AttentionSeq2Seq, text_pair(length, length), (length, config.vocab)
    parents = {
        "seq2seq": "an encoder and a decoder (both papers after Cho et al. 2014)",
        "lstm_large": "gates that keep a state over time",
    }
    return Card(
        name, "seq2seq_attention", 2014, PAPER, idea, module, config, inputs, output, params, flops, departs, parents
    )


SHARED = (
    "The equations of the paper leave out biases; here keys, gates, first state, readout and output have one each. "
    "Recurrent kernels start orthogonal, all others normal as in appendix B.1, embeddings too."
)
MINI = (
    "Not in the paper: width 512, embeddings of 256, dropout 0.5 and two vocabularies of 10,000, the size of the "
    f"widely used small net for Multi30k (bentrevett/pytorch-seq2seq, chapter 3). {SHARED}"
)
CARDS = [
    _card(
        "seq2seq_attention_mini",
        Config(10_000, 10_000, 256, 512, 512, 256, dropout=0.5),
        32,
        14_774_544,
        603_717_632,
        MINI,
    ),
    _card("seq2seq_attention", Config(30_000, 30_000), 50, 80_443_000, 4_237_000_000, SHARED),
]
