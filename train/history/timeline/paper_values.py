"""Published values: what was printed elsewhere of the same architecture on the same data, by our config."""

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
    """One published figure."""

    metric: str
    value: float
    source: str  # who gives it, and in what it differs from our config


PUBLISHED: Mapping[str, Published] = {
    "mnist_perceptron": Published("accuracy", 0.880, "LeCun et al. 1998, section III.C: a linear classifier"),
    "mnist_lenet5": Published("accuracy", 0.992, "LeCun et al. 1998, section III.B: with distorted training images"),
    "multi30k_seq2seq": Published("bleu", 13.76, "pytorch-seq2seq, its table: LSTMs"),
    "multi30k_seq2seq_attention": Published("bleu", 28.30, "pytorch-seq2seq, its table: attention"),
    "multi30k_transformer": Published("bleu", 36.52, "pytorch-seq2seq, its table: 9.0 million parameters"),
}
"""Config -> the figure."""


def published(config: str, metric: str) -> Published | None:
    """Return the published figure of a config by a metric, or None."""
    found = PUBLISHED.get(config)
    return found if found and found.metric == metric else None
