"""LSTMs as torch.nn lays them out, in the networks that most start from: PyTorch's word_language_model, and the encoder
and decoder of bentrevett/pytorch-seq2seq, chapter 1.

torch.nn has the gates in the order input, forget, candidate, output, and two biases whose sum counts; ours are input,
forget, output, candidate with one. Written from here, the second bias is zero.
"""

import numpy as np

from zoo import lstm, seq2seq
from zoo.weights.layout import Layout, rows
from zoo.weights.rules import SAME, Arrays, Rule, Transform, linear, rule


def _exchanged(array: np.ndarray) -> np.ndarray:
    """The last two of four gates, along the first axis, change places."""
    i, f, third, fourth = np.split(array, 4)
    return np.concatenate([i, f, fourth, third])


def _read_bias(parts: Arrays) -> np.ndarray:
    return _exchanged(parts[0] + parts[1])


GATES = Transform(lambda parts: _exchanged(parts[0]).T, lambda ours: [_exchanged(ours.T)])
BIASES = Transform(_read_bias, lambda ours: [_exchanged(ours), np.zeros_like(ours)])


def lstm_rules(ours: str, theirs: str, depth: int) -> list[Rule]:
    """A stack of layers: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..."""
    found = []
    for i in range(depth):
        found += [
            rule(f"{ours}/layer{i}/input/kernel", f"{theirs}.weight_ih_l{i}", GATES),
            rule(f"{ours}/layer{i}/input/bias", [f"{theirs}.bias_ih_l{i}", f"{theirs}.bias_hh_l{i}"], BIASES),
            rule(f"{ours}/layer{i}/recurrent", f"{theirs}.weight_hh_l{i}", GATES),
        ]
    return found


def language_model_rules(config: lstm.Config) -> list[Rule]:
    return [
        rule("params/embed/embedding", "encoder.weight", SAME),
        *lstm_rules("params/layers", "rnn", config.depth),
        *linear("params/head", "decoder"),
    ]


def seq2seq_rules(config: seq2seq.Config) -> list[Rule]:
    return [
        rule("params/source_embed/embedding", "encoder.embedding.weight", SAME),
        rule("params/target_embed/embedding", "decoder.embedding.weight", SAME),
        *lstm_rules("params/encoder", "encoder.rnn", config.depth),
        *lstm_rules("params/decoder", "decoder.rnn", config.depth),
        *linear("params/head", "decoder.fc_out"),
    ]


LAYOUTS = [
    Layout(
        "pytorch",
        lstm.LanguageModel,
        language_model_rules,
        known_by=("encoder.weight", "rnn.weight_ih_l0", "rnn.bias_hh_l0", "decoder.weight"),
        infer=rows(vocab="encoder.weight"),
    ),
    Layout(
        "pytorch",
        seq2seq.Seq2Seq,
        seq2seq_rules,
        known_by=("encoder.embedding.weight", "encoder.rnn.weight_ih_l0", "decoder.fc_out.weight"),
        infer=rows(source_vocab="encoder.embedding.weight", vocab="decoder.embedding.weight"),
    ),
]
