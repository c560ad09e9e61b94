"""Weights of every kind of run: the size of their inputs, their preparation and their classes, without training one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from PIL import Image

import zoo
from train.commands import predict
from train.commands.predict import read_text
from train.commands.published import open_weights, with_inputs_of_run
from train.config import Classify, Data, Experiment, Model, Optim, QLearning, Text, World
from train.data.decode import pad
from train.data.record import Record
from train.data.text import tokenizers
from train.data.text.encode import Frame, framed
from train.inference import stablehlo
from zoo import UserError
from zoo.weights import Loaded
from zoo.weights.fit import expected_shapes
from zoo.weights.preprocessing import Images
from zoo.weights.preprocessing import Text as TextInputs

VECTOR = {"hidden": (8,), "actions": 3}
LETTERS = "a b c d e f g h i j"
FRAMES = {"channels": (2,), "hidden": (4,), "actions": 3}


def drawn(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    shapes = expected_shapes(model, inputs)
    return unflatten_dict({path: draw.normal(size=s).astype(np.float32) for path, s in shapes.items()}, sep="/")


def loaded(tmp_path: Path, name: str, fields: dict[str, Any], **inputs: Any) -> Loaded:
    """Weights of a model for inputs of these shapes, from a file that does not record the size of images."""
    model = zoo.create(name, **fields)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, drawn(model, inputs))
    return zoo.load_model(name, path)


def experiment(model: str, task: Any, data: Any) -> Experiment:
    return Experiment(model=Model(model), data=data, optim=Optim("sgd", lr=0.1), task=task, steps=4)


def call(path: Path, *inputs: Any) -> Any:
    return jax.export.deserialize(bytearray(path.read_bytes())).call(*inputs)


@pytest.mark.parametrize("dueling", [False, True])
def test_an_agent_of_numbers_is_a_program(dueling: bool, tmp_path: Path) -> None:
    weights = loaded(tmp_path, "dqn_mlp", VECTOR | {"dueling": dueling}, x=((6,), jnp.float32))
    assert stablehlo.write(tmp_path / "m.stablehlo", weights, None) == ("x float32[batch, 6]",)
    x = np.ones((2, 6), np.float32)
    expected = weights.model.apply(weights.variables, x, train=False)
    np.testing.assert_allclose(call(tmp_path / "m.stablehlo", x), expected, rtol=1e-5)


def test_the_run_of_an_agent_knows_its_observations(tmp_path: Path) -> None:
    weights = loaded(tmp_path, "dqn_minatar", FRAMES, x=((10, 10, 4), jnp.float32))
    of_run = with_inputs_of_run(
        weights, experiment("dqn_minatar", QLearning(), World("minatar/asterix", batch=4)), None
    )
    assert of_run.inputs["x"][0] == (10, 10, 4)
    assert stablehlo.write(tmp_path / "m.stablehlo", of_run, None)[0].endswith("[batch, 10, 10, 4]")
    with pytest.raises(UserError, match="is of an agent and describes no images: zoo play lets it act"):
        predict.image_outputs(of_run, Image.new("L", (10, 10)))


@pytest.mark.parametrize("name", ["gan", "dcgan_28"])
def test_a_pair_with_labels_is_a_program(name: str, tmp_path: Path) -> None:
    fields = {"widths": (4,), "latent": 5, "classes": 3} | ({"units": (3,)} if name == "gan" else {})
    inputs = {"z": ((5,), jnp.float32), "labels": ((), jnp.int32)}
    weights = loaded(tmp_path, name, fields, **inputs)
    assert stablehlo.write(tmp_path / "m.stablehlo", weights, None) == ("z float32[batch, 5]", "labels int32[batch]")
    z, labels = np.ones((2, 5), np.float32), np.array([0, 2], np.int32)
    expected = weights.model.apply(weights.variables, z, labels, train=False)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        tuple(call(tmp_path / "m.stablehlo", z, labels)),
        expected,
    )


def test_padded_images_are_prepared_as_training_padded_them(tmp_path: Path) -> None:
    weights = loaded(tmp_path, "mlp", {"widths": (4,)}, x=((12, 12, 1), jnp.float32))
    with pytest.raises(UserError, match="does not record the size of its images"):
        stablehlo.write(tmp_path / "m.stablehlo", weights, None)
    padded = with_inputs_of_run(
        weights, experiment("mlp", Classify(), Data("digits", image_size=12, fit="pad", batch=8)), None
    )
    assert isinstance(padded.preprocessing, Images)
    for shape in ((8, 8), (7, 10), (12, 5)):
        pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
        found = padded.preprocessing(Image.fromarray(pixels))
        mean, std = (np.float32(each) for each in (padded.preprocessing.mean, padded.preprocessing.std))
        np.testing.assert_allclose(found, (pad(pixels[..., None], 12) / np.float32(255) - mean) / std, rtol=1e-5)
    assert padded.labels == tuple("0123456789")
    assert stablehlo.write(tmp_path / "m.stablehlo", padded, None) == ("x float32[batch, 12, 12, 1]",)


def test_a_file_beside_a_run_keeps_what_it_says(tmp_path: Path) -> None:
    """The folder of a run, in which a file of other weights was put."""
    (tmp_path / "config.json").write_text('{"model": {"name": "mlp"}, "steps": 4}')
    model = zoo.create("mlp", widths=(4,), classes=3)
    images = Images((8, 8), mean=(0.1,), std=(0.2,))
    variables = drawn(model, {"x": ((8, 8, 1), jnp.float32)})
    path = zoo.save_weights(tmp_path / "w.npz", model, variables, inputs=images, labels="abc")
    found = open_weights(str(path), None, "auto")
    assert (found.preprocessing, found.labels) == (images, tuple("abc"))


def classifier(tmp_path: Path, length: int | None = None) -> Loaded:
    """A classifier of sentences with a vocabulary of letters beside it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS.split()]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    fields = {"width": 8, "depth": 1, "heads": 2, "context": 12, "vocab": len(words)}
    model = zoo.create("bert_tiny", head="classify", classes=2, **fields)
    variables = drawn(model, {"tokens": ((1,), jnp.int32)})
    inputs = TextInputs(length=length)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, inputs=inputs, labels=["bad", "good"])
    return zoo.load_model("bert_tiny", path)


