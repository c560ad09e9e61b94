"""The peers are the same models: parameters, FLOPs, and one of them number by number. Needs the extra `peers`."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_images  # noqa: E402
import torch_text  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import zoo  # noqa: E402
from train.studies.bench import peers, workloads  # noqa: E402
from train.studies.bench.steps import LINE  # noqa: E402

training_step = peers.load()


def test_every_model_of_the_default_line_has_a_peer() -> None:
    assert set(LINE) <= set(torch_images.MODELS) | set(torch_text.MODELS) <= set(zoo.CARDS)


@pytest.fixture
def unfused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PyTorch counts the FLOPs of neither its fused attention nor oneDNN's LSTM."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with sdpa_kernel(SDPBackend.MATH):
        yield


def forward_flops(model: nn.Module, *inputs: torch.Tensor, **named: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        model(*inputs, **named)
    return counter.get_total_flops()


@pytest.mark.usefixtures("unfused")
@pytest.mark.parametrize("name", torch_images.MODELS)
def test_image_peer_is_the_same_model(name: str) -> None:
    build, (channels, height, width), classes = torch_images.MODELS[name]
    card = zoo.card(name)
    assert (card.inputs["x"][0], card.output) == ((height, width, channels), (classes,))
    _, variables = card.shapes()
    model = build().eval()
    ours = sorted(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert sorted(p.numel() for p in model.parameters()) == ours
    x = torch.zeros(1, channels, height, width)
    assert model(x).shape == (1, classes)
    assert forward_flops(model, x) == card.flops


@pytest.mark.usefixtures("unfused")
@pytest.mark.parametrize("name", torch_text.MODELS)
def test_text_peer_is_the_same_model(name: str) -> None:
    card, length = zoo.card(name), 16
    build, draw, vocab = torch_text.MODELS[name]
    task, data = workloads.training(card, 1, length)
    model = build().eval()
    # The second bias of a recurrent gate is PyTorch's own.
    theirs = [p.numel() for part, p in model.named_parameters() if "bias_hh" not in part]
    ours = [leaf.size for leaf in jax.tree.leaves(jax.eval_shape(task.init, jax.random.key(0)).params)]
    assert (sum(theirs), vocab) == (sum(ours), card.config.vocab)
    inputs, _ = draw(vocab, 1, length)
    assert forward_flops(model, **inputs) == workloads.forward_flops(task, data)


def test_dropout_is_that_of_the_card() -> None:
    for name, (build, *_) in torch_text.MODELS.items():
        rates = {part.p for part in build().modules() if isinstance(part, nn.Dropout)}
        assert rates == {zoo.card(name).config.dropout} or (name, rates) == ("lstm_char", set())


def test_gpt_gives_the_same_logits_with_the_same_weights() -> None:
    ours, theirs = zoo.create("gpt_char_mini"), torch_text.MODELS["gpt_char_mini"][0]().eval()
    tokens = np.random.default_rng(0).integers(65, size=(2, 64))
    logits, variables = jax.jit(lambda key, x: ours.init_with_output(key, x, train=False))(jax.random.key(0), tokens)
    weights = {}
    for path, leaf in jax.tree.leaves_with_path(variables["params"]):
        *parts, kind = (key.key for key in path)
        name = ".".join(part.replace("block", "blocks.") for part in parts)
        weights[f"{name}.weight"] = torch.tensor(np.asarray(leaf.T if kind == "kernel" else leaf))
    theirs.load_state_dict(weights)
    with torch.no_grad():
        np.testing.assert_allclose(theirs(torch.tensor(tokens)).numpy(), logits, atol=1e-4)


@pytest.mark.parametrize(("name", "length"), [("perceptron", None), ("gpt_char_mini", 8), ("lstm_char", 8)])
def test_steps_learn_their_batch(name: str, length: int | None) -> None:
    step = training_step(name, 2, length, 1)
    losses = [float(step()) for _ in range(10)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", ["seq2seq_mini", "seq2seq_attention_mini", "transformer_mini", "bert_mini"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model, loss_of = torch_text.pose(name, 2, 8)
    loss_of().backward()
    assert [part for part, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_other_models_have_no_peer() -> None:
    assert training_step("resnet152", 2, None, 1) is None
