"""BERT (Devlin et al. 2018, arXiv:1810.04805): a Transformer that reads both ways fills gaps, then learns any task.

tokens (B, T) int32 -> what its head gives; T up to `context`, D = width. Sizes: base and large of the paper, the
smaller ones of Turc et al. 2019 (arXiv:1908.08962).
"""

import dataclasses
from functools import partial
from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.attention import MultiHeadAttention
from zoo.cards import Card, Paper, text
from zoo.errors import UserError
from zoo.fields import GELU, Gelu, check, demand

INIT = nn.initializers.truncated_normal(0.02)
Dense = partial(layers.Dense, kernel_init=INIT)
Embed = partial(nn.Embed, embedding_init=INIT)
SEGMENTS = 2  # sentence A, sentence B


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts on embeddings, attention weights, every sublayer's output and task heads.

    `head` says what the model returns:
    "pooler": hidden states (B, T, D) and the pooled first token (B, D); if `causal` the last, which has read the rest.
    "pretrain": logits of masked tokens (B, M, V) and of "sentence B follows sentence A" (B, 2).
    "masked": logits of masked tokens (B, M, V) alone.
    "classify": logits of the text (B, classes). "token": logits of each token (B, T, classes).
    """

    width: int
    depth: int  # blocks
    heads: int
    vocab: int = 30_522
    context: int = 512  # most tokens of a text: each place has a trained vector
    head: Literal["pooler", "pretrain", "masked", "classify", "token"] = "pooler"
    classes: int = 2
    dropout: float = 0.1
    norm_epsilon: float = 1e-12  # of every LayerNorm
    gelu: Gelu = "exact"  # or its "tanh" form
    causal: bool = False  # left to right (Table 5, "LTR"): a token reads itself and what came before

    def __post_init__(self) -> None:
        check(self)
        demand(self.width % self.heads == 0, "bert", "heads", f"a divisor of width {self.width}", self.heads)


def norm(cfg: Config, name: str) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=cfg.norm_epsilon, name=name)


class MLP(nn.Module):
    """x (B, T, D) -> (B, T, D) through 4 D units."""

    gelu: Gelu

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        return Dense(width, name="down")(GELU[self.gelu](Dense(4 * width, name="up")(x)))


class Block(nn.Module):
    """x (B, T, D) -> (B, T, D); every token reads all real ones, or those before it. LayerNorm after each sum."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, mask: Array | None, train: bool) -> Array:
        cfg = self.cfg
        drop = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")
        attention = MultiHeadAttention(
            cfg.width, cfg.heads, causal=cfg.causal, dropout=cfg.dropout, in_init=INIT, out_init=INIT, name="attention"
        )
        x = norm(cfg, "attention_norm")(x + drop(attention(x, mask=mask, train=train)))
        return norm(cfg, "mlp_norm")(x + drop(MLP(cfg.gelu, name="mlp")(x)))


class MaskedHead(nn.Module):
    """Logits of the tokens behind the masks: x (B, M, D), the embedding table (V, D) -> (B, M, V)."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, table: Array) -> Array:
        x = norm(self.cfg, "norm")(GELU[self.cfg.gelu](Dense(x.shape[-1], name="transform")(x)))
        return layers.TiedHead(bias=True, name="logits")(x, table)


class BERT(nn.Module):
    """tokens (B, T) -> what `cfg.head` says. Dropout needs the rng "dropout". UserError where T exceeds `context`.

    mask (B, T) bool is True on real tokens (default: all are), segments (B, T) are 0 in sentence A and 1 in B
    (default: all A), positions (B, M) int32 are the places whose tokens "pretrain" and "masked" predict (default:
    all T).
    Attention weights are sown, "block0/attention/weights" (B, heads, T, T).
    """

    cfg: Config

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        mask: Array | None = None,
        segments: Array | None = None,
        positions: Array | None = None,
        *,
        train: bool,
    ) -> Array | tuple[Array, Array]:
        cfg = self.cfg
        drop = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")
        table = Embed(cfg.vocab, cfg.width, name="tokens")
        x = drop(self.embed(tokens, segments, table))
        for i in range(cfg.depth):
            x = Block(cfg, name=f"block{i}")(x, mask=mask, train=train)
        if cfg.head == "token":
            return Dense(cfg.classes, name="head")(drop(x))
        shown = x if positions is None else jnp.take_along_axis(x, positions[..., None], axis=1)  # (B, M, D)
        if cfg.head == "masked":
            return MaskedHead(cfg, name="masked")(shown, table.embedding)
        pooled = jnp.tanh(Dense(cfg.width, name="pooler")(self.whole(x, mask)))
        if cfg.head == "classify":
            return Dense(cfg.classes, name="head")(drop(pooled))
        if cfg.head == "pooler":
            return x, pooled
        return MaskedHead(cfg, name="masked")(shown, table.embedding), Dense(2, name="next")(pooled)

    def whole(self, x: Array, mask: Array | None) -> Array:
        """Of x (B, T, D) the token that stands for the text, (B, D): the first, or the last real one if causal."""
        if not self.cfg.causal:
            return x[:, 0]
        if mask is None:
            return x[:, -1]
        last = jnp.maximum(mask.sum(1) - 1, 0)
        return jnp.take_along_axis(x, last[:, None, None], axis=1)[:, 0]

    def embed(self, tokens: Array, segments: Array | None, table: nn.Module) -> Array:
        """Figure 2: tokens (B, T) -> (B, T, D), the sum of what, where and in which sentence, normed."""
        length, cfg = tokens.shape[1], self.cfg
        if length > cfg.context:
            raise UserError(f"bert: {length} tokens do not fit its context of {cfg.context}")
        segments = jnp.zeros_like(tokens) if segments is None else segments
        x = table(tokens) + Embed(cfg.context, cfg.width, name="positions")(jnp.arange(length)[None])
        return norm(cfg, "norm")(x + Embed(SEGMENTS, cfg.width, name="segments")(segments))


PAPER = Paper(
    title="BERT: Pre-training of deep bidirectional Transformers for language understanding",
    authors="J. Devlin, M.-W. Chang, K. Lee, K. Toutanova",
    venue="NAACL 2019",
    id="1810.04805",
)
SMALL = "Not in the paper: the size is of Turc et al. 2019 (arXiv:1908.08962)."


def _card(
    name: str,
    width: int,
    depth: int,
    heads: int,
    params: int,
    flops: int,
    departs: str = SMALL,
    said: int | None = None,
) -> Card:
    idea = "A Transformer learns language both ways by filling in masked words; one more layer then serves each task."
    config = Config(width, depth, heads)
    output = ((config.context, width), (width,))
    parents, inputs = (
        {"transformer_base": "the encoder", "gpt1": "pre-training, then fine-tuning"},
        text(config.context),
    )
    return Card(name, "bert", 2018, PAPER, idea, BERT, config, inputs, output, params, flops, departs, parents, said)


CARDS = [
    _card("bert_tiny", 128, 2, 2, 4_385_920, 671_121_408),
    _card("bert_mini", 256, 4, 4, 11_170_560, 4_295_098_368),
    _card("bert_small", 512, 4, 8, 28_763_648, 15_032_909_824),
    _card("bert_medium", 512, 8, 8, 41_373_184, 30_065_295_360),
    _card("bert_base", 768, 12, 12, 109_482_240, 96_637_943_808, "", 110_000_000),
    _card("bert_large", 1024, 24, 16, 335_141_888, 335_009_546_240, "", 340_000_000),
]
