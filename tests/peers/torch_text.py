"""The zoo's small text models in plain PyTorch, and what each is trained on: random text without padding."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_attention import BERT, GPT, Transformer
from torch_recurrent import AttentionSeq2Seq, LSTMLanguageModel, Seq2Seq


def language(vocab: int, batch: int, length: int) -> tuple[dict[str, Tensor], Callable[[Tensor], Tensor]]:
    """The model's arguments, and the loss of its output: each token from those before it."""
    text = torch.randint(vocab, (batch, length + 1))
    return {"tokens": text[:, :-1]}, lambda logits: token_cross_entropy(logits, text[:, 1:])


def translate(vocab: int, batch: int, length: int) -> tuple[dict[str, Tensor], Callable[[Tensor], Tensor]]:
    """Each token of the target from the source and the target before it."""
    source, target = torch.randint(4, vocab, (batch, length)), torch.randint(4, vocab, (batch, length + 1))
    inputs = {"source": source, "source_mask": source != 0, "target": target[:, :-1]}
    return inputs, lambda logits: token_cross_entropy(logits, target[:, 1:], padding=0)


def masked(vocab: int, batch: int, length: int) -> tuple[dict[str, Tensor], Callable[[tuple[Tensor, Tensor]], Tensor]]:
    """15 % of the tokens, and whether the second half follows the first. The zoo draws which inside its step; here
    they are drawn once, as by a data loader.
    """
    tokens, segments = torch.randint(4, vocab, (batch, length)), (torch.arange(length) > length // 2).long()
    guesses = max(1, round(0.15 * (length - 3)))
    positions = torch.rand(batch, length).topk(guesses).indices
    follows, hidden = torch.randint(2, (batch,)), tokens.gather(1, positions)
    shown = tokens.scatter(1, positions, 3)
    inputs = {"tokens": shown, "mask": shown != 0, "segments": segments.expand(batch, -1), "positions": positions}

    def loss_of(output: tuple[Tensor, Tensor]) -> Tensor:
        guessed, related = output
        return token_cross_entropy(guessed, hidden) + F.cross_entropy(related, follows)

    return inputs, loss_of


def token_cross_entropy(logits: Tensor, tokens: Tensor, padding: int = -100) -> Tensor:
    """Mean over tokens (B, T) other than `padding`, of logits (B, T, V)."""
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=padding)


MODELS = {  # builder, what it is trained on, vocabulary
    "lstm_char": (partial(LSTMLanguageModel, 65, 220, 2), language, 65),
    "seq2seq_mini": (partial(Seq2Seq, 10_000, 10_000, 256, 512, 2, dropout=0.5), translate, 10_000),
    "seq2seq_attention_mini": (
        partial(AttentionSeq2Seq, 10_000, 10_000, 256, 512, 512, 256, dropout=0.5),
        translate,
        10_000,
    ),
    "transformer_mini": (partial(Transformer, 10_000, 256, 3, 8, 512, dropout=0.1), translate, 10_000),
    "bert_mini": (partial(BERT, 256, 4, 4), masked, 30_522),
    "gpt_char_mini": (partial(GPT, 65, 64, 128, 4, 4, dropout=0.0), language, 65),
    "gpt_char": (partial(GPT, 65, 256, 384, 6, 6, dropout=0.2), language, 65),
}


def pose(name: str, batch: int, length: int) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The model, and its loss on one random batch."""
    build, draw, vocab = MODELS[name]
    model = build()
    inputs, loss_of = draw(vocab, batch, length)
    return model, lambda: loss_of(model(**inputs))
