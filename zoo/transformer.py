"""Transformer (Vaswani et al. 2017, arXiv:1706.03762): attention alone translates, without recurrence or convolution.

source (B, S), target (B, T) int32 -> logits (B, T, V); S and T may differ, D = width. Layout: figure 1 and
section 3; sizes: table 3. One table embeds source and target, and its transpose is the output layer (section 3.4).
"""

import dataclasses
import math
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import Array, lax

from zoo.attention import CrossAttention, KeysValues, SelfAttention, require_room
from zoo.blocks import call_block
from zoo.cards import Card, Paper, text_pair
from zoo.fields import ACTIVATIONS, Activation, check, require, require_tokens
from zoo.layers import Dense, TiedHead


class BlockCache(NamedTuple):
    """What one decoder block attends to."""

    target: KeysValues  # of the target tokens so far, with room for more
    source: KeysValues  # of the encoded source, computed once


class Cache(NamedTuple):
    """The state of decoding."""

    position: Array  # () int32, number of target tokens so far
    mask: Array  # (B, S) bool, True on real source tokens
    blocks: list[BlockCache]


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies to embeddings and to the output of every sublayer (section 5.4)."""

    vocab: int  # tokens of source and target together
    width: int
    depth: int  # blocks of the encoder, and as many of the decoder
    heads: int
    hidden: int  # units inside a feed-forward sublayer
    norm: Literal["post", "pre"] = "post"  # LayerNorm after each residual sum (the paper) or before each sublayer
    dropout: float = 0.1
    norm_epsilon: float = 1e-6  # of every LayerNorm, as in the authors' code
    activation: Activation = "relu"  # inside a feed-forward sublayer
    positions: Literal["interleaved", "halves"] = "interleaved"  # sines and cosines alternate, or all sines first
    logits_bias: bool = False
    final_norm: bool = False  # with norm "post" a LayerNorm after each stack too, as in torch.nn.Transformer
    remat: bool = False  # in training, compute the inside of each block again for its gradient: less memory, more time

    def __post_init__(self) -> None:
        check(self)
        require(self.width % self.heads == 0, "transformer", "heads", f"a divisor of width {self.width}", self.heads)
        require(self.width % 2 == 0, "transformer", "width", "even, for sines and cosines", self.width)
        if self.final_norm:
            require(self.norm == "post", "transformer", "final_norm", "False with norm 'pre', which has them", True)

    @property
    def norms_stacks(self) -> bool:
        """Whether a LayerNorm follows the last block of encoder and decoder."""
        return self.final_norm or self.norm == "pre"


class FeedForward(nn.Module):
    """Section 3.3: x (B, T, D) -> (B, T, D) with `hidden` units, applied to each token separately."""

    hidden: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.xavier_uniform()
        y = Dense(self.hidden, kernel_init=init, name="up")(x)
        y = ACTIVATIONS[self.activation](y)
        return Dense(x.shape[-1], kernel_init=init, name="down")(y)


class Block(nn.Module):
    """What encoder and decoder blocks share: self-attention, a feed-forward network, and a residual around each."""

    cfg: Config
    causal: ClassVar[bool] = False

    def setup(self) -> None:
        cfg = self.cfg
        self.attention = SelfAttention(cfg.width, cfg.heads, causal=self.causal)
        self.mlp = FeedForward(cfg.hidden, cfg.activation)
        self.dropout = nn.Dropout(cfg.dropout)
        self.attention_norm = nn.LayerNorm(epsilon=cfg.norm_epsilon)
        self.mlp_norm = nn.LayerNorm(epsilon=cfg.norm_epsilon)

    def sublayer_input(self, x: Array, norm: nn.LayerNorm) -> Array:
        """Return the input of a sublayer: x, normalized first if the config's norm is "pre"."""
        return norm(x) if self.cfg.norm == "pre" else x

    def add_to_residual(self, x: Array, y: Array, norm: nn.LayerNorm, *, train: bool) -> Array:
        """Add the output y of a sublayer to the residual x; normalize the sum if the config's norm is "post"."""
        x = x + self.dropout(y, deterministic=not train)
        return norm(x) if self.cfg.norm == "post" else x


