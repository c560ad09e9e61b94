"""BERT (Devlin et al. 2018, arXiv:1810.04805): a bidirectional Transformer, pre-trained to predict masked tokens.

tokens (B, T) int32 -> the output of its head; T is at most `context`, D = width. Sizes: base and large are the paper's,
the smaller ones those of Turc et al. 2019 (arXiv:1908.08962).
"""

import dataclasses
from functools import partial
from typing import Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo import layers
from zoo.attention import SelfAttention
from zoo.blocks import call_block
from zoo.cards import Card, Paper, text
from zoo.errors import UserError
from zoo.fields import GELU, Gelu, check, require, require_tokens

INIT = nn.initializers.truncated_normal(0.02)
Dense = partial(layers.Dense, kernel_init=INIT)
Embed = partial(nn.Embed, embedding_init=INIT)
SEGMENTS = 2  # sentence A, sentence B


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies to embeddings, attention weights, sublayer outputs and the task head's input.

    `head` selects what the model returns:
    "hidden": hidden states (B, T, D), as of Hugging Face's BertModel(add_pooling_layer=False).
    "pooler": hidden states (B, T, D) and the pooled first token (B, D), or the pooled last token if `causal`.
    "pretrain": logits of masked tokens (B, M, V) and of "sentence B follows sentence A" (B, 2).
    "masked": logits of masked tokens (B, M, V).
    "classify": logits of the text (B, classes).
    "token": logits of each token (B, T, classes).
    """

    width: int
    depth: int  # blocks
    heads: int
    vocab: int = 30_522
    context: int = 512  # longest text in tokens: each position has a learned embedding
    head: Literal["hidden", "pooler", "pretrain", "masked", "classify", "token"] = "pooler"
    classes: int = 2
    dropout: float = 0.1
    norm_epsilon: float = 1e-12  # of every LayerNorm
    gelu: Gelu = "exact"  # or its "tanh" form
    hidden: int = 0  # units inside a block's MLP, `intermediate_size` in Hugging Face's config.json; 0: 4 * width
    causal: bool = False  # left to right (Table 5, "LTR"): a token attends to itself and to earlier tokens only
    remat: bool = False  # in training, compute the inside of each block again for its gradient: less memory, more time

    def __post_init__(self) -> None:
        check(self)
        require(self.width % self.heads == 0, "bert", "heads", f"a divisor of width {self.width}", self.heads)

    @property
    def units(self) -> int:
        """The hidden units of a block's MLP."""
        return self.hidden or 4 * self.width


def layer_norm(cfg: Config, name: str) -> nn.LayerNorm:
    """Return a LayerNorm over the last axis, with the epsilon of the config."""
    return nn.LayerNorm(epsilon=cfg.norm_epsilon, name=name)


class MLP(nn.Module):
    """The feed-forward sublayer: x (B, T, D) -> (B, T, D), with `hidden` hidden units."""

    hidden: int
    gelu: Gelu

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = Dense(self.hidden, name="up")(x)
        y = GELU[self.gelu](y)
        return Dense(x.shape[-1], name="down")(y)


class Block(nn.Module):
    """x (B, T, D) -> (B, T, D): attention and MLP, each followed by a residual sum and a LayerNorm.

    Every token attends to all real tokens; if `causal`, to itself and to earlier ones only.
    """

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, *, mask: Array | None, train: bool) -> Array:
        cfg = self.cfg
        drop = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")
        attention = SelfAttention(
            cfg.width, cfg.heads, causal=cfg.causal, dropout=cfg.dropout, in_init=INIT, out_init=INIT, name="attention"
        )
        mlp = MLP(cfg.units, cfg.gelu, name="mlp")

        y = attention(x, mask=mask, train=train)
        x = layer_norm(cfg, "attention_norm")(x + drop(y))
        y = mlp(x)
        x = layer_norm(cfg, "mlp_norm")(x + drop(y))
        return x


class MaskedHead(nn.Module):
    """Predicts the masked tokens: hidden states x (B, M, D), token embedding (V, D) -> logits (B, M, V)."""

    cfg: Config

    @nn.compact
    def __call__(self, x: Array, table: Array) -> Array:
        x = Dense(x.shape[-1], name="transform")(x)
        x = GELU[self.cfg.gelu](x)
        x = layer_norm(self.cfg, "norm")(x)
        return layers.TiedHead(bias=True, name="logits")(x, table)


