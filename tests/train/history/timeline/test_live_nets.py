"""Networks of the live exhibits: what is packed of them, what is refused, and how they come onto the page."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image
from runs_by_hand import EVIL

import zoo
from train import cli
from train.history.claims import results
from train.history.timeline.live import nets, packing, traces
from train.history.timeline.page import write_page
from zoo.errors import UserError
from zoo.weights import Loaded
from zoo.weights.preprocessing import Images

GREY = Images((28, 28), mean=(0.13,), std=(0.31,))


def loaded(card: str, images: Any = GREY, **fields: Any) -> Loaded:
    """A network with shapes only: zeros in all its arrays."""
    model = zoo.create(card, **fields)
    height, width = images.size if isinstance(images, Images) else (28, 28)
    channels = len(images.mean) if isinstance(images, Images) else 1
    x = jax.ShapeDtypeStruct((1, height, width, channels), np.float32)
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), x)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
    return Loaded(model, variables, card, "zoo", "a test", images, None, (), None, {})


def of_loaded(network: Loaded, name: str = "mine") -> nets.Net:
    return nets.of_loaded(network, name, data="mnist", figure=0.9)


def test_weights_are_met_within_half_a_level() -> None:
    kernel = np.random.default_rng(0).normal(size=(6, 3, 3, 4)).astype(np.float32)
    kernel[2] = 0
    codes, scale = packing.quantize(kernel)
    assert codes.dtype == np.int8
    assert np.abs(codes).max() == packing.LEVELS
    near = np.abs(codes * scale[:, None, None, None] - kernel)
    assert np.all(near <= scale[:, None, None, None] / 2 + 1e-7)
    wide, _ = packing.quantize(np.ones((1001, 100), np.float32))
    assert np.abs(wide).max() == packing.FEW_LEVELS


def test_arrays_are_packed_in_the_order_of_the_layers() -> None:
    net = of_loaded(loaded("mlp", widths=(3,)))
    assert [layer["op"] for layer in net["layers"]] == ["flatten", "dense", "activation", "dense"]
    data = zlib.decompress(base64.b64decode(net["weights"]))
    assert net["floats"] == 2 * (3 + 10)
    assert len(data) == 4 * net["floats"] + 784 * 3 + 3 * 10
    assert net["params"] == 784 * 3 + 3 + 3 * 10 + 10
    assert json.loads(json.dumps(net)) == net


def test_our_own_are_light() -> None:
    own = nets.own_nets()
    assert [net["model"] for net in own[:3]] == ["perceptron", "mlp", "lenet5"]
    assert [net["year"] for net in own] == sorted(net["year"] for net in own)
    sizes = {net["model"]: 3 * len(net["weights"]) // 4 for net in own}
    assert sum(sizes[name] for name in ("perceptron", "mlp", "lenet5")) < 400_000, sizes
    assert [layer["shows"] for layer in own[2]["layers"] if "shows" in layer] == ["C1", "S2", "C3", "S4"]


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (lambda: loaded("mlp", Images((28, 28), mean=(0.5,) * 3, std=(0.5,) * 3)), "28x28x3, and a drawing is 28x28x1"),
        (lambda: loaded("mlp", Images((8, 8), mean=(0.5,), std=(0.5,))), "reads images of 8x8x1"),
        (lambda: loaded("mlp", classes=7), "it has 7 classes, not 10"),
        (lambda: loaded("mlp", widths=(2000,)), "weights, and the page takes 1,000,000"),
        (lambda: loaded("mlp", None), "it reads no images"),
        (lambda: loaded("lecun1989", Images((28, 28), "cut", mean=(0.5,), std=(0.5,))), "computes networks of alexnet"),
    ],
)
def test_what_cannot_be_shown_is_one_line(net: Any, why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        of_loaded(net())
    assert "\n" not in str(error.value)


def test_a_network_is_written_and_read(tmp_path: Path) -> None:
    net = of_loaded(loaded("lenet5"))
    file = nets.write(net, tmp_path)
    assert list(nets.read_all(file.parent)) == [net]
    file.write_text(json.dumps({**net, "classes": ["a"]}))
    with pytest.raises(UserError, match="not a network of zoo exhibit --live"):
        list(nets.read_all(file.parent))
    file.write_text(json.dumps({**net, "input": {**net["input"], "std": "wide"}}))
    with pytest.raises(UserError, match="delete it, or make it again"):
        list(nets.read_all(file.parent))
    assert list(nets.read_all(tmp_path / "nothing")) == []


def test_hostile_names_stay_words_on_the_page(tmp_path: Path) -> None:
    net = {**of_loaded(loaded("perceptron"), EVIL), "classes": [EVIL] * 10}
    text = write_page([], [], tmp_path, nets=[net], cards={"perceptron": zoo.card("perceptron")}).read_text()
    assert "<script>alert" not in text
    assert 'href="#draw-a-digit"' in text  # from the perceptron's room
    assert "draw-a-digit" not in write_page([], [], tmp_path, cards={}).read_text().partition("<script>")[0]


def test_a_run_of_ones_own_joins_the_exhibit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on 28 x 28 images of ten classes is kept with its weights; another one is one line, and nothing is kept."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            (tmp_path / "ten" / split / str(label)).mkdir(parents=True)
            for i in range(4):
                image = draw.integers(0, 256, (28, 28), np.uint8)
                Image.fromarray(image).save(tmp_path / "ten" / split / str(label) / f"{i}.png")
    own = ["digits_mlp", "--data.name", f"folder:{tmp_path / 'ten'}", "--data.batch", "8"]
    for name, options in (("mine", own), ("small", ["digits_mlp"])):
        assert (
            cli.run(["train", *options, "--steps", "2", "--optim.warmup_steps", "1", "--workdir", str(tmp_path / name)])
            == 0
        )
    runs = {name: str(next((tmp_path / name).glob("*/*/config.json")).parent) for name in ("mine", "small")}
    assert cli.run(["exhibit", runs["mine"], "--live", "--into", str(tmp_path / "shown")]) == 0
    (net,) = nets.read_all(tmp_path / "shown" / nets.SUBFOLDER)
    assert (net["model"], net["ours"], net["classes"]) == ("mlp", False, list("0123456789"))
    capsys.readouterr()
    assert cli.run(["exhibit", runs["small"], "--live", "--into", str(tmp_path / "nothing")]) == 2
    assert "reads images of 8x8x1, and a drawing is 28x28x1" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_traces_are_read_or_refused(tmp_path: Path) -> None:
    (recorded,) = traces.read_all(results.EXHIBITS / traces.SUBFOLDER)
    assert recorded.model in zoo.CARDS
    for each in recorded.texts:
        assert all(0 < sum(share for _, share in place) <= 1.003 for place in each.expected)
    file = traces.write(recorded, tmp_path)
    assert list(traces.read_all(file.parent)) == [recorded]
    for damaged in ({"text": "short"}, {"prompt": 99}, {"expected": [[["a", "b"]]]}):
        texts = [{**recorded.facts["texts"][0], **damaged}]
        file.write_text(json.dumps({**recorded.facts, "texts": texts}))
        with pytest.raises(UserError, match="not a trace of tools"):
            list(traces.read_all(file.parent))
