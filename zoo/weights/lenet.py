"""The layout of LeNet-5 in PyTorch's tutorials ("Neural networks", "Training a classifier").

The layers are conv1, conv2, fc1, fc2, fc3, with ReLUs and max pooling. The names do not show activation and pooling, so
the model's own fields decide.
"""

from zoo.lenet import Config, LeNet5
from zoo.weights.layout import Layout, rows
from zoo.weights.rules import CONV, Rule, flat_maps, linear


def rules(config: Config) -> list[Rule]:
    return [
        *linear("params/c1", "conv1", CONV),
        *linear("params/c3", "conv2", CONV),
        *linear("params/c5", "fc1", flat_maps(16)),
        *linear("params/f6", "fc2"),
        *linear("params/head", "fc3"),
    ]


LAYOUTS = [
    Layout(
        "pytorch",
        LeNet5,
        rules,
        known_by=("conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight", "fc3.weight"),
        usual=lambda shapes: {"activation": "relu", "pooling": "max"},
        infer=rows(classes="fc3.weight"),
        first=("conv1.weight", 1),
    )
]
