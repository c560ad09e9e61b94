"""The peers are the same models: parameters, FLOPs, and some of them number by number. Needs the extra `peers`.

Every way of PyTorch that is timed computes the same step.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_dqn  # noqa: E402
import torch_images  # noqa: E402
import torch_pairs  # noqa: E402
import torch_text  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import zoo  # noqa: E402
from train.algorithms import losses  # noqa: E402
from train.studies.bench import FAMILIES, LINE, peers, workloads  # noqa: E402

training_steps = peers.load()
PEERS = {*torch_images.MODELS, *torch_text.MODELS, *torch_pairs.MODELS, *torch_dqn.NETWORKS}
CONVOLVE = {
    *("lenet5", "alexnet_cifar", "vgg_mini", "resnet20", "resnet18", "vit_mini_patch4", "simclr_resnet20", "dcgan_28")
}


def test_every_family_and_every_model_of_the_default_line_has_a_peer() -> None:
    assert {*LINE, *FAMILIES} <= PEERS <= set(zoo.CARDS)


@pytest.mark.parametrize("name", sorted(PEERS - {"resnet18"}))
def test_the_ways_of_each_peer(name: str) -> None:
    layout = ["channels_last"] * (name in CONVOLVE)
    assert list(training_steps(name, 2, 8, 1)) == ["eager", *layout, "compile"]


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
    assert parameters(model) == sorted(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    x = torch.zeros(1, channels, height, width)
    assert model(x).shape == (1, classes)
    assert forward_flops(model, x) == card.flops


def parameters(*networks: nn.Module) -> list[int]:
    return sorted(p.numel() for network in networks for p in network.parameters())


@pytest.mark.parametrize("name", torch_pairs.MODELS)
def test_pair_is_the_same_pair(name: str) -> None:
    card = zoo.card(name)
    generator, discriminator = (build() for build in torch_pairs.MODELS[name][:2])
    _, variables = card.shapes()
    assert parameters(generator, discriminator) == sorted(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert torch_pairs.MODELS[name][2] == card.module.RANGE[0]
    rates = {part.p for part in discriminator.modules() if isinstance(part, nn.Dropout)}
    assert rates == ({card.config.input_dropout, card.config.dropout} if name == "gan" else set())
    assert discriminator(generator(torch.zeros(2, 100))).shape == (2,)


def test_dcgan_gives_the_same_images_and_logits_with_the_same_weights() -> None:
    ours = zoo.create("dcgan_28")
    generator, discriminator = (build().eval() for build in torch_pairs.MODELS["dcgan_28"][:2])
    z = np.random.default_rng(0).uniform(-1, 1, (2, 100)).astype(np.float32)
    (images, logits), variables = jax.jit(lambda key, z: ours.init_with_output(key, z, train=False))(
        jax.random.key(0), z
    )
    params = jax.tree.map(np.asarray, variables["params"])
    project = params["generator"]["project"]["kernel"].reshape(100, 7, 7, 128).transpose(0, 3, 1, 2).reshape(100, -1)
    head = params["discriminator"]["head"]["kernel"].reshape(7, 7, 128, 1).transpose(2, 0, 1, 3).reshape(-1, 1)
    norms = {"weight": "scale", "bias": "bias"}
    # A transposed convolution's kernel is rotated: see zoo/transposed.py.
    weights = {
        generator[0]: [project.T],
        generator[2]: [params["generator"]["norm0"][norms[part]] for part in norms],
        generator[4]: [params["generator"]["conv1"]["kernel"][::-1, ::-1].transpose(2, 3, 0, 1)],
        generator[5]: [params["generator"]["norm1"][norms[part]] for part in norms],
        generator[7]: [params["generator"]["conv2"]["kernel"][::-1, ::-1].transpose(2, 3, 0, 1)],
        discriminator[0]: [params["discriminator"]["conv0"]["kernel"].transpose(3, 2, 0, 1)],
        discriminator[2]: [params["discriminator"]["conv1"]["kernel"].transpose(3, 2, 0, 1)],
        discriminator[3]: [params["discriminator"]["norm1"][norms[part]] for part in norms],
        discriminator[6]: [head.T],
    }
    with torch.no_grad():
        for module, arrays in weights.items():
            for parameter, array in zip(module.parameters(), arrays, strict=True):
                parameter.copy_(torch.tensor(np.ascontiguousarray(array)))
        theirs = generator(torch.tensor(z))
        np.testing.assert_allclose(theirs.permute(0, 2, 3, 1).numpy(), images, atol=1e-5)
        np.testing.assert_allclose(discriminator(theirs).numpy(), logits, atol=1e-5)


def test_contrastive_loss_is_ours() -> None:
    projections = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    loss, _ = losses.nt_xent(jnp.asarray(projections[::2]), jnp.asarray(projections[1::2]), 0.5)
    theirs = torch_images.nt_xent(torch.tensor(projections), 0.5)
    np.testing.assert_allclose(theirs.item(), loss.mean(), rtol=1e-5)


def test_the_agents_network_is_that_of_the_card() -> None:
    for name, hidden in torch_dqn.NETWORKS.items():
        card = zoo.card(name)
        _, variables = card.shapes()
        assert card.config.hidden == hidden
        ours = sorted(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        assert parameters(torch_dqn.network(hidden)) == ours


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


def run(name: str, way: str, steps: int, length: int | None = None, batch: int = 2) -> list[list[float]]:
    """The losses of so many steps from the same weights, batch and noise."""
    torch.manual_seed(0)
    step = training_steps(name, batch, length, 1)[way]()
    return [[float(loss) for loss in step()] for _ in range(steps)]


@pytest.mark.parametrize(
    ("name", "length"),
    [
        *[(name, None) for name in ("perceptron", "mlp", "lenet5", "vit_mini_patch4")],
        *[("gpt_char_mini", 8), ("lstm_char", 8)],
    ],
)
def test_steps_learn_their_batch(name: str, length: int | None) -> None:
    falling = [loss for (loss,) in run(name, "eager", 10, length)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(
    ("name", "length"),
    [
        # Momentum overshoots, batch normalization and dropout disturb: not each loss is below the one before it.
        *[(name, None) for name in ("alexnet_cifar", "vgg_mini", "resnet20", "simclr_resnet20")],
        *[(name, 8) for name in ("seq2seq_mini", "seq2seq_attention_mini", "transformer_mini", "bert_mini")],
        ("gpt_char", 8),
    ],
)
def test_loss_falls(name: str, length: int | None) -> None:
    falling = [loss for (loss,) in run(name, "eager", 20, length, batch=4)]
    assert np.mean(falling[-5:]) < np.mean(falling[:5])


@pytest.mark.parametrize("name", torch_pairs.MODELS)
def test_each_network_of_a_pair_learns_by_its_own_phase(name: str) -> None:
    torch.manual_seed(0)
    for network, loss_of in torch_pairs.pose(name, 16):
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        falling = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            falling.append(loss.item())
        assert np.mean(falling[-5:]) < np.mean(falling[:5])


@pytest.mark.parametrize("name", torch_pairs.MODELS)
def test_a_step_of_a_pair_moves_both_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = torch_pairs.pose(name, 4)
    monkeypatch.setattr(torch_pairs, "pose", lambda *_: phases)
    before = [[p.detach().clone() for p in network.parameters()] for network, _ in phases]
    training_steps(name, 4, None, 1)["eager"]()()
    for (network, _), old in zip(phases, before, strict=True):
        assert all((a != b).any() for a, b in zip(network.parameters(), old, strict=True))


@pytest.mark.parametrize("name", sorted(CONVOLVE - {"resnet18"}))
def test_channels_last_is_the_same_step(name: str) -> None:
    np.testing.assert_allclose(run(name, "channels_last", 3), run(name, "eager", 3), rtol=2e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler calls what PyTorch deprecates
@pytest.mark.parametrize(("name", "length"), [("lenet5", None), ("lstm_char", 8), ("gpt_char_mini", 8)])
def test_compiled_is_the_same_step(name: str, length: int | None) -> None:
    np.testing.assert_allclose(run(name, "compile", 3, length), run(name, "eager", 3, length), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler calls what PyTorch deprecates
@pytest.mark.parametrize("name", ["dcgan_28", "dqn_mlp"])
def test_a_compiled_pair_and_a_compiled_agent_run(name: str) -> None:
    found = peers.warm_up({"compile": training_steps(name, 2, None, 1)["compile"]})
    assert (list(found.steps), found.failures) == (["compile"], {})
    assert found.compile_seconds is not None


def test_the_agent_of_the_benchmark_stays_in_the_middle_of_the_fall() -> None:
    step = training_steps("dqn_mlp", 2, None, 1)["eager"]()
    agent = step.__closure__[0].cell_contents
    before = [p.detach().clone() for p in agent.learner.parameters()]
    for _ in range(torch_dqn.TARGET_EVERY // torch_dqn.EVERY):
        step()
    assert agent.done == 0
    assert any((a != b).any() for a, b in zip(before, agent.learner.parameters(), strict=True))


@pytest.mark.parametrize("name", ["seq2seq_mini", "seq2seq_attention_mini", "transformer_mini", "bert_mini"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model, loss_of = torch_text.pose(name, 2, 8)
    loss_of().backward()
    assert [part for part, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_other_models_have_no_peer() -> None:
    assert training_steps("resnet152", 2, None, 1) == {}
