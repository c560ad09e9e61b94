"""The layout of AlexNet with one tower in torchvision."""

from zoo.alexnet import OneTower, OneTowerConfig
from zoo.weights.layout import Layout, rows
from zoo.weights.preprocessing import TORCHVISION
from zoo.weights.rules import CONV, Rule, flat_maps, linear


def rules(config: OneTowerConfig) -> list[Rule]:
    """Return the rules: features.0, 3, 6, 8, 10 and classifier.1, 4, 6; classifier.1 reads 256 maps of 6 x 6."""
    found = []
    for i, place in enumerate((0, 3, 6, 8, 10), start=1):
        found += linear(f"params/conv{i}", f"features.{place}", CONV)
    found += linear("params/fc6", "classifier.1", flat_maps(256))
    return found + linear("params/fc7", "classifier.4") + linear("params/head", "classifier.6")


LAYOUTS = [
    Layout(
        "torchvision",
        OneTower,
        rules,
        known_by=("features.0.weight", "features.10.weight", "classifier.1.weight", "classifier.6.weight"),
        infer=rows(classes="classifier.6.weight", hidden="classifier.4.weight"),
        first=("features.0.weight", 1),
        preprocessing=TORCHVISION,
    )
]