class EncoderBlock(Block):
    """x (B, S, D) -> (B, S, D); every token attends to all real tokens."""

    def __call__(self, x: Array, *, mask: Array, train: bool) -> Array:
        y = self.attention(self.sublayer_input(x, self.attention_norm), mask=mask, train=train)
        x = self.add_to_residual(x, y, self.attention_norm, train=train)
        y = self.mlp(self.sublayer_input(x, self.mlp_norm))
        return self.add_to_residual(x, y, self.mlp_norm, train=train)


class DecoderBlock(Block):
    """x (B, T, D) -> (B, T, D); a token attends to itself, to earlier tokens, and to the real tokens of the source."""

    causal = True

    def setup(self) -> None:
        super().setup()
        self.cross = CrossAttention(self.cfg.width, self.cfg.heads)
        self.cross_norm = nn.LayerNorm(epsilon=self.cfg.norm_epsilon)

    def __call__(self, x: Array, memory: Array, *, mask: Array, train: bool) -> Array:
        y = self.attention(self.sublayer_input(x, self.attention_norm), train=train)
        source = self.cross.keys_values(memory)
        return self.after_self_attention(x, y, source, mask=mask, train=train)

    def after_self_attention(self, x: Array, y: Array, source: KeysValues, *, mask: Array, train: bool) -> Array:
        """Add the output y of self-attention to the residual x, then apply the other two sublayers."""
        x = self.add_to_residual(x, y, self.attention_norm, train=train)
        y = self.cross(self.sublayer_input(x, self.cross_norm), source, mask=mask, train=train)
        x = self.add_to_residual(x, y, self.cross_norm, train=train)
        y = self.mlp(self.sublayer_input(x, self.mlp_norm))
        return self.add_to_residual(x, y, self.mlp_norm, train=train)

    def begin(self, memory: Array, length: int) -> BlockCache:
        """Return the cache before the first target token: the source's keys and values, and room for `length` more."""
        target = self.attention.empty_cache(memory.shape[0], length)
        return BlockCache(target=target, source=self.cross.keys_values(memory))

    def decode(self, x: Array, cache: BlockCache, position: Array, *, mask: Array) -> tuple[Array, BlockCache]:
        """Run n new tokens x (B, n, D), the first at index `position`; return their outputs and the cache with them."""
        y, target = self.attention.decode(self.sublayer_input(x, self.attention_norm), cache.target, position)
        x = self.after_self_attention(x, y, cache.source, mask=mask, train=False)
        return x, BlockCache(target=target, source=cache.source)


