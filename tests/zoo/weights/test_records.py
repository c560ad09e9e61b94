"""What a file says of itself comes first: its network, its preparation of inputs and its classes, in every format."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny import VIT, network, variables_of

import zoo
from zoo import UserError
from zoo.weights.fit import expected_shapes
from zoo.weights.preprocessing import Images, Text
from zoo.weights.processors import from_hugging_face, to_hugging_face

TINY_RESNET = {"depths": (1, 1, 1), "widths": (4, 4, 4)}
IMAGES = Images((8, 8), mean=(0.1,), std=(0.2,))


def same(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def drawn(model: Any, **inputs: Any) -> dict[str, Any]:
    """Random variables of `model` for inputs of these shapes."""
    shapes = expected_shapes(model, inputs)
    draw = np.random.default_rng(0)
    return unflatten_dict({path: draw.normal(size=s).astype(np.float32) for path, s in shapes.items()}, sep="/")


def with_record(path: Path, **changes: Any) -> Path:
    """Change what a safetensors file records."""
    with safe_open(path, framework="numpy") as file:
        record = json.loads(file.metadata()["zoo"])
    save_file(load_file(path), path, {"zoo": json.dumps(record | changes)})
    return path


def test_tuples_inside_fields_are_lists_in_a_file(tmp_path: Path) -> None:
    fields = {"fields": TINY_RESNET, "widths": (8, 4)}
    model = zoo.create("simclr_resnet20", **fields)
    variables = variables_of(model)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables)
    same(zoo.load_weights(model, path), variables)
    loaded = zoo.load_model("simclr_resnet20", path)
    assert loaded.model == model
    with_dropped_paths = zoo.create("simclr_resnet20", **fields | {"fields": {**TINY_RESNET, "drop_path": 0.5}})
    same(zoo.load_weights(with_dropped_paths, path), variables)
    deeper = zoo.create("simclr_resnet20", **fields | {"fields": {"depths": (2, 1, 1), "widths": (4, 4, 4)}})
    with pytest.raises(UserError, match=r"has fields=.*make the model with") as caught:
        zoo.load_weights(deeper, path)
    assert "\n" not in str(caught.value)


def test_what_lies_beside_a_file_does_not_overrule_it(tmp_path: Path) -> None:
    model = zoo.create("vit_mini_patch4", **VIT | {"heads": 4, "norm_epsilon": 1e-12})
    variables, labels = variables_of(model), tuple("abcde")
    images = Images((32, 32), mean=(0.1,) * 3, std=(0.2,) * 3)
    path = zoo.save_weights(
        tmp_path / "w.safetensors", model, variables, layout="huggingface", inputs=images, labels=labels
    )
    beside = {"model_type": "vit", "num_attention_heads": 2, "hidden_act": "nonsense", "id2label": {"0": "other"}}
    (tmp_path / "config.json").write_text(json.dumps(beside))
    loaded = zoo.load_model("vit_mini_patch4", path, width=16, depth=2)
    assert (loaded.model.cfg.heads, loaded.labels, loaded.preprocessing) == (4, labels, images)
    save_file(load_file(path), path)  # without its record, the file beside it says what the network is
    (tmp_path / "config.json").write_text(json.dumps(beside | {"hidden_act": "gelu"}))
    loaded = zoo.load_model("vit_mini_patch4", path, width=16, depth=2)
    assert (loaded.model.cfg.heads, loaded.labels) == (2, ("other",))


@pytest.mark.parametrize(
    ("name", "change"),
    [("vit-timm", {"heads": 4}), ("lenet5", {"activation": "tanh"}), ("gpt2", {"norm_epsilon": 0.1})],
)
def test_a_published_layout_refuses_another_network_than_the_file_records(
    name: str, change: dict[str, Any], tmp_path: Path
) -> None:
    card, layout, fields, model, variables = network(name)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    (field,) = change
    for load in (
        lambda: zoo.load_weights(zoo.create(card, **fields | change), path),
        lambda: zoo.load_model(card, path, **fields | change),
    ):
        with pytest.raises(UserError, match=f"{field}={getattr(model.cfg, field)!r}"):
            load()


def test_the_layout_is_the_one_that_the_file_records(tmp_path: Path) -> None:
    *_, model, variables = network("resnet50-torchvision-v1")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout="torchvision-v1")
    loaded = zoo.load_model("resnet50", path, depths=(1, 2), widths=(4, 8))
    assert (loaded.layout, loaded.model) == ("torchvision-v1", model)


def test_an_npz_records_what_a_safetensors_file_does(tmp_path: Path) -> None:
    model = zoo.create("mlp", widths=(4,), activation="sigmoid", classes=3)
    variables = drawn(model, x=((8, 8, 1), jnp.float32))
    path = zoo.save_weights(tmp_path / "w.npz", model, variables, inputs=IMAGES, labels="abc")
    loaded = zoo.load_model("mlp", path)
    assert (loaded.model, loaded.preprocessing, loaded.labels) == (model, IMAGES, tuple("abc"))
    same(loaded.variables, variables)
    with pytest.raises(UserError, match="widths=\\(4,\\) \\(here \\(7,\\)\\)"):
        zoo.load_weights(zoo.create("mlp", widths=(7,), activation="sigmoid", classes=3), path)
    with np.load(path) as plain:  # other readers see the arrays alone
        assert sorted(plain.files) == [
            f"params/{layer}/{part}" for layer in ("head", "hidden0") for part in ("bias", "kernel")
        ]
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"zoo {broken"
    with pytest.raises(UserError, match="its metadata `zoo` is not a JSON object"):
        zoo.load_weights("mlp", path)
    with pytest.raises(UserError, match=r"no room for so many labels: write \.safetensors"):
        zoo.save_weights(tmp_path / "x.npz", model, variables, labels=["label" * 20] * 1000)


def test_only_the_size_of_the_image_is_free(tmp_path: Path) -> None:
    """A file without a record: the first dense layer has any number of rows, and no other array has another shape."""
    model = zoo.create("mlp", widths=(4, 5), classes=3)
    variables = drawn(model, x=((6, 6, 1), jnp.float32))
    flat = {f"params/{layer}/{part}": a for layer, ps in variables["params"].items() for part, a in ps.items()}
    np.savez(tmp_path / "w.npz", **flat)
    same(zoo.load_weights(model, tmp_path / "w.npz"), variables)
    for widths, array in (((7, 5), "params/hidden0/kernel is (36, 4), not (36, 7)"), ((4, 7), "params/hidden1/kernel")):
        with pytest.raises(UserError, match="misshapen") as caught:
            zoo.load_weights(zoo.create("mlp", widths=widths, classes=3), tmp_path / "w.npz")
        assert array in str(caught.value)


def test_npz_holds_bfloat16(tmp_path: Path) -> None:
    model = zoo.create("mlp", widths=(4,), classes=3)
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, "bfloat16"), variables_of(model))
    path = zoo.save_weights(tmp_path / "w.npz", model, variables)
    same(zoo.load_weights(model, path, dtype="bfloat16"), variables)


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("extension", [".safetensors", ".npz"])
def test_an_agent_has_the_actions_and_observations_of_its_arrays(extension: str, dueling: bool, tmp_path: Path) -> None:
    model = zoo.create("dqn_mlp", hidden=(8,), actions=3, dueling=dueling)
    variables = drawn(model, x=((6,), jnp.float32))
    path = zoo.save_weights(tmp_path / f"w{extension}", model, variables)
    if extension == ".npz":  # nothing but its arrays
        np.savez(path, **dict(np.load(path)))
    loaded = zoo.load_model("dqn_mlp", path, hidden=(8,), dueling=dueling)
    assert (loaded.model, loaded.inputs["x"][0]) == (model, (6,))
    same(loaded.variables, variables)
    anew = zoo.load_model("dqn_mlp", path, hidden=(8,), dueling=dueling, actions=5, new_head=True)
    assert anew.model.apply(anew.variables, jnp.ones((1, 6)), train=False).shape == (1, 5)


CONDITIONED = {
    "gan": {"widths": (4,), "units": (3,), "shape": (4, 4, 1), "latent": 5, "classes": 3},
    "dcgan_28": {"widths": (4,), "latent": 5, "classes": 3},
}


@pytest.mark.parametrize("name", CONDITIONED)
def test_generators_with_labels_are_saved_and_loaded(name: str, tmp_path: Path) -> None:
    model = zoo.create(name, **CONDITIONED[name])
    variables = drawn(model, z=((5,), jnp.float32), labels=((), jnp.int32))
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables)
    same(zoo.load_weights(model, path), variables)
    assert zoo.load_model(name, path).model == model


def test_the_rate_of_dropped_pixels_is_of_training_only(tmp_path: Path) -> None:
    fields = {"widths": (4,), "units": (3,), "shape": (4, 4, 1)}
    model = zoo.create("gan", **fields, input_dropout=0.0)
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables_of(model))
    assert zoo.load_model("gan", path, input_dropout=0.5).model.cfg.input_dropout == 0.5


def test_parameters_are_counted_for_the_inputs_of_the_fields() -> None:
    assert zoo.param_count("gpt2") - zoo.param_count("gpt2", context=512) == 512 * 768
    assert zoo.param_count("bert_base") - zoo.param_count("bert_base", context=256) == 256 * 768
    assert zoo.param_count("gan") - zoo.param_count("gan", latent=50) == 50 * 1200
    assert zoo.param_count("gan", classes=10) - zoo.param_count("gan") == 10 * (1200 + 1200)


def test_a_new_head_takes_the_place_of_those_of_pre_training(tmp_path: Path) -> None:
    *_, fields, model, variables = network("bert-pretrain")
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables)
    for head in ("classify", "token"):
        loaded = zoo.load_model("bert_mini", path, **fields | {"head": head}, classes=3, new_head=True)
        assert loaded.variables["params"]["head"]["kernel"].shape == (16, 3)
        assert "params/masked/transform/kernel" in loaded.passed_over


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"fields": ["widths"]}, "fields in its metadata must be an object"),
        ({"fields": "widths"}, "fields in its metadata must be an object"),
        ({"fields": {"widths": None}}, "widths must be a tuple of positive integers"),
        ({"labels": 5}, "labels in its metadata must be a list"),
        ({"name": 5}, "name in its metadata must be a text"),
        ({"preprocessing": 5}, "preprocessing in its metadata must be an object"),
        ({"preprocessing": {"kind": "images", "size": [8, 8], "interpolation": "random"}}, "unknown interpolation"),
        ({"preprocessing": {"kind": "images", "size": [8]}}, "size of images must be"),
        ({"preprocessing": {"kind": "images", "size": [8, 8], "mean": 1}}, "mean of images must be"),
        ({"preprocessing": {"kind": "images", "size": [8, 8], "resize": "big"}}, "resize of images must be"),
        ({"preprocessing": {"kind": "text", "lower": 3}}, "lower and segments of texts"),
        ({"preprocessing": {"kind": "text", "length": 0}}, "length of texts"),
    ],
)
def test_a_record_that_makes_no_sense_is_one_line(record: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = zoo.create("mlp", widths=(4,))
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables_of(model), labels="0123456789")
    with pytest.raises(UserError) as caught:
        zoo.load_model("mlp", with_record(path, **record))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_record_without_fields_says_nothing_of_them(tmp_path: Path) -> None:
    model = zoo.create("mlp", widths=(4,))
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables_of(model))
    assert zoo.load_model("mlp", with_record(path, fields=None), widths=(4,)).model == model


def test_fields_of_an_encoder_that_make_no_sense_are_one_line() -> None:
    with pytest.raises(UserError, match="simclr: fields must be"):
        zoo.create("simclr_resnet20", fields=5)
    with pytest.raises(UserError, match="simclr: widths must be"):
        zoo.create("simclr_resnet20", widths=5)
    with pytest.raises(UserError, match="dcgan: widths must be"):
        zoo.create("dcgan", widths=())


def test_what_cannot_be_adapted_is_one_line(tmp_path: Path) -> None:
    sine = zoo.create("vit_mini_patch4", **VIT | {"positions": "sine", "pool": "mean"})
    path = zoo.save_weights(tmp_path / "vit.safetensors", sine, variables_of(sine))
    with pytest.raises(UserError, match="ViT cannot be adapted to another size"):
        zoo.load_weights(sine, path, size=48)
    agent = zoo.create("dqn_mlp")
    for layout in ("zoo", "cleanrl"):
        path = zoo.save_weights(tmp_path / f"{layout}.safetensors", agent, variables_of(agent), layout=layout)
        with pytest.raises(UserError, match="channels"):
            zoo.load_weights(agent, path, channels=1)


@pytest.mark.parametrize(
    ("name", "layout", "fields", "shape"),
    [
        ("lenet5", "pytorch", {"activation": "relu", "pooling": "max"}, (28, 40, 1)),
        ("dqn_minatar", "cleanrl", {}, (8, 10, 4)),
    ],
)
def test_images_need_not_be_square(
    name: str, layout: str, fields: dict[str, Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    model = zoo.create(name, **fields)
    variables = drawn(model, x=(shape, jnp.float32))
    for written in ("zoo", layout):
        images = Images(shape[:2], mean=(0.5,) * shape[2], std=(0.5,) * shape[2])
        path = zoo.save_weights(tmp_path / f"{written}.safetensors", model, variables, layout=written, inputs=images)
        same(zoo.load_weights(model, path), variables)


def test_a_square_map_is_flattened_as_before() -> None:
    rule = zoo.weights.rules.flat_maps(3)
    theirs = np.random.default_rng(0).normal(size=(5, 3 * 2 * 2))
    ours = rule.read([theirs])
    np.testing.assert_array_equal(ours, theirs.reshape(5, 3, 2, 2).transpose(2, 3, 1, 0).reshape(12, 5))
    np.testing.assert_array_equal(rule.write(ours)[0], theirs)


def test_a_network_that_the_layout_does_not_have_is_one_line(tmp_path: Path) -> None:
    model = zoo.create("dcgan_32", widths=(4, 2), norm="layer")
    with pytest.raises(UserError, match="dcgan_32 has no layout pytorch: its discriminator normalizes over the batch"):
        zoo.save_weights(tmp_path / "w.safetensors", model, variables_of(model), layout="pytorch")


CUT = {"crop_size": 224, "do_center_crop": True}


@pytest.mark.parametrize(
    ("content", "size", "resize"),
    [
        ({"size": 256, **CUT}, (224, 224), 256),
        ({"size": 256, "crop_size": {"height": 224, "width": 200}}, (224, 200), 256),
        ({"size": {"shortest_edge": 256}, **CUT}, (224, 224), 256),
        ({"size": {"height": 256, "width": 250}, **CUT}, (224, 224), (256, 250)),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True}, (224, 224), 256),
        ({"size": 256, "crop_size": 224, "do_center_crop": False}, (256, 256), None),
        ({"size": {"shortest_edge": 224}}, (224, 224), 256),
        ({"size": {"shortest_edge": 384}}, (384, 384), None),
        ({"size": {"height": 224, "width": 224}}, (224, 224), None),
    ],
)
def test_what_hugging_face_cuts(content: dict[str, Any], size: tuple[int, int], resize: Any) -> None:
    found = from_hugging_face(content, Images((224, 224)))
    assert (found.size, found.resize) == (size, resize)


@pytest.mark.parametrize(
    "images",
    [
        Images((448, 448), resize=512, crop="floor"),
        Images((224, 224), resize=256, interpolation="bicubic", crop="floor"),
        Images((32, 40), resize=37, crop="floor"),
        Images((224, 200), resize=(256, 250), crop="floor"),
        Images((384, 200), crop="floor"),
        Images((8, 8), interpolation="hamming", mean=(0.5,), std=(0.25,), crop="floor", scale=1.0),
        Images((8, 9), resize="as is", crop="floor", scale=1 / 127.5),
        Images((8, 9), resize="cut", crop="floor"),
    ],
)
def test_hugging_face_reads_back_what_is_written(images: Images) -> None:
    assert from_hugging_face(to_hugging_face(images), Images((1, 1))) == images
    assert zoo.weights.preprocessing.from_json(zoo.weights.preprocessing.to_json(images)) == images


def test_an_image_is_resized_to_both_sides_before_it_is_cut() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 60), dtype=np.uint8))
    cut = Images((4, 6), resize=(8, 10), mean=(0.0,), std=(1.0,))(picture)
    whole = dataclasses.replace(IMAGES, size=(8, 10), mean=(0.0,), std=(1.0,))(picture)
    np.testing.assert_array_equal(cut, whole[2:6, 2:8])
    larger = zoo.weights.adapt.at_size(Images((4, 6), resize=(8, 10)), (8, 12))
    assert (larger.size, larger.resize) == ((8, 12), (16, 20))


def test_the_preparation_of_texts_is_kept() -> None:
    for text in (Text(lower=True), Text(segments=False, length=7)):
        assert zoo.weights.preprocessing.from_json(zoo.weights.preprocessing.to_json(text)) == text
