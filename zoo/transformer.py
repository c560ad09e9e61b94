"""Transformer (Vaswani et al. 2017, arXiv:1706.03762): attention alone translates, without recurrence or convolution.

source (B, S), target (B, T) int32 -> logits (B, T, V); S and T may differ, D = width. Layout: figure 1 and
section 3; sizes: table 3. One table embeds source and target and gives the logits (section 3.4).
"""

import dataclasses
import math
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from zoo.attention import KeysValues, MultiHeadAttention
from zoo.cards import Card, Paper, text_pair
from zoo.fields import ACTIVATIONS, Activation, check, demand
from zoo.layers import Dense, TiedHead

Cache = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts on embeddings and on the output of every sublayer (section 5.4)."""

    vocab: int  # tokens of source and target together
    width: int
    depth: int  # blocks of the encoder, and as many of the decoder
    heads: int
    hidden: int  # units inside a feed-forward sublayer
    norm: Literal["post", "pre"] = "post"  # LayerNorm after each sum (the paper), or before each sublayer
    dropout: float = 0.1
    norm_epsilon: float = 1e-6  # of every LayerNorm, as in the authors' code
    activation: Activation = "relu"  # inside a feed-forward sublayer
    positions: Literal["interleaved", "halves"] = "interleaved"  # sines and cosines in turn, or all sines first
    logits_bias: bool = False

    def __post_init__(self) -> None:
        check(self)
        demand(self.width % self.heads == 0, "transformer", "heads", f"a divisor of width {self.width}", self.heads)
        demand(self.width % 2 == 0, "transformer", "width", "even, for sines and cosines", self.width)


class FeedForward(nn.Module):
    """Section 3.3: x (B, T, D) -> (B, T, D) through `hidden` units, each token by itself."""

    hidden: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.xavier_uniform()
        y = ACTIVATIONS[self.activation](Dense(self.hidden, kernel_init=init, name="up")(x))
        return Dense(x.shape[-1], kernel_init=init, name="down")(y)


class Block(nn.Module):
    """What blocks of encoder and decoder share: each sublayer reads the stream x (B, T, D) and adds to it."""

    cfg: Config
    causal: ClassVar[bool] = False

    def setup(self) -> None:
        cfg = self.cfg
        self.attention = MultiHeadAttention(cfg.width, cfg.heads, causal=self.causal)
        self.mlp = FeedForward(cfg.hidden, cfg.activation)
        self.dropout = nn.Dropout(cfg.dropout)
        self.attention_norm, self.mlp_norm = (nn.LayerNorm(epsilon=cfg.norm_epsilon) for _ in range(2))

    def read(self, x: Array, norm: nn.Module) -> Array:
        """What a sublayer reads of the stream."""
        return norm(x) if self.cfg.norm == "pre" else x

    def add(self, x: Array, y: Array, norm: nn.Module, *, train: bool) -> Array:
        """The stream after a sublayer made y."""
        x = x + self.dropout(y, deterministic=not train)
        return norm(x) if self.cfg.norm == "post" else x


class EncoderBlock(Block):
    """x (B, S, D) -> (B, S, D); every token reads all real ones."""

    def __call__(self, x: Array, *, mask: Array, train: bool) -> Array:
        y = self.attention(self.read(x, self.attention_norm), mask=mask, train=train)
        x = self.add(x, y, self.attention_norm, train=train)
        y = self.mlp(self.read(x, self.mlp_norm))
        return self.add(x, y, self.mlp_norm, train=train)


class DecoderBlock(Block):
    """x (B, T, D) -> (B, T, D); a token reads itself, the tokens before it, and the real tokens of the source."""

    causal = True

    def setup(self) -> None:
        super().setup()
        self.cross = MultiHeadAttention(self.cfg.width, self.cfg.heads, cross=True)
        self.cross_norm = nn.LayerNorm(epsilon=self.cfg.norm_epsilon)

    def __call__(self, x: Array, memory: Array, *, mask: Array, train: bool) -> Array:
        y = self.attention(self.read(x, self.attention_norm), train=train)
        return self.finish(x, y, self.cross.keys_values(memory), mask=mask, train=train)

    def finish(self, x: Array, y: Array, source: KeysValues, *, mask: Array, train: bool) -> Array:
        """The rest of the block, once self-attention has made y of the stream x."""
        x = self.add(x, y, self.attention_norm, train=train)
        y = self.cross(self.read(x, self.cross_norm), source, mask=mask, train=train)
        x = self.add(x, y, self.cross_norm, train=train)
        y = self.mlp(self.read(x, self.mlp_norm))
        return self.add(x, y, self.mlp_norm, train=train)

    def begin(self, memory: Array, length: int) -> dict[str, KeysValues]:
        """The keys and values of the source, and room for those of `length` target tokens."""
        return {"target": self.attention.begin(len(memory), length), "source": self.cross.keys_values(memory)}

    def decode(
        self, x: Array, cache: dict[str, KeysValues], position: Array, *, mask: Array
    ) -> tuple[Array, dict[str, KeysValues]]:
        """The block for the tokens x (B, n, D) from `position` () on."""
        y, target = self.attention.decode(self.read(x, self.attention_norm), cache["target"], position)
        x = self.finish(x, y, cache["source"], mask=mask, train=False)
        return x, {**cache, "target": target}


class Transformer(nn.Module):
    """source (B, S), its mask (B, S) bool, target (B, T) -> logits (B, T, V); t gives the token after target[:, t].

    Dropout needs the rng "dropout". Attention weights are sown, "encoder0/attention/weights" and the like.
    """

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        self.tokens = nn.Embed(cfg.vocab, cfg.width, embedding_init=nn.initializers.normal(cfg.width**-0.5))
        self.dropout = nn.Dropout(cfg.dropout)
        self.encoder = [EncoderBlock(cfg, name=f"encoder{i}") for i in range(cfg.depth)]
        self.decoder = [DecoderBlock(cfg, name=f"decoder{i}") for i in range(cfg.depth)]
        if cfg.norm == "pre":  # the streams themselves are never normed before their ends
            self.encoder_norm, self.decoder_norm = (nn.LayerNorm(epsilon=cfg.norm_epsilon) for _ in range(2))
        self.head = TiedHead(cfg.logits_bias)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        memory = self.encode(source, source_mask, train=train)
        x = self.embed(target, self.table(target.shape[1]), train=train)
        for block in self.decoder:
            x = block(x, memory, mask=source_mask, train=train)
        return self.logits(x)

    def embed(self, tokens: Array, positions: Array, *, train: bool) -> Array:
        """Sections 3.4 and 3.5: tokens (B, T), positions (T, D) -> (B, T, D)."""
        x = self.tokens(tokens) * math.sqrt(self.cfg.width)
        return self.dropout(x + positions[None].astype(x.dtype), deterministic=not train)

    def table(self, length: int) -> Array:
        """The positions (length, D)."""
        return sinusoids(length, self.cfg.width, self.cfg.positions == "halves")

    def encode(self, source: Array, source_mask: Array, *, train: bool) -> Array:
        """What the decoder reads of the source, (B, S, D)."""
        x = self.embed(source, self.table(source.shape[1]), train=train)
        for block in self.encoder:
            x = block(x, mask=source_mask, train=train)
        return self.encoder_norm(x) if self.cfg.norm == "pre" else x

    def logits(self, x: Array) -> Array:
        """The decoder's stream (B, T, D) -> (B, T, V)."""
        x = self.decoder_norm(x) if self.cfg.norm == "pre" else x
        return self.head(x, self.tokens.embedding)

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> Cache:
        """The source encoded, its keys and values made for every block, and room for `length` target tokens."""
        demand(batch == len(source), "transformer", "batch", f"the {len(source)} sources", batch)
        memory = self.encode(source, source_mask, train=False)
        blocks = [block.begin(memory, length) for block in self.decoder]
        return {"position": jnp.int32(0), "mask": source_mask, "blocks": blocks}

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """Logits (B, n, V) of the next n >= 1 target tokens (B, n), and the cache after them; evaluation mode."""
        position, mask = cache["position"], cache["mask"]
        room = cache["blocks"][0]["target"][0].shape[1]
        x = self.embed(tokens, lax.dynamic_slice_in_dim(self.table(room), position, tokens.shape[1]), train=False)
        blocks = []
        for block, kept in zip(self.decoder, cache["blocks"], strict=True):
            x, kept = block.decode(x, kept, position, mask=mask)
            blocks.append(kept)
        return self.logits(x), {"position": position + tokens.shape[1], "mask": mask, "blocks": blocks}


