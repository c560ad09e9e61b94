"""GPT (Radford et al. 2018 and 2019): a Transformer decoder, trained to predict the next token of any text.

tokens (B, T) int32 -> logits (B, T, V); T is at most `context`, D = width. GPT-1 (2018) applies LayerNorm after each
residual sum, GPT-2 (2019) before each sublayer and once more before the logits. The output layer is the transposed
token embedding (`TiedHead`).
"""

import dataclasses
from typing import Literal, NamedTuple

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from zoo.attention import KeysValues, SelfAttention, require_room
from zoo.blocks import call_block
from zoo.cards import Card, Paper, text
from zoo.errors import UserError
from zoo.fields import GELU, Gelu, check, require, require_tokens
from zoo.layers import Dense, TiedHead


class Cache(NamedTuple):
    """The state of decoding: what the blocks must remember of the tokens so far."""

    position: Array  # () int32, number of tokens so far
    blocks: list[KeysValues]  # of each block's attention, with room for more tokens


@dataclasses.dataclass(frozen=True)
class Config:
    """The architecture. `dropout` applies to embeddings, attention weights and the output of every sublayer."""

    vocab: int
    context: int  # longest text in tokens: each position has a learned embedding
    width: int
    depth: int  # blocks
    heads: int
    norm: Literal["pre", "post"] = "pre"  # LayerNorm before each sublayer (2019) or after each residual sum (2018)
    bias: bool = True  # in all Dense layers and LayerNorms
    dropout: float = 0.1
    norm_epsilon: float = 1e-5  # of every LayerNorm
    gelu: Gelu = "tanh"  # the approximation that OpenAI's code uses; nanoGPT has "exact"
    deviation: float = 0.02  # of initial weights, from OpenAI's code, like the epsilon of LayerNorm
    position_deviation: float = 0.02  # of initial position embeddings; 0.01 in GPT-2's code, as on its cards
    hidden: int = 0  # units inside a block's MLP, `n_inner` in Hugging Face's config.json; 0: 4 * width
    remat: bool = False  # in training, compute the inside of each block again for its gradient: less memory, more time

    def __post_init__(self) -> None:
        check(self)
        require(self.width % self.heads == 0, "gpt", "heads", f"a divisor of width {self.width}", self.heads)

    @property
    def units(self) -> int:
        """The hidden units of a block's MLP."""
        return self.hidden or 4 * self.width


def layer_norm(cfg: Config) -> nn.LayerNorm:
    """Return a LayerNorm over the last axis, with the epsilon and bias of the config."""
    return nn.LayerNorm(epsilon=cfg.norm_epsilon, use_bias=cfg.bias)


class MLP(nn.Module):
    """The feed-forward sublayer: x (B, T, D) -> (B, T, D), with `hidden` hidden units."""

    hidden: int
    bias: bool
    gelu: Gelu
    in_init: nn.initializers.Initializer
    out_init: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = Dense(self.hidden, use_bias=self.bias, kernel_init=self.in_init, name="up")(x)
        y = GELU[self.gelu](y)
        return Dense(x.shape[-1], use_bias=self.bias, kernel_init=self.out_init, name="down")(y)


class Block(nn.Module):
    """The sublayers of a block: causal self-attention and MLP, each with a LayerNorm. Subclasses connect them."""

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        in_init = out_init = nn.initializers.normal(cfg.deviation)
        if cfg.norm == "pre":
            # 2 * depth sublayers add to the residual. Dividing the initial weights of each one's last layer by the
            # root of that number keeps the variance of the sum (section 2.3 of the 2019 paper).
            out_init = nn.initializers.normal(cfg.deviation / (2 * cfg.depth) ** 0.5)
        self.attention = SelfAttention(
            cfg.width, cfg.heads, causal=True, bias=cfg.bias, dropout=cfg.dropout, in_init=in_init, out_init=out_init
        )
        self.mlp = MLP(cfg.units, cfg.bias, cfg.gelu, in_init, out_init)
        self.dropout = nn.Dropout(cfg.dropout)
        self.attention_norm = layer_norm(cfg)
        self.mlp_norm = layer_norm(cfg)