class BERT(nn.Module):
    """tokens (B, T) -> what `cfg.head` selects. Raises UserError if T exceeds `context`.

    mask (B, T) bool is True on real tokens (default: all), segments (B, T) is 0 in sentence A and 1 in B (default: all
    0), positions (B, M) int32 are the indices whose tokens the heads "pretrain" and "masked" predict (default: all T).
    Training with dropout needs the rng "dropout". The attention weights are sown as intermediates,
    "block0/attention/weights" (B, heads, T, T).
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
        require_tokens(tokens, cfg.vocab, "bert")
        for what, numbers, count in (("segments", segments, SEGMENTS), ("positions", positions, tokens.shape[1])):
            if numbers is not None:
                require_tokens(numbers, count, "bert", what)
        drop = nn.Dropout(cfg.dropout, deterministic=not train, name="dropout")
        table = Embed(cfg.vocab, cfg.width, name="tokens")
        x = drop(self.embed(tokens, segments, table))
        for i in range(cfg.depth):
            x = call_block(Block(cfg, name=f"block{i}"), x, remat=cfg.remat, mask=mask, train=train)
        if cfg.head == "hidden":
            return x
        if cfg.head == "token":
            return Dense(cfg.classes, name="head")(drop(x))
        masked = x if positions is None else jnp.take_along_axis(x, positions[..., None], axis=1)  # (B, M, D)
        if cfg.head == "masked":
            return MaskedHead(cfg, name="masked")(masked, table.embedding)
        pooled = jnp.tanh(Dense(cfg.width, name="pooler")(self.summary_token(x, mask)))
        if cfg.head == "classify":
            return Dense(cfg.classes, name="head")(drop(pooled))
        if cfg.head == "pooler":
            return x, pooled
        token_logits = MaskedHead(cfg, name="masked")(masked, table.embedding)
        next_sentence_logits = Dense(2, name="next")(pooled)
        return token_logits, next_sentence_logits

    def summary_token(self, x: Array, mask: Array | None) -> Array:
        """Return the hidden state (B, D) that represents the whole text x (B, T, D).

        It is the first token's, or, if `causal`, the last real token's, the only one that has seen all others.
        """
        if x.shape[1] == 0:
            raise UserError(f"bert: a text without tokens has none to stand for it, as head {self.cfg.head!r} needs")
        if not self.cfg.causal:
            return x[:, 0]
        if mask is None:
            return x[:, -1]
        last = jnp.maximum(mask.sum(1) - 1, 0)
        return jnp.take_along_axis(x, last[:, None, None], axis=1)[:, 0]

    def embed(self, tokens: Array, segments: Array | None, table: nn.Module) -> Array:
        """Figure 2: sum the embeddings of token, position and segment -> (B, T, D), then apply LayerNorm."""
        length, cfg = tokens.shape[1], self.cfg
        if length > cfg.context:
            raise UserError(f"bert: {length} tokens do not fit its context of {cfg.context}")
        segments = jnp.zeros_like(tokens) if segments is None else segments
        x = table(tokens) + Embed(cfg.context, cfg.width, name="positions")(jnp.arange(length)[None])
        x = x + Embed(SEGMENTS, cfg.width, name="segments")(segments)
        return layer_norm(cfg, "norm")(x)


PAPER = Paper(
    title="BERT: Pre-training of deep bidirectional Transformers for language understanding",
    authors="J. Devlin, M.-W. Chang, K. Lee, K. Toutanova",
    venue="NAACL 2019",
    id="1810.04805",
)
VOCABULARY = "The vocabulary is the released one, 30,522 tokens; the paper speaks of 30,000."
SMALL = "Not in the paper: the size is from Turc et al. 2019 (arXiv:1908.08962)."


def _card(
    name: str,
    *,
    width: int,
    depth: int,
    heads: int,
    params: int,
    flops: int,
    paper_params: int | None = None,
) -> Card:
    config = Config(width=width, depth=depth, heads=heads)
    return Card(
        name=name,
        family="bert",
        year=2018,
        paper=PAPER,
        idea="A Transformer learns language from both directions by predicting masked words; one more layer then "
        "serves each task.",
        module=BERT,
        config=config,
        inputs=text(config.context),
        output=((config.context, width), (width,)),
        params=params,
        flops=flops,
        differences=SMALL if paper_params is None else VOCABULARY,
        initial_values="As in the authors' code: weights and embeddings normal with deviation 0.02, cut off at two "
        "deviations; biases 0; LayerNorm's epsilon is 1e-12.",
        parents={"transformer_base": "the encoder", "gpt1": "pre-training, then fine-tuning"},
        paper_params=paper_params,
    )


CARDS = [
    _card("bert_tiny", width=128, depth=2, heads=2, params=4_385_920, flops=671_121_408),
    _card("bert_mini", width=256, depth=4, heads=4, params=11_170_560, flops=4_295_098_368),
    _card("bert_small", width=512, depth=4, heads=8, params=28_763_648, flops=15_032_909_824),
    _card("bert_medium", width=512, depth=8, heads=8, params=41_373_184, flops=30_065_295_360),
    _card(
        "bert_base",
        width=768,
        depth=12,
        heads=12,
        params=109_482_240,
        flops=96_637_943_808,
        paper_params=110_000_000,
    ),
    _card(
        "bert_large",
        width=1024,
        depth=24,
        heads=16,
        params=335_141_888,
        flops=335_009_546_240,
        paper_params=340_000_000,
    ),
]
