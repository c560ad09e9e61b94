"""The zoo's models of attention in plain PyTorch, as its users write them, with fused attention."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, **options: object) -> Tensor:
    """q (B, T, D), k and v (B, S, D) -> (B, T, D)."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, **options).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Self-attention x (B, T, D) -> (B, T, D). mask (B, S) is True on real tokens."""

    def __init__(self, width: int, heads: int, causal: bool = False, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)
        self.heads, self.causal, self.dropout = heads, causal, dropout

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        options = {"is_causal": self.causal, "dropout_p": self.dropout if self.training else 0.0}
        mask = None if mask is None else mask[:, None, None]
        return self.out(attend(*self.qkv(x).chunk(3, 2), self.heads, attn_mask=mask, **options))


class CrossAttention(nn.Module):
    """x (B, T, D) reads memory (B, S, D) where mask (B, S) is True -> (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return self.out(attend(self.q(x), *self.kv(memory).chunk(2, 2), self.heads, attn_mask=mask[:, None, None]))


class MLP(nn.Module):
    def __init__(self, width: int, hidden: int, activation: Activation, bias: bool = True) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden, bias=bias), nn.Linear(hidden, width, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class EncoderBlock(nn.Module):
    """x (B, T, D) -> (B, T, D), LayerNorm after each sum: a block of the Transformer's encoder, and of BERT."""

    def __init__(
        self, width: int, heads: int, hidden: int, activation: Activation, eps: float, drop: float, weight_drop: float
    ) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout=weight_drop)
        self.mlp = MLP(width, hidden, activation)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))


class DecoderBlock(nn.Module):
    """x (B, T, D), memory (B, S, D), its mask (B, S) -> (B, T, D): a block of the Transformer's decoder."""

    def __init__(self, width: int, heads: int, hidden: int, eps: float, drop: float) -> None:
        super().__init__()
        self.attention, self.cross = Attention(width, heads, causal=True), CrossAttention(width, heads)
        self.mlp = MLP(width, hidden, F.relu)
        self.attention_norm, self.cross_norm, self.mlp_norm = (nn.LayerNorm(width, eps=eps) for _ in range(3))
        self.dropout = nn.Dropout(drop)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        x = self.cross_norm(x + self.dropout(self.cross(x, memory, mask)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))


class Transformer(nn.Module):
    """source (B, S), its mask (B, S), target (B, T) -> logits (B, T, V); one table for all tokens, fixed positions."""

    def __init__(
        self, vocab: int, width: int, depth: int, heads: int, hidden: int, dropout: float, longest: int = 5000
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        nn.init.normal_(self.tokens.weight, std=width**-0.5)
        eps, angle = 1e-6, torch.arange(longest)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
        self.register_buffer("positions", torch.stack([angle.sin(), angle.cos()], 2).flatten(1))
        self.encoder = nn.ModuleList(
            EncoderBlock(width, heads, hidden, F.relu, eps, dropout, 0.0) for _ in range(depth)
        )
        self.decoder = nn.ModuleList(DecoderBlock(width, heads, hidden, eps, dropout) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        memory, x = self.embed(source), self.embed(target)
        for block in self.encoder:
            memory = block(memory, source_mask)
        for block in self.decoder:
            x = block(x, memory, source_mask)
        return F.linear(x, self.tokens.weight)

    def embed(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens)
        return self.dropout(x * math.sqrt(x.shape[2]) + self.positions[: x.shape[1]])


class GPTBlock(nn.Module):
    """x (B, T, D) -> (B, T, D), LayerNorm before each sublayer, no biases."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, causal=True, bias=False, dropout=dropout)
        self.mlp = MLP(width, 4 * width, nn.GELU(approximate="tanh"), bias=False)
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class GPT(nn.Module):
    """tokens (B, T) -> logits (B, T, V); nanoGPT with the GELU of GPT-2, without biases."""

    def __init__(self, vocab: int, context: int, width: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(GPTBlock(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.apply(small_weights)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


class BERT(nn.Module):
    """tokens, mask, segments (B, T), positions (B, M) -> logits of masked tokens (B, M, V), of "B follows A" (B, 2)."""

    def __init__(
        self, width: int, depth: int, heads: int, vocab: int = 30_522, context: int = 512, dropout: float = 0.1
    ) -> None:
        super().__init__()
        eps = 1e-12
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.segments = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(width, heads, 4 * width, F.gelu, eps, dropout, dropout) for _ in range(depth)
        )
        self.pooler, self.next = nn.Linear(width, width), nn.Linear(width, 2)
        self.transform, self.transform_norm = nn.Linear(width, width), nn.LayerNorm(width, eps=eps)
        self.logits_bias = nn.Parameter(torch.zeros(vocab))
        self.apply(small_weights)

    def forward(self, tokens: Tensor, mask: Tensor, segments: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(tokens.shape[1])
        x = self.dropout(self.norm(self.tokens(tokens) + self.positions(places) + self.segments(segments)))
        for block in self.blocks:
            x = block(x, mask)
        guessed = x.gather(1, positions[..., None].expand(-1, -1, x.shape[2]))  # (B, M, D)
        guessed = self.transform_norm(F.gelu(self.transform(guessed)))
        related = self.next(torch.tanh(self.pooler(x[:, 0])))
        return F.linear(guessed, self.tokens.weight, self.logits_bias), related


def small_weights(module: nn.Module) -> None:
    """As GPT-2 and BERT begin: a table that also gives the logits must be small."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