class GPT2Block(Block):
    """A block of GPT-2, x (B, T, D) -> (B, T, D): normalize, apply the sublayer, add its output to the residual x."""

    def __call__(self, x: Array, *, train: bool) -> Array:
        y = self.attention(self.attention_norm(x), train=train)
        x = x + self.dropout(y, deterministic=not train)
        y = self.mlp(self.mlp_norm(x))
        x = x + self.dropout(y, deterministic=not train)
        return x

    def decode(self, x: Array, cache: KeysValues, position: Array) -> tuple[Array, KeysValues]:
        """Run n new tokens x (B, n, D), the first at index `position`; return their outputs and the cache with them."""
        y, cache = self.attention.decode(self.attention_norm(x), cache, position)
        x = x + y
        x = x + self.mlp(self.mlp_norm(x))
        return x, cache


class GPT1Block(Block):
    """A block of GPT-1, x (B, T, D) -> (B, T, D): apply the sublayer, add its output to x, normalize the sum."""

    def __call__(self, x: Array, *, train: bool) -> Array:
        y = self.attention(x, train=train)
        x = self.attention_norm(x + self.dropout(y, deterministic=not train))
        y = self.mlp(x)
        x = self.mlp_norm(x + self.dropout(y, deterministic=not train))
        return x

    def decode(self, x: Array, cache: KeysValues, position: Array) -> tuple[Array, KeysValues]:
        """Run n new tokens x (B, n, D), the first at index `position`; return their outputs and the cache with them."""
        y, cache = self.attention.decode(x, cache, position)
        x = self.attention_norm(x + y)
        x = self.mlp_norm(x + self.mlp(x))
        return x, cache


class GPT(nn.Module):
    """tokens (B, T) -> logits (B, T, V); those at index t predict the token after tokens[:, t].

    Training with dropout needs the rng "dropout". Raises UserError if T exceeds `context`. The attention weights are
    sown as intermediates, "block0/attention/weights" (B, heads, T, T).
    """

    cfg: Config

    def setup(self) -> None:
        cfg = self.cfg
        block = GPT2Block if cfg.norm == "pre" else GPT1Block
        self.tokens = nn.Embed(cfg.vocab, cfg.width, embedding_init=nn.initializers.normal(cfg.deviation))
        positions_init = nn.initializers.normal(cfg.position_deviation)
        self.positions = nn.Embed(cfg.context, cfg.width, embedding_init=positions_init)
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks = [block(cfg, name=f"block{i}") for i in range(cfg.depth)]
        if cfg.norm == "pre":  # the residual after the last block has not been normalized yet
            self.norm = layer_norm(cfg)
        self.head = TiedHead()  # multiplies by the transposed token embedding; it has no parameters

    def __call__(self, tokens: Array, *, train: bool) -> Array:
        require_tokens(tokens, self.cfg.vocab, "gpt")
        self.check_length(tokens.shape[1])
        x = self.embed(tokens, 0)
        x = self.dropout(x, deterministic=not train)
        for block in self.blocks:
            x = call_block(block, x, remat=self.cfg.remat, train=train)
        return self.logits(x)

    def begin(self, batch: int, length: int) -> Cache:
        """Return an empty cache with room for `length` tokens, at most `context`."""
        self.check_length(length)
        blocks = [block.attention.empty_cache(batch, length) for block in self.blocks]
        return Cache(position=jnp.int32(0), blocks=blocks)

    def decode(self, tokens: Array, cache: Cache) -> tuple[Array, Cache]:
        """Continue with n >= 1 tokens (B, n), in evaluation mode; return their logits (B, n, V) and the new cache.

        Inside jit the caller must stop before the cache is full: see `attention.require_room`.
        """
        require_tokens(tokens, self.cfg.vocab, "gpt")
        require_room(cache.position, tokens.shape[1], cache.blocks[0].keys.shape[1])
        x = self.embed(tokens, cache.position)
        blocks = []
        for block, keys_values in zip(self.blocks, cache.blocks, strict=True):
            x, keys_values = block.decode(x, keys_values, cache.position)
            blocks.append(keys_values)
        return self.logits(x), Cache(position=cache.position + tokens.shape[1], blocks=blocks)

    def embed(self, tokens: Array, position: Array | int) -> Array:
        """Add the embeddings of tokens (B, T) and of their positions, the first at `position` -> (B, T, D)."""
        x = self.tokens(tokens)
        positions = position + jnp.arange(tokens.shape[1])[None]  # (1, T)
        return x + self.positions(positions)

    def logits(self, x: Array) -> Array:
        """Return the logits (B, T, V) of the last block's output x (B, T, D)."""
        if self.cfg.norm == "pre":
            x = self.norm(x)
        return self.head(x, self.tokens.embedding)

    def check_length(self, length: int) -> None:
        """Raise UserError if a text of `length` tokens does not fit the context."""
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


