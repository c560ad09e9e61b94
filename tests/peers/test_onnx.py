"""Models of every family as ONNX files: onnxruntime computes what the model computes, for any batch size."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

import zoo
from train.inference import onnx
from zoo import UserError
from zoo.weights import Loaded
from zoo.weights.fit import expected_shapes
from zoo.weights.preprocessing import Images

pytest.importorskip("jax2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

BLOCKS = {"width": 16, "depth": 1, "heads": 2}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "perceptron": ("perceptron", {}),
    "mlp": ("mlp", {"widths": (8,)}),
    "lecun1989": ("lecun1989", {}),
    "lenet": ("lenet5", {}),
    "alexnet": ("alexnet_cifar", {}),
    "vgg": ("vgg_mini", {"widths": (4, 8, 8), "hidden": 8}),
    "unet": ("unet_mini", {"width": 4}),
    "fcn": ("fcn_mini", {"widths": (4, 4, 4), "hidden": 4}),
    "resnet": ("resnet20", {"depths": (1, 1), "widths": (4, 8)}),
    "vit": ("vit_mini_patch8", BLOCKS),
    "simclr": ("simclr_resnet20", {}),
    "bert": ("bert_mini", {**BLOCKS, "vocab": 11}),
    "gpt": ("gpt2", {**BLOCKS, "vocab": 11}),
    "lstm": ("lstm_char", {"width": 8}),
    "transformer": ("transformer_mini", {**BLOCKS, "hidden": 24, "vocab": 11}),
    "seq2seq": ("seq2seq_mini", {"embed": 8, "width": 8, "vocab": 11, "source_vocab": 12}),
    "gan": ("gan", {"latent": 5, "widths": (8,), "units": (4,), "classes": 3}),
    "dcgan": ("dcgan_28", {"latent": 5, "widths": (8, 4)}),
    "dqn": ("dqn_nature", {"channels": (4, 4, 4), "hidden": (8,)}),
    "dqn-dueling": ("dqn_mlp", {"hidden": (8,), "dueling": True}),
}


def loaded(name: str, fields: dict[str, Any], **more: Any) -> Loaded:
    """A model with random weights."""
    model = zoo.create(name, **fields)
    inputs = zoo.card(name).inputs_of(model.cfg)
    draw = np.random.default_rng(0)
    arrays = {path: 0.3 * draw.normal(size=s).astype(np.float32) for path, s in expected_shapes(model, inputs).items()}
    variables = unflatten_dict({path: abs(a) if path.endswith("var") else a for path, a in arrays.items()}, sep="/")
    known = {"layout": "zoo", "source": "here", "preprocessing": None, "labels": None, "passed_over": ()}
    return Loaded(model=model, variables=variables, name=name, **(known | {"inputs": inputs, "folder": None} | more))


def drawn(inputs: Any, batch: int) -> list[np.ndarray]:
    draw = np.random.default_rng(7)
    return [
        np.ones((batch, *shape), bool)
        if dtype in (bool, jnp.bool_)
        else (2 * draw.random((batch, *shape))).astype(dtype)
        for shape, dtype in inputs.values()
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_onnxruntime_computes_the_same_for_any_batch(family: str, tmp_path: Path) -> None:
    name, fields = FAMILIES[family]
    weights = loaded(name, fields)
    length = 6 if family in ("bert", "gpt", "lstm") else None
    arguments = onnx.write(tmp_path / "m.onnx", weights, length)
    assert all("[batch" in argument for argument in arguments)
    inputs, evaluate = onnx.forward(weights, length)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert [each.name for each in session.get_inputs()] == list(inputs)
    for batch in (1, 2, 5):
        values = drawn(inputs, batch)
        expected = jax.tree.leaves(jax.jit(evaluate)(*values))
        found = session.run(None, dict(zip(inputs, values, strict=True)))
        for ours, theirs in zip(expected, found, strict=True):
            assert np.abs(ours).max() > 1e-6
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5 * float(np.abs(ours).max()))


def test_the_file_says_how_inputs_are_prepared(tmp_path: Path) -> None:
    images = Images((28, 28), mean=(0.1,), std=(0.2,))
    onnx.write(tmp_path / "m.onnx", loaded("perceptron", {}, preprocessing=images, labels=tuple("0123456789")), None)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["zoo"])
    assert (about["name"], about["labels"]) == ("perceptron", list("0123456789"))
    assert about["preprocessing"]["mean"] == [0.1]
    assert [each.name for each in session.get_outputs()] == ["output"]


def test_a_model_that_the_converter_does_not_know_is_one_line_and_no_file(tmp_path: Path) -> None:
    fields = {"embed": 8, "width": 8, "align": 8, "maxout": 8, "vocab": 11, "source_vocab": 12}
    with pytest.raises(
        UserError, match=r"^seq2seq_attention_mini cannot be written as ONNX, so nothing is: jax2onnx .+"
    ):
        onnx.write(tmp_path / "m.onnx", loaded("seq2seq_attention_mini", fields), None)
    assert not list(tmp_path.iterdir())


def test_a_file_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = loaded("perceptron", {})
    other = onnx._convert(weights, onnx.forward(weights, None))
    monkeypatch.setattr(onnx, "_convert", lambda *_: other)
    weights = loaded("perceptron", {})
    weights.variables["params"] = jax.tree.map(lambda a: 1.01 * a, weights.variables["params"])
    with pytest.raises(UserError, match=r"the outputs of what jax2onnx made differ by 9\.\de-03 of the largest"):
        onnx.write(tmp_path / "m.onnx", weights, None)
    assert not list(tmp_path.iterdir())