class Transformer(nn.Module):
    """source (B, S), its mask (B, S) bool, target (B, T) -> logits (B, T, V).

    The logits at index t predict the token after target[:, t]. Training with dropout needs the rng "dropout". The
    attention weights are sown as intermediates, "encoder0/attention/weights" and so on.
    """

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        self.tokens = nn.Embed(cfg.vocab, cfg.width, embedding_init=nn.initializers.normal(cfg.width**-0.5))
        self.dropout = nn.Dropout(cfg.dropout)
        self.encoder = [EncoderBlock(cfg, name=f"encoder{i}") for i in range(cfg.depth)]
        self.decoder = [DecoderBlock(cfg, name=f"decoder{i}") for i in range(cfg.depth)]
        if cfg.norms_stacks:  # with norm "pre" the residual after the last block has not been normalized yet
            self.encoder_norm = nn.LayerNorm(epsilon=cfg.norm_epsilon)
            self.decoder_norm = nn.LayerNorm(epsilon=cfg.norm_epsilon)
        self.head = TiedHead(cfg.logits_bias)

    def __call__(self, source: Array, source_mask: Array, target: Array, *, train: bool) -> Array:
        require_tokens(target, self.cfg.vocab, "transformer", "target")
        memory = self.encode(source, source_mask, train=train)
        x = self.embed(target, self.position_table(target.shape[1]), train=train)
        for block in self.decoder:
            x = call_block(block, x, memory, remat=self.cfg.remat, mask=source_mask, train=train)
        return self.logits(x)

    def embed(self, tokens: Array, positions: Array, *, train: bool) -> Array:
        """Sections 3.4 and 3.5: embed tokens (B, T) and add their positions (T, D) -> (B, T, D)."""
        x = self.tokens(tokens) * math.sqrt(self.cfg.width)
        return self.dropout(x + positions[None].astype(x.dtype), deterministic=not train)

    def position_table(self, length: int) -> Array:
        """Return the encodings of the first `length` positions, (length, D)."""
        return sinusoids(length, self.cfg.width, self.cfg.positions == "halves")

    def encode(self, source: Array, source_mask: Array, *, train: bool) -> Array:
        """Encode source (B, S) -> (B, S, D), the memory that the decoder attends to."""
        require_tokens(source, self.cfg.vocab, "transformer", "source")
        x = self.embed(source, self.position_table(source.shape[1]), train=train)
        for block in self.encoder:
            x = call_block(block, x, remat=self.cfg.remat, mask=source_mask, train=train)
        return self.encoder_norm(x) if self.cfg.norms_stacks else x

    def logits(self, x: Array) -> Array:
        """Return the logits (B, T, V) of the last decoder block's output x (B, T, D)."""
        x = self.decoder_norm(x) if self.cfg.norms_stacks else x
        return self.head(x, self.tokens.embedding)

    def begin(self, batch: int, length: int, source: Array, source_mask: Array) -> Cache:
        """Encode the source and return the cache before the first target token, with room for `length` of them."""
        sources = source.shape[0]
        require(batch == sources, "transformer", "batch", f"the {sources} sources", batch)
        memory = self.encode(source, source_mask, train=False)
        blocks = [block.begin(memory, length) for block in self.decoder]
        return Cache(position=jnp.int32(0), mask=source_mask, blocks=blocks)

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """Continue with n >= 1 target tokens (B, n), in evaluation mode; return logits (B, n, V) and the new cache.

        Inside jit the caller must stop before the cache is full: see `attention.require_room`.
        """
        require_tokens(tokens, self.cfg.vocab, "transformer", "target")
        room = cache.blocks[0].target.keys.shape[1]
        require_room(cache.position, tokens.shape[1], room)
        positions = lax.dynamic_slice_in_dim(self.position_table(room), cache.position, tokens.shape[1])
        x = self.embed(tokens, positions, train=False)
        blocks = []
        for block, block_cache in zip(self.decoder, cache.blocks, strict=True):
            x, block_cache = block.decode(x, block_cache, cache.position, mask=cache.mask)
            blocks.append(block_cache)
        return self.logits(x), Cache(cache.position + tokens.shape[1], cache.mask, blocks)


def sinusoids(length: int, width: int, halves: bool = False) -> Array:
    """Section 3.5: (length, width) float32, sin(position / 10000^(2i / width)) at 2i and its cosine at 2i + 1.

    With `halves` the same columns are ordered as in Marian: all sines, then all cosines.
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


BIASES = (
    "The projections of attention (query, key, value, output) have biases; the paper's are matrices alone (section "
    "3.2.2), as in the authors' code."
)


def _card(
    name: str, config: Config, *, params: int, flops: int, differences: str = "", paper_params: int | None = None
) -> Card:
    return Card(
        name=name,
        family="transformer",
        year=2017,
        paper=PAPER,
        idea="Attention alone relates all words of two sentences, so all positions are computed in parallel.",
        module=Transformer,
        config=config,
        inputs=text_pair(64, 64),
        output=(64, config.vocab),
        params=params,
        flops=flops,
        differences=f"{differences} {BIASES}".lstrip(),
        initial_values="The paper gives none: as in the authors' code weights are Xavier's uniform, embeddings normal "
        "with deviation 1 / sqrt(width), and LayerNorm's epsilon is 1e-6.",
        parents={"seq2seq_attention": "attention of the decoder to the encoder", "resnet50": "residual connections"},
        paper_params=paper_params,
    )


CARDS = [
    _card(
        "transformer_mini",
        Config(vocab=10_000, width=256, depth=3, heads=8, hidden=512),
        params=6_513_664,
        flops=868_745_216,
        differences="Not in the paper: width 256, 3 + 3 blocks and 10,000 tokens, for small data sets.",
    ),
    _card(
        "transformer_base",
        Config(vocab=37_000, width=512, depth=6, heads=8, hidden=2048),
        params=63_082_496,
        flops=8_212_971_520,
        paper_params=65_000_000,
    ),
    _card(
        "transformer_big",
        Config(vocab=37_000, width=1024, depth=6, heads=16, hidden=4096, dropout=0.3),
        params=214_245_376,
        flops=27_700_232_192,
        paper_params=213_000_000,
    ),
]