def sinusoids(length: int, width: int, halves: bool = False) -> Array:
    """Section 3.5: (length, width) float32, sin(position / 10000^(2i / width)) at 2i and its cosine at 2i + 1.

    halves: the same columns, all sines first, as in Marian.
    """
    angle = np.arange(length)[:, None] / 10_000 ** (np.arange(0, width, 2) / width)
    waves = [np.sin(angle), np.cos(angle)]
    table = np.concatenate(waves, axis=-1) if halves else np.stack(waves, axis=-1).reshape(length, width)
    return jnp.asarray(table, jnp.float32)


PAPER = Paper(
    title="Attention is all you need",
    authors="A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin",
    venue="NeurIPS 2017",
    id="1706.03762",
)


def _card(name: str, config: Config, params: int, flops: int, departs: str = "", said: int | None = None) -> Card:
    idea = "Attention alone relates all words of two sentences at once, so that nothing waits for the word before."
    inputs, output = text_pair(64, 64), (64, config.vocab)
    parents = {"seq2seq_attention": "attention of the decoder to the encoder", "resnet50": "residual connections"}
    return Card(name, "transformer", 2017, PAPER, idea, Transformer, config, inputs, output, params, flops,
                departs, parents, said)  # fmt: skip


CARDS = [
    _card(
        "transformer_mini",
        Config(10_000, width=256, depth=3, heads=8, hidden=512),
        6_513_664,
        868_745_216,
        "Not in the paper: 256 wide, 3 blocks a side, 10,000 tokens, for small sets of sentences.",
    ),
    _card(
        "transformer_base",
        Config(37_000, width=512, depth=6, heads=8, hidden=2048),
        63_082_496,
        8_212_971_520,
        said=65_000_000,
    ),
    _card(
        "transformer_big",
        Config(37_000, width=1024, depth=6, heads=16, hidden=4096, dropout=0.3),
        214_245_376,
        27_700_232_192,
        said=213_000_000,
    ),
]
