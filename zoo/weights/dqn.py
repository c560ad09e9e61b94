"""The layouts of DQN in CleanRL and Stable-Baselines3: a Sequential, whose layers are named by their index."""

from collections.abc import Callable, Mapping
from typing import Any

from zoo.dqn import DQN, Config
from zoo.weights.layout import Found, Layout, Shapes
from zoo.weights.rules import CONV, LINEAR, Rule, flat_maps, linear


def _rules(config: Config, place: Callable[[str, int], str]) -> list[Rule]:
    """Return the rules; `place(kind, number)` is the name of a convolution ("conv") or of a linear layer ("linear")."""
    found = []
    for i in range(len(config.channels)):
        found += linear(f"params/conv{i}", place("conv", i), CONV)
    ours = [*(f"params/head/hidden{i}" for i in range(len(config.hidden))), "params/head/out"]
    for i, path in enumerate(ours):
        reads_maps = i == 0 and config.channels
        found += linear(path, place("linear", i), flat_maps(config.channels[-1]) if reads_maps else LINEAR)
    return found


def cleanrl_rules(config: Config) -> list[Rule]:
    """Return the rules: network.0, 2, 4 are convolutions, network.7, 9 are linear.

    The activations and the flattening between them have an index too.
    """
    start = 2 * len(config.channels) + 1 if config.channels else 0
    return _rules(config, lambda kind, i: f"network.{2 * i if kind == 'conv' else start + 2 * i}")


def baselines_rules(config: Config) -> list[Rule]:
    """Return the rules: q_net.features_extractor.cnn.0, 2, 4, .linear.0 and q_net.q_net.0."""

    def place(kind: str, i: int) -> str:
        if kind == "conv":
            return f"q_net.features_extractor.cnn.{2 * i}"
        return "q_net.features_extractor.linear.0" if i == 0 else "q_net.q_net.0"

    return _rules(config, place)


def _infer(last: Callable[[Config], str]) -> Callable[[Shapes, Mapping[str, Any], Config], Found]:
    def infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
        name = f"{last(config)}.weight"
        return {"actions": shapes[name][0]} if name in shapes else {}

    return infer


def _refuses(config: Config) -> str:
    return "its head is not dueling" if config.dueling else ""


def _baselines_refuses(config: Config) -> str:
    if not config.channels or len(config.hidden) != 1:
        return "it has convolutions and one hidden layer"
    return _refuses(config)


def _cleanrl_last(config: Config) -> str:
    return cleanrl_rules(config)[-1].theirs[0].removesuffix(".bias")


HEADS = ("params/head/out", "params/head/advantage/out")  # plain and dueling: an output for each action
LAYOUTS = [
    Layout(
        "cleanrl",
        DQN,
        cleanrl_rules,
        known_by=("network.0.weight", "network.2.weight"),
        infer=_infer(_cleanrl_last),
        refuses=_refuses,
        heads=HEADS,
        first=("network.0.weight", 1),
    ),
    Layout(
        "stable-baselines3",
        DQN,
        baselines_rules,
        known_by=("q_net.features_extractor.cnn.0.weight", "q_net.q_net.0.weight"),
        infer=_infer(lambda config: "q_net.q_net.0"),
        other_heads=("q_net_target.*",),
        refuses=_baselines_refuses,
        heads=HEADS,
        first=("q_net.features_extractor.cnn.0.weight", 1),
    ),
]
