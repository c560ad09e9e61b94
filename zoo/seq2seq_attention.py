"""Attention (Bahdanau et al. 2014, arXiv:1409.0473): each decoding step attends to the relevant part of the source.

source (B, S), its mask (B, S) and target (B, T) -> logits (B, T, V); those at index t predict the token after
target[:, t]. The letters are those of appendix A: h annotations of the source, s state of the decoder, c context
vector, e embedding of the last word. Differences from the paper: see the cards.
"""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.nn.initializers import Initializer

from zoo.cards import Card, Paper, text_pair
from zoo.errors import UserError
from zoo.fields import check, require_tokens
from zoo.layers import Dense
from zoo.recurrent import GRU, gru_step, gru_step_reset_after, orthogonal, over_time

Cache = dict[str, Array]  # state s (B, width), annotations h (B, S, 2 * width), keys U_a h (B, S, align), mask (B, S)


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies to the embeddings of source and target."""

    source_vocab: int
    vocab: int  # of the target
    embed: int = 620  # m: width of an embedding
    width: int = 1000  # n: units of the decoder, and of each direction of the encoder
    align: int = 1000  # n': hidden units of the alignment model
    maxout: int = 500  # l: maxout units before the output
    dropout: float = 0.0
    output: Literal["maxout", "plain"] = "maxout"  # one linear layer, without the maxout units: see `Decoder`
    reset_after: bool = False  # PyTorch's GRU: the reset gate acts after the recurrent matrix, which has a bias
    deviation: float = 0.01  # appendix B.1: of initial kernels and embeddings; of W_a and U_a it is a tenth

    def __post_init__(self) -> None:
        check(self)


def initializers(cfg: Config) -> tuple[Initializer, Initializer]:
    """Of all kernels and embeddings but recurrent ones, and of W_a and U_a."""
    return nn.initializers.normal(cfg.deviation), nn.initializers.normal(cfg.deviation / 10)


class Encoder(nn.Module):
    """source (B, S), mask (B, S) -> the decoder's cache: initial state, annotations, their keys, and the mask."""

    cfg: Config

    @nn.compact
    def __call__(self, source: Array, mask: Array, *, train: bool) -> Cache:
        cfg = self.cfg
        require_tokens(source, cfg.source_vocab, "seq2seq_attention", "source")
        if source.shape[1] == 0:
            raise UserError("seq2seq_attention: the source is empty, so there is nothing to attend to")
        normal, align_normal = initializers(cfg)
        x = nn.Embed(cfg.source_vocab, cfg.embed, embedding_init=normal, name="embed")(source)
        x = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(x)
        forward, _ = GRU(cfg.width, normal, reset_after=cfg.reset_after, name="forward")(x, mask=mask)
        backward_gru = GRU(cfg.width, normal, reverse=True, reset_after=cfg.reset_after, name="backward")
        backward, backward_state = backward_gru(x, mask=mask)
        annotations = jnp.concatenate([forward, backward], axis=-1)  # (B, S, 2 * width)
        keys = Dense(cfg.align, kernel_init=align_normal, name="keys")(annotations)
        # The backward GRU ends at the first word, so its state summarizes the source from there.
        state = nn.tanh(nn.Dense(cfg.width, kernel_init=normal, name="initial")(backward_state))
        return {"state": state, "annotations": annotations, "keys": keys, "mask": mask}


class Decoder(nn.Module):
    """tokens (B, n) and the cache before them -> logits (B, n, V) and the cache after them.

    With output "maxout" the logits are those of appendix A.2.2: maxout units read the state before this step, the
    embedding and the context. With "plain" a linear layer reads the state after it, the embedding and the context, as
    in bentrevett/pytorch-seq2seq, chapter 3. The alignment is sown as intermediates, `weights` (B, n, S): the weight of
    each source position in each context.
    """

    cfg: Config

    @nn.compact
    def __call__(self, tokens: Array, cache: Cache, *, train: bool) -> tuple[Array, Cache]:
        cfg, width = self.cfg, self.cfg.width
        require_tokens(tokens, cfg.vocab, "seq2seq_attention", "target")
        normal, align_normal = initializers(cfg)
        e = nn.Embed(cfg.vocab, cfg.embed, embedding_init=normal, name="embed")(tokens)
        e = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")(e)  # (B, n, embed)
        gates = Dense(3 * width, kernel_init=normal, name="input")(e)  # (B, n, 3 * width)
        recurrent = self.param("recurrent", orthogonal, (width, 3 * width), jnp.float32).astype(gates.dtype)
        if cfg.reset_after:
            bias = self.param("recurrent_bias", nn.initializers.zeros_init(), (3 * width,), jnp.float32).astype(
                gates.dtype
            )
            advance = partial(gru_step_reset_after, recurrent, bias)
        else:
            reset_and_update, candidate = jnp.split(recurrent, [2 * width], axis=1)
            advance = partial(gru_step, (reset_and_update, candidate))
        from_context = self.param("context", normal, (2 * width, 3 * width), jnp.float32).astype(gates.dtype)
        query = self.param("query", align_normal, (width, cfg.align), jnp.float32).astype(gates.dtype)
        score = self.param("score", nn.initializers.zeros_init(), (cfg.align,), jnp.float32).astype(gates.dtype)

        def step(s: Array, gates: Array) -> tuple[Array, tuple[Array, Array, Array]]:
            weights = align(s @ query, cache["keys"], score, cache["mask"])
            c = jnp.einsum("bs,bsd->bd", weights, cache["annotations"])
            new_s, *_ = advance(s, gates + c @ from_context)
            return new_s, (new_s if cfg.output == "plain" else s, c, weights)

        state, (s, c, weights) = over_time(step, cache["state"], gates)
        self.sow("intermediates", "weights", weights)
        t = jnp.concatenate([s, e, c], axis=-1)
        if cfg.output == "maxout":
            t = Dense(2 * cfg.maxout, kernel_init=normal, name="readout")(t)
            t = t.reshape(*t.shape[:-1], cfg.maxout, 2).max(axis=-1)  # (B, n, maxout)
        logits = Dense(cfg.vocab, kernel_init=normal, name="head")(t)
        return logits, {**cache, "state": state}