def test_a_text_is_read_as_far_as_training_read_it(tmp_path: Path) -> None:
    weights = classifier(tmp_path, length=6)
    ids = [2, 5, 6, 7, 8, 3]  # [CLS] a b c d [SEP]
    logits = weights.model.apply(weights.variables, jnp.array([ids]), train=False)[0]
    found = {name: p for p, name in read_text(weights, LETTERS, 2)}
    np.testing.assert_allclose([found["bad"], found["good"]], jax.nn.softmax(logits), rtol=1e-4)
    to_its_end = {name: p for p, name in read_text(classifier(tmp_path), LETTERS, 2)}
    assert abs(to_its_end["bad"] - found["bad"]) > 1e-3


def test_a_text_without_a_known_character_is_one_line(tmp_path: Path) -> None:
    tokenizer = tokenizers.learn("char", ["abc"], 30, specials=False)
    model = zoo.create("gpt_char_mini", width=8, depth=1, heads=2, context=8, vocab=tokenizers.vocab_size(tokenizer))
    path = zoo.save_weights(tmp_path / "w.safetensors", model, drawn(model, {"tokens": ((1,), jnp.int32)}))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="nothing of the text 'XYZ' is in the vocabulary"):
        read_text(zoo.load_model("gpt_char_mini", path), "XYZ", 3)


def test_the_run_of_sentences_has_its_length_and_the_names_of_its_classes(tmp_path: Path) -> None:
    of_run = experiment("bert_tiny", Classify(), Text("tsv:gone.tsv", batch=8, length=6, lower=True))
    weights = classifier(tmp_path)
    found = with_inputs_of_run(weights, of_run, Record("tsv:gone.tsv", "", ("bad", "fine"), {}))
    assert (found.preprocessing, found.labels) == (TextInputs(lower=True, length=6), ("bad", "fine"))
    assert with_inputs_of_run(weights, of_run, None).labels is None  # a run of before there were records


def test_a_text_is_framed_as_its_row_in_training() -> None:
    around = Frame(101, 102)
    assert framed([1, 2, 3], around, 9) == [101, 1, 2, 3, 102]
    assert framed([1, 2, 3, 4, 5], around, 5) == [101, 1, 2, 3, 102]
    assert framed([1, 2, 3, 4, 102, 5], around, 8) == [101, 1, 2, 3, 4, 102, 5, 102]
    assert framed([1, 2, 3, 4, 102, 5, 6], around, 7) == [101, 1, 2, 102, 5, 6, 102]
    assert framed([1, 2, 3, 4], Frame(None, 9), 3) == [1, 2, 9]
