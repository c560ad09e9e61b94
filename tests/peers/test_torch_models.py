"""The peers are the same models: parameters tensor by tensor, FLOPs. Needs the extra `peers`."""

import jax
import pytest

torch = pytest.importorskip("torch")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import zoo  # noqa: E402
from train import peers  # noqa: E402
from train.bench import LINE  # noqa: E402

training_step = peers.load()
MODELS = training_step.__globals__["MODELS"]


def test_every_model_of_the_default_line_has_a_peer() -> None:
    assert set(LINE) <= set(MODELS) <= set(zoo.CARDS)


@pytest.mark.parametrize("name", MODELS)
def test_peer_is_the_same_model(name: str) -> None:
    build, (channels, height, width), classes = MODELS[name]
    card = zoo.card(name)
    assert (card.inputs["x"][0], card.output) == ((height, width, channels), (classes,))
    _, variables = card.shapes()
    model = build().eval()
    ours = sorted(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert sorted(p.numel() for p in model.parameters()) == ours
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it cannot count fused kernels
        assert model(torch.zeros(1, channels, height, width)).shape == (1, classes)
    assert counter.get_total_flops() == card.flops


def test_steps_learn_their_batch() -> None:
    assert training_step("resnet152", 2, 1) is None
    step = training_step("perceptron", 2, 1)
    losses = [float(step()) for _ in range(10)]
    assert losses == sorted(losses, reverse=True)
