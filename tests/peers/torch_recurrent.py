"""The zoo's recurrent text models in plain PyTorch, as its users write them: fused nn.LSTM and nn.GRU, and a loop
in Python where a decoder attends at each step.

PyTorch has two biases for a gate (cuDNN's layout), of which the zoo has one; its GRU resets after the product, the
zoo's before it. The benchmark's texts have no padding: encoders, which would need packed sequences for it, ignore it.
"""

import torch
from torch import Tensor, nn


class LSTMLanguageModel(nn.Module):
    """tokens (B, T) -> logits (B, T, V)."""

    def __init__(self, vocab: int, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.lstm = nn.LSTM(width, width, depth, batch_first=True)
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        x, _ = self.lstm(self.embed(tokens))
        return self.head(x)


class Seq2Seq(nn.Module):
    """source (B, S), its mask, target (B, T) -> logits (B, T, V); the source is read backwards."""

    def __init__(self, source_vocab: int, vocab: int, embed: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.source_embed, self.target_embed = nn.Embedding(source_vocab, embed), nn.Embedding(vocab, embed)
        self.encoder = nn.LSTM(embed, width, depth, batch_first=True, dropout=dropout)
        self.decoder = nn.LSTM(embed, width, depth, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, vocab)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        _, state = self.encoder(self.dropout(self.source_embed(source.flip(1))))
        x, _ = self.decoder(self.dropout(self.target_embed(target)), state)
        return self.head(x)


class AttentionSeq2Seq(nn.Module):
    """source (B, S), its mask (B, S), target (B, T) -> logits (B, T, V), each from a look at the source."""

    def __init__(
        self, source_vocab: int, vocab: int, embed: int, width: int, align: int, maxout: int, dropout: float
    ) -> None:
        super().__init__()
        self.source_embed, self.target_embed = nn.Embedding(source_vocab, embed), nn.Embedding(vocab, embed)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.GRU(embed, width, batch_first=True, bidirectional=True)
        self.initial = nn.Linear(width, width)
        self.keys = nn.Linear(2 * width, align)
        self.query = nn.Linear(width, align, bias=False)
        self.score = nn.Linear(align, 1, bias=False)
        self.decoder = nn.GRUCell(embed + 2 * width, width)
        self.readout = nn.Linear(3 * width + embed, 2 * maxout)
        self.head = nn.Linear(maxout, vocab)

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        annotations, last = self.encoder(self.dropout(self.source_embed(source)))
        keys, state = self.keys(annotations), torch.tanh(self.initial(last[1]))
        embedded = self.dropout(self.target_embed(target))
        read = []
        for e in embedded.unbind(1):
            energy = self.score(torch.tanh(self.query(state)[:, None] + keys)).squeeze(2)  # (B, S)
            weights = energy.masked_fill(~source_mask, -torch.inf).softmax(1)
            context = torch.bmm(weights[:, None], annotations).squeeze(1)
            read.append(torch.cat([state, e, context], 1))
            state = self.decoder(torch.cat([e, context], 1), state)
        t = self.readout(torch.stack(read, 1))
        return self.head(t.unflatten(2, (-1, 2)).amax(3))
