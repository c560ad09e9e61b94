"""The layouts of LSTM and GRU in torch.nn, in the networks that most people start from: PyTorch's word_language_model,
the encoder and decoder of bentrevett/pytorch-seq2seq, chapter 1, and Bahdanau's network with nn.GRU and nn.GRUCell and
the names of tests/peers/torch_recurrent.py.

torch.nn.LSTM orders the gates input, forget, candidate, output, and adds two biases; ours are input, forget, output,
candidate. With `two_biases` we have both, and what was read is written again to the bit. Without it the two are added
when a file is read, and the second is zero in a file that we write. torch.nn.GRU's update gate is 1 minus ours, so
the parameters of that gate have the opposite sign.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo import lstm, seq2seq, seq2seq_attention
from zoo.weights.layout import Found, Layout, Shapes, first_axis, rows
from zoo.weights.rules import LINEAR, ONE_ROW, SAME, Arrays, Rule, Split, Transform, linear, rule


def _exchanged(array: np.ndarray) -> np.ndarray:
    """Swap the last two of four gates along the first axis."""
    i, f, third, fourth = np.split(array, 4)
    return np.concatenate([i, f, fourth, third])


def _read_bias(parts: Arrays) -> np.ndarray:
    return _exchanged(parts[0] + parts[1])


GATES = Transform(lambda parts: _exchanged(parts[0]).T, lambda ours: [_exchanged(ours.T)])
BIAS = Transform(lambda parts: _exchanged(parts[0]), lambda ours: [_exchanged(ours)])
BIASES = Transform(_read_bias, lambda ours: [_exchanged(ours), np.zeros_like(ours)])


def lstm_rules(ours: str, theirs: str, depth: int, two_biases: bool) -> list[Rule]:
    """Return the rules of a stack of layers: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..."""
    found = []
    for i in range(depth):
        layer, biases = f"{ours}/layer{i}", [f"{theirs}.bias_ih_l{i}", f"{theirs}.bias_hh_l{i}"]
        found.append(rule(f"{layer}/input/kernel", f"{theirs}.weight_ih_l{i}", GATES))
        if two_biases:
            found.append(rule(f"{layer}/input/bias", biases[0], BIAS))
            found.append(rule(f"{layer}/recurrent_bias", biases[1], BIAS))
        else:
            found.append(rule(f"{layer}/input/bias", biases, BIASES))
        found.append(rule(f"{layer}/recurrent", f"{theirs}.weight_hh_l{i}", GATES))
    return found


def language_model_rules(config: lstm.Config) -> list[Rule]:
    return [
        rule("params/embed/embedding", "encoder.weight", SAME),
        *lstm_rules("params/layers", "rnn", config.depth, config.two_biases),
        *linear("params/head", "decoder"),
    ]


def seq2seq_rules(config: seq2seq.Config) -> list[Rule]:
    return [
        rule("params/source_embed/embedding", "encoder.embedding.weight", SAME),
        rule("params/target_embed/embedding", "decoder.embedding.weight", SAME),
        *lstm_rules("params/encoder", "encoder.rnn", config.depth, config.two_biases),
        *lstm_rules("params/decoder", "decoder.rnn", config.depth, config.two_biases),
        *linear("params/head", "decoder.fc_out"),
    ]


def _other_sign(array: np.ndarray) -> np.ndarray:
    """Negate the second of three gates along the last axis: sigmoid(-x) = 1 - sigmoid(x)."""
    r, z, n = np.split(array, 3, axis=-1)
    return np.concatenate([r, -z, n], axis=-1)


GRU_GATES = Transform(lambda parts: _other_sign(parts[0].T), lambda ours: [_other_sign(ours).T])
GRU_BIAS = Transform(lambda parts: _other_sign(parts[0]), lambda ours: [_other_sign(ours)])


def gru_rules(ours: str, theirs: str, ending: str) -> list[Rule]:
    """Return the rules of a layer: weight_ih, weight_hh, bias_ih, bias_hh, with an ending such as "_l0_reverse"."""
    return [
        rule(f"{ours}/input/kernel", f"{theirs}.weight_ih{ending}", GRU_GATES),
        rule(f"{ours}/input/bias", f"{theirs}.bias_ih{ending}", GRU_BIAS),
        rule(f"{ours}/recurrent", f"{theirs}.weight_hh{ending}", GRU_GATES),
        rule(f"{ours}/recurrent_bias", f"{theirs}.bias_hh{ending}", GRU_BIAS),
    ]


def attention_rules(config: seq2seq_attention.Config) -> list[Rule]:
    """Return the rules. The decoder's GRUCell has one kernel for word and context together; here each has its own."""

    def read(parts: Arrays) -> Arrays:
        whole = GRU_GATES.read(parts)
        return [whole[: config.embed], whole[config.embed :]]

    both = Split(read, lambda ours: GRU_GATES.write(np.concatenate(ours)))
    decoder = "params/decoder"
    cell = [each for each in gru_rules(decoder, "decoder", "") if each.theirs != ("decoder.weight_ih",)]
    return [
        rule("params/encoder/embed/embedding", "source_embed.weight", SAME),
        rule(f"{decoder}/embed/embedding", "target_embed.weight", SAME),
        *gru_rules("params/encoder/forward", "encoder", "_l0"),
        *gru_rules("params/encoder/backward", "encoder", "_l0_reverse"),
        *linear("params/encoder/initial", "initial"),
        *linear("params/encoder/keys", "keys"),
        Rule((f"{decoder}/input/kernel", f"{decoder}/context"), ("decoder.weight_ih",), both),
        *cell,
        rule(f"{decoder}/query", "query.weight", LINEAR),
        rule(f"{decoder}/score", "score.weight", ONE_ROW),
        *(linear(f"{decoder}/readout", "readout") if config.output == "maxout" else []),
        *linear(f"{decoder}/head", "head"),
    ]


def _infer_attention(shapes: Shapes, content: Mapping[str, Any], config: seq2seq_attention.Config) -> Found:
    found = first_axis(shapes, source_vocab="source_embed.weight", vocab="target_embed.weight")
    return {**found, "output": "maxout" if "readout.weight" in shapes else "plain"}


LAYOUTS = [
    Layout(
        "pytorch",
        seq2seq_attention.AttentionSeq2Seq,
        attention_rules,
        known_by=("source_embed.weight", "encoder.weight_hh_l0_reverse", "decoder.weight_ih", "score.weight"),
        facts=lambda config: {"reset_after": True},
        infer=_infer_attention,
        heads=("params/decoder/head",),
    ),
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