SCALED = (
    "weights normal with deviation 0.02, the last layer of each of N sublayers with 0.02 / sqrt(N); "
    "LayerNorm's epsilon 1e-5."
)
GPT2_INITIAL = f"As in the paper, section 2.3, and the authors' code: {SCALED} Position embeddings have 0.01."


def _gpt2(name: str, *, width: int, depth: int, heads: int, params: int, flops: int, paper_params: int) -> Card:
    """Return the card of a size in Table 2 of the 2019 paper; the vocabulary has 50,257 byte-pair tokens."""
    config = Config(vocab=50_257, context=1024, width=width, depth=depth, heads=heads, position_deviation=0.01)
    return _card(name, config, params=params, flops=flops, paper_params=paper_params, initial_values=GPT2_INITIAL)


def _nanogpt(name: str, config: Config, *, params: int, flops: int) -> Card:
    """Return the card of one of A. Karpathy's nanoGPT presets for the 65 characters of Tiny Shakespeare."""
    differences = (
        "Not in the paper: nanoGPT's size for characters, without biases. GELU is OpenAI's; nanoGPT's is exact."
    )
    return _card(
        name, config, params=params, flops=flops, differences=differences, initial_values=f"As in nanoGPT: {SCALED}"
    )


def _card(
    name: str,
    config: Config,
    *,
    params: int,
    flops: int,
    initial_values: str,
    differences: str = "",
    paper_params: int | None = None,
) -> Card:
    if config.norm == "post":
        year, paper = 2018, GPT1_PAPER
        idea = "A Transformer pre-trained to predict the next token needs only brief fine-tuning for each task."
        parents = {"transformer_base": "the decoder alone"}
    else:
        year, paper = 2019, GPT2_PAPER
        idea = "A large enough language model performs tasks without training for them, from a prompt in plain text."
        parents = {"gpt1": "the same network, with LayerNorm before each sublayer"}
    return Card(
        name=name,
        family="gpt",
        year=year,
        paper=paper,
        idea=idea,
        module=GPT,
        config=config,
        inputs=text(config.context),
        output=(config.context, config.vocab),
        params=params,
        flops=flops,
        differences=differences,
        parents=parents,
        paper_params=paper_params,
        initial_values=initial_values,
    )


CARDS = [
    _card(
        "gpt1",
        Config(vocab=40_478, context=512, width=768, depth=12, heads=12, norm="post"),
        params=116_534_784,
        flops=128_469_958_656,
        initial_values="As in the paper, section 4.1: all weights normal with deviation 0.02; LayerNorm's epsilon is "
        "that of the authors' code.",
    ),
    _nanogpt(
        "gpt_char_mini",
        Config(vocab=65, context=64, width=128, depth=4, heads=4, bias=False, dropout=0.0),
        params=804_096,
        flops=110_116_864,
    ),
    _nanogpt(
        "gpt_char",
        Config(vocab=65, context=256, width=384, depth=6, heads=6, bias=False, dropout=0.2),
        params=10_745_088,
        flops=6_052_577_280,
    ),
    _gpt2(
        "gpt2",
        width=768,
        depth=12,
        heads=12,
        params=124_439_808,
        flops=291_648_307_200,
        paper_params=117_000_000,
    ),
    _gpt2(
        "gpt2_medium",
        width=1024,
        depth=24,
        heads=16,
        params=354_823_168,
        flops=826_951_073_792,
        paper_params=345_000_000,
    ),
    _gpt2(
        "gpt2_large",
        width=1280,
        depth=36,
        heads=20,
        params=774_030_080,
        flops=1_774_570_700_800,
        paper_params=762_000_000,
    ),
    _gpt2(
        "gpt2_xl",
        width=1600,
        depth=48,
        heads=25,
        params=1_557_611_200,
        flops=3_506_703_564_800,
        paper_params=1_542_000_000,
    ),
]