@jax.checkpoint  # recompute the hidden units (B, S, A) of each step in the backward pass instead of storing them
def align(query: Array, keys: Array, score: Array, mask: Array) -> Array:
    """Return the weights (B, S) of the source positions; they sum to 1 and are 0 on padding.

    query (B, A), keys (B, S, A) and score (A,) form the alignment model; mask (B, S) is True on real tokens.
    """
    energy = nn.tanh(query[:, None] + keys) @ score  # (B, S)
    energy = energy.astype(jnp.promote_types(energy.dtype, jnp.float32))
    energy = jnp.where(mask, energy, jnp.finfo(jnp.float32).min)
    return jax.nn.softmax(energy).astype(keys.dtype)


class AttentionSeq2Seq(nn.Module):
    """source (B, S), source_mask (B, S), target (B, T) -> logits (B, T, V).

    Training with dropout needs the rng "dropout".
    """

    cfg: Config

    def setup(self) -> None:
        self.encoder = Encoder(self.cfg)
        self.decoder = Decoder(self.cfg)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        cache = self.encoder(source, source_mask, train=train)
        logits, _ = self.decoder(target, cache, train=train)
        return logits

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> Cache:
        """Encode `batch` sources and return the cache before the first target token.

        Its size does not depend on `length`, the number of tokens to decode.
        """
        return self.encoder(source, source_mask, train=False)

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """Continue with n target tokens (B, n), in evaluation mode; return their logits (B, n, V) and the new cache."""
        return self.decoder(tokens, cache, train=False)


PAPER = Paper(
    title="Neural machine translation by jointly learning to align and translate",
    authors="D. Bahdanau, K. Cho, Y. Bengio",
    venue="ICLR 2015",
    id="1409.0473",
)


SHARED = "The paper's equations omit biases; here keys, initial state, readout and output have one each."


def _card(name: str, config: Config, *, length: int, params: int, flops: int, differences: str) -> Card:
    return Card(
        name=name,
        family="seq2seq_attention",
        year=2014,
        paper=PAPER,
        idea="Instead of one vector for the whole sentence, each output word attends to all words of the source.",
        module=AttentionSeq2Seq,
        config=config,
        inputs=text_pair(length, length),
        output=(length, config.vocab),
        params=params,
        flops=flops,
        differences=differences,
        initial_values="As in the paper, appendix B.1: recurrent weights orthogonal, those of the alignment normal "
        "with deviation 0.001 and its output 0, all others and the embeddings normal with deviation 0.01, biases 0.",
        parents={
            "seq2seq": "an encoder and a decoder (both papers build on Cho et al. 2014)",
            "lstm_large": "gates that keep a state over time",
        },
    )


CARDS = [
    _card(
        "seq2seq_attention_mini",
        Config(source_vocab=10_000, vocab=10_000, embed=256, width=512, align=512, maxout=256, dropout=0.5),
        length=32,
        params=14_774_544,
        flops=603_717_632,
        differences="Not in the paper: width 512, embeddings of width 256, dropout 0.5 and two vocabularies of 10,000, "
        "the size of the widely used small network for Multi30k (bentrevett/pytorch-seq2seq, chapter 3). " + SHARED,
    ),
    _card(
        "seq2seq_attention",
        Config(source_vocab=30_000, vocab=30_000),
        length=50,
        params=80_443_000,
        flops=4_237_000_000,
        differences=SHARED,
    ),
]
