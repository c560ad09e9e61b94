"""The published text networks that no library has, with exactly their names, in plain PyTorch: the language model of
PyTorch's example word_language_model, and bentrevett/pytorch-seq2seq, chapter 1.
"""

import torch
from torch import Tensor, nn


class RNNModel(nn.Module):
    def __init__(self, vocab: int, width: int, depth: int) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Embedding(vocab, width), nn.Linear(width, vocab)
        self.rnn = nn.LSTM(width, width, depth)

    def forward(self, tokens: Tensor) -> Tensor:
        output, _ = self.rnn(self.encoder(tokens.T))
        return self.decoder(output).transpose(0, 1)


class Encoder(nn.Module):
    def __init__(self, vocab: int, embed: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(vocab, embed), nn.LSTM(embed, width, depth)


class Decoder(nn.Module):
    def __init__(self, vocab: int, embed: int, width: int, depth: int) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(vocab, embed), nn.LSTM(embed, width, depth)
        self.fc_out = nn.Linear(width, vocab)


class Seq2Seq(nn.Module):
    """That code's data loader turns the source around; here the network does."""

    def __init__(self, source_vocab: int, vocab: int, embed: int, width: int, depth: int) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            Encoder(source_vocab, embed, width, depth),
            Decoder(vocab, embed, width, depth),
        )

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        _, state = self.encoder.rnn(self.encoder.embedding(torch.flip(source, [1]).T))
        output, _ = self.decoder.rnn(self.decoder.embedding(target.T), state)
        return self.decoder.fc_out(output).transpose(0, 1)
