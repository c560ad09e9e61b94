"""GPT (Radford et al. 2018 and 2019): one Transformer, trained to continue text, does many tasks.

tokens (B, T) int32 -> logits (B, T, V); T up to `context`, D = width. The 2018 net norms after each sum, the 2019 one
before each sublayer and at the end. One table embeds the tokens and gives the logits.
"""

import dataclasses
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.attention import KeysValues, MultiHeadAttention
from zoo.cards import Card, Paper, text
from zoo.errors import UserError
from zoo.fields import GELU, Gelu, check, demand
from zoo.layers import Dense, TiedHead

INIT = nn.initializers.normal(0.02)  # of the authors' code, as the epsilon of the norms
Cache = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` acts on embeddings, attention weights and the output of every sublayer."""

    vocab: int
    context: int  # most tokens of a text: each place has a trained vector
    width: int
    depth: int  # blocks
    heads: int
    norm: Literal["pre", "post"] = "pre"  # LayerNorm before each sublayer (2019), or after each sum (2018)
    bias: bool = True  # of all products and norms
    dropout: float = 0.1
    norm_epsilon: float = 1e-5  # of every LayerNorm
    gelu: Gelu = "tanh"  # the form of GELU; "exact" is nanoGPT's

    def __post_init__(self) -> None:
        check(self)
        demand(self.width % self.heads == 0, "gpt", "heads", f"a divisor of width {self.width}", self.heads)


def norm(cfg: Config) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=cfg.norm_epsilon, use_bias=cfg.bias)


class MLP(nn.Module):
    """x (B, T, D) -> (B, T, D) through 4 D units."""

    bias: bool
    gelu: Gelu
    out_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        y = GELU[self.gelu](Dense(4 * width, use_bias=self.bias, kernel_init=INIT, name="up")(x))
        return Dense(width, use_bias=self.bias, kernel_init=self.out_init, name="down")(y)


class Block(nn.Module):
    """x (B, T, D) -> (B, T, D); a token reads itself and the tokens before it."""

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        # 2019: what is added to the stream starts smaller, by the root of how many sublayers add.
        out_init = nn.initializers.normal(0.02 / (2 * cfg.depth) ** 0.5) if cfg.norm == "pre" else INIT
        self.attention = MultiHeadAttention(
            cfg.width, cfg.heads, causal=True, bias=cfg.bias, dropout=cfg.dropout, in_init=INIT, out_init=out_init
        )
        self.mlp = MLP(cfg.bias, cfg.gelu, out_init)
        self.dropout = nn.Dropout(cfg.dropout)
        self.attention_norm, self.mlp_norm = norm(cfg), norm(cfg)

    def __call__(self, x: Array, *, train: bool) -> Array:
        return self.finish(x, self.attention(self.read(x, self.attention_norm), train=train), train=train)

    def decode(self, x: Array, cache: KeysValues, position: Array) -> tuple[Array, KeysValues]:
        """The block for the tokens x (B, n, D) from `position` () on."""
        y, cache = self.attention.decode(self.read(x, self.attention_norm), cache, position)
        return self.finish(x, y, train=False), cache

    def finish(self, x: Array, y: Array, *, train: bool) -> Array:
        """The rest of the block, once attention has made y of the stream x."""
        x = self.add(x, y, self.attention_norm, train=train)
        y = self.mlp(self.read(x, self.mlp_norm))
        return self.add(x, y, self.mlp_norm, train=train)

    def read(self, x: Array, norm: nn.Module) -> Array:
        """What a sublayer reads of the stream."""
        return norm(x) if self.cfg.norm == "pre" else x

    def add(self, x: Array, y: Array, norm: nn.Module, *, train: bool) -> Array:
        """The stream after a sublayer made y."""
        x = x + self.dropout(y, deterministic=not train)
        return norm(x) if self.cfg.norm == "post" else x


class GPT(nn.Module):
    """tokens (B, T) -> logits (B, T, V); t gives the token after tokens[:, t]. Dropout needs the rng "dropout".

    UserError where T exceeds `context`. Attention weights are sown, "block0/attention/weights" (B, heads, T, T).
    """

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        self.tokens = nn.Embed(cfg.vocab, cfg.width, embedding_init=INIT)
        self.positions = nn.Embed(cfg.context, cfg.width, embedding_init=INIT)
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks = [Block(cfg, name=f"block{i}") for i in range(cfg.depth)]
        if cfg.norm == "pre":
            self.norm = norm(cfg)
        self.head = TiedHead()

    def __call__(self, tokens: Array, *, train: bool) -> Array:
        self.demand_room(tokens.shape[1])
        x = self.embed(tokens, 0, train=train)
        for block in self.blocks:
            x = block(x, train=train)
        return self.logits(x)

    def begin(self, batch: int, length: int) -> Cache:
        """Room for the keys and values of `length` tokens, at most `context`."""
        self.demand_room(length)
        return {"position": jnp.int32(0), "blocks": [block.attention.begin(batch, length) for block in self.blocks]}

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """Logits (B, n, V) of the next n >= 1 tokens (B, n), and the cache after them; evaluation mode."""
        position, blocks = cache["position"], []
        x = self.embed(tokens, position, train=False)
        for block, kept in zip(self.blocks, cache["blocks"], strict=True):
            x, kept = block.decode(x, kept, position)
            blocks.append(kept)
        return self.logits(x), {"position": position + tokens.shape[1], "blocks": blocks}

    def embed(self, tokens: Array, position: Array | int, *, train: bool) -> Array:
        """tokens (B, T), the first of them at `position` -> (B, T, D)."""
        x = self.tokens(tokens) + self.positions(position + jnp.arange(tokens.shape[1])[None])
        return self.dropout(x, deterministic=not train)

    def logits(self, x: Array) -> Array:
        """The stream (B, T, D) -> (B, T, V)."""
        return self.head(self.norm(x) if self.cfg.norm == "pre" else x, self.tokens.embedding)

    def demand_room(self, length: int) -> None:
        """Raise UserError where a text of `length` tokens does not fit the context."""
        if length > self.cfg.context:
            raise UserError(f"gpt: {length} tokens do not fit its context of {self.cfg.context}")


GPT1_PAPER = Paper(
    title="Improving language understanding by generative pre-training",
    authors="A. Radford, K. Narasimhan, T. Salimans, I. Sutskever",
    venue="OpenAI 2018",
    id="https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf",
)
GPT2_PAPER = Paper(
    title="Language models are unsupervised multitask learners",
    authors="A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever",
    venue="OpenAI 2019",
    id="https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)


def _card(name: str, config: Config, params: int, flops: int, departs: str = "", said: int | None = None) -> Card:
    first = config.norm == "post"
    year, paper = (2018, GPT1_PAPER) if first else (2019, GPT2_PAPER)
    idea = (
        "A Transformer that has learned to continue any text needs only a little more training for each task."
        if first
        else "A language model that is large enough does tasks it was never trained for, asked in plain words."
    )
    inputs, output = text(config.context), (config.context, config.vocab)
    parents = {"transformer_base": "the decoder, alone"} if first else {"gpt1": "the same net, its norms first"}
    return Card(name, "gpt", year, paper, idea, GPT, config, inputs, output, params, flops, departs, parents, said)


def _gpt2(name: str, width: int, depth: int, heads: int, params: int, flops: int, said: int) -> Card:
    """Table 2 of the 2019 paper; its vocabulary is of 50,257 byte pairs."""
    return _card(name, Config(50_257, 1024, width, depth, heads), params, flops, said=said)


def _char(name: str, context: int, width: int, depth: int, heads: int, dropout: float, params: int, flops: int) -> Card:
    """A preset of A. Karpathy's nanoGPT for the 65 characters of Tiny Shakespeare."""
    config = Config(65, context, width, depth, heads, bias=False, dropout=dropout)
    departs = (
        "Not in the paper: a size of nanoGPT for characters, without biases (nanoGPT's own GELU is the exact one)."
    )
    return _card(name, config, params, flops, departs)


CARDS = [
    _card("gpt1", Config(40_478, 512, width=768, depth=12, heads=12, norm="post"), 116_534_784, 128_469_958_656),
    _char("gpt_char_mini", 64, 128, 4, 4, 0.0, 804_096, 110_116_864),
    _char("gpt_char", 256, 384, 6, 6, 0.2, 10_745_088, 6_052_577_280),
    _gpt2("gpt2", 768, 12, 12, 124_439_808, 291_648_307_200, 117_000_000),
    _gpt2("gpt2_medium", 1024, 24, 16, 354_823_168, 826_951_073_792, 345_000_000),
    _gpt2("gpt2_large", 1280, 36, 20, 774_030_080, 1_774_570_700_800, 762_000_000),
    _gpt2("gpt2_xl", 1600, 48, 25, 1_557_611_200, 3_506_703_564_800, 1_542_000_000),
]
