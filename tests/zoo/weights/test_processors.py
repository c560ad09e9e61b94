"""Images are prepared as the weights' own library does it, or the key that cannot be followed is named."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny import network

import zoo
from zoo import UserError
from zoo.weights import preprocessing, processors
from zoo.weights.preprocessing import GOOGLE, Images
from zoo.weights.processors import from_hugging_face, from_timm, to_hugging_face

RESNET, VIT = network("resnet18-huggingface"), network("vit-huggingface")


ROWS, COLUMNS = np.mgrid[:400, :400]
NUMBERED = np.stack([ROWS % 256, COLUMNS % 256, ROWS // 256 * 16 + COLUMNS // 256], -1).astype(np.uint8)


def numbered(height: int, width: int) -> Image.Image:
    """Return an image whose pixels hold their own row and column: red and green modulo 256, blue the rest."""
    return Image.fromarray(NUMBERED[:height, :width])


def corner(images: Images, height: int, width: int) -> tuple[int, int]:
    """Return (top, left) of the crop of an image that is not resized."""
    bare = dataclasses.replace(images, mean=(0.0,) * 3, std=(1.0,) * 3, scale=1.0)
    red, green, blue = bare(numbered(height, width))[0, 0]
    return int(blue // 16 * 256 + red), int(blue % 16 * 256 + green)


FROM_PUBLISHED = {
    "torchvision": (preprocessing.TORCHVISION, "round"),
    "timm": (from_timm({"crop_pct": 1.0}), "round"),
    "huggingface": (from_hugging_face({"image_processor_type": "BitImageProcessor"}, GOOGLE), "floor"),
}


@pytest.mark.parametrize("library", FROM_PUBLISHED)
def test_all_168_widths_are_cropped_as_their_library_does(library: str) -> None:
    """Of four widths torchvision and timm begin one pixel later in one: 42 of 168."""
    images, rounding = FROM_PUBLISHED[library]
    images = dataclasses.replace(images, size=(224, 224), resize=224)
    extra = {"round": (0, 0, 1, 2), "floor": (0, 0, 1, 1)}[rounding]
    expected = [more // 4 * 2 + extra[more % 4] for more in range(168)]
    assert [corner(images, 224, width) for width in range(224, 392)] == [(0, left) for left in expected]
    assert [corner(images, height, 224) for height in range(224, 392)] == [(top, 0) for top in expected]
    assert sum(left != more // 2 for more, left in enumerate(expected)) == (42 if rounding == "round" else 0)


def test_the_rounding_of_a_crop_is_kept_with_the_weights(tmp_path: Path) -> None:
    card, layout, fields, model, variables = RESNET
    for images in (Images((32, 32), 37, crop="floor"), Images((32, 32), 37)):
        for written in (layout, "zoo"):
            place = tmp_path / f"{written}-{images.crop}"
            zoo.save_weights(place, model, variables, layout=written, inputs=images)
            assert zoo.load_model(card, place, **fields).preprocessing == images
    before = {"kind": "images", "size": [32, 32], "resize": 37, "interpolation": "bilinear", "mean": [0.5], "std": [1]}
    assert preprocessing.from_json(before) == Images((32, 32), 37, "bilinear", (0.5,), (1,), "round", 1 / 255)
    written = preprocessing.to_json(preprocessing.from_json(before))
    assert json.loads(json.dumps(written)) == before  # as older versions wrote and read it
    assert zoo.load_model(card, stripped(tmp_path / layout, RESNET), **fields).preprocessing.crop == "floor"


def stripped(folder: Path, of: Any, **beside: Any) -> Path:
    """Return a folder as others publish it, without our record; `beside` are the contents of its JSON files."""
    _card, layout, _fields, model, variables = of
    shutil.rmtree(folder, ignore_errors=True)
    zoo.save_weights(folder, model, variables, layout=layout)
    path = folder / "model.safetensors"
    save_file(load_file(path), path)
    for name, content in beside.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


IMAGENET = {"mean": preprocessing.IMAGENET_MEAN, "std": preprocessing.IMAGENET_STD}
CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
HALVES = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
PROCESSORS: dict[str, tuple[dict[str, Any], Images]] = {
    "ViT": ({}, Images((224, 224), None, "bilinear", **HALVES)),
    "ViT with one number": ({"size": 200}, Images((200, 200), None, "bilinear", **HALVES)),
    "ConvNext": ({}, Images((384, 384), None, "bicubic", **HALVES)),
    "ConvNext of microsoft/resnet-50": (
        {"size": 224, "crop_pct": 0.875, "resample": 3, "image_mean": IMAGENET["mean"], "image_std": IMAGENET["std"]},
        Images((224, 224), 256, "bicubic", **IMAGENET),
    ),
    "ConvNext with crop_pct": ({"size": 192, "crop_pct": 0.95}, Images((192, 192), 202, "bicubic", **HALVES)),
    "Bit": ({}, Images((224, 224), 224, "bicubic", **CLIP)),
    "Bit with one number": ({"size": 256, "resample": 1}, Images((224, 224), 256, "lanczos", **CLIP)),
    "DeiT": ({}, Images((224, 224), (256, 256), "bicubic", **HALVES)),
    "DeiT with one number": ({"size": 248, "crop_size": 200}, Images((200, 200), (248, 248), "bicubic", **HALVES)),
    "DeiT without a crop": ({"size": 224, "do_center_crop": False}, Images((224, 224), None, "bicubic", **HALVES)),
    "CLIP": ({"crop_size": [200, 210]}, Images((200, 210), 224, "bicubic", **CLIP)),
    "ViT of one channel": ({"image_mean": 0.1, "image_std": [0.2]}, Images((224, 224), mean=(0.1,), std=(0.2,))),
    "ViT not normalized": ({"do_normalize": False}, Images((224, 224), mean=(0.0,), std=(1.0,))),
    "ViT in bytes": ({"do_rescale": False}, Images((224, 224), scale=1.0, **HALVES)),
    "ViT between -1 and 1": ({"rescale_factor": 1 / 127.5}, Images((224, 224), scale=1 / 127.5, **HALVES)),
    "ViT not resized": ({"do_resize": False, "size": 64}, Images((64, 64), "as is", **HALVES)),
    "DeiT not resized": ({"do_resize": False}, Images((224, 224), "cut", "bicubic", **HALVES)),
    "ViT with null": ({"do_normalize": None, "size": None, "future": None}, Images((224, 224), **HALVES)),
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("ending", ["ImageProcessor", "ImageProcessorFast", "FeatureExtractor"])
def test_processors_of_hugging_face_have_their_own_defaults(name: str, ending: str) -> None:
    content, expected = PROCESSORS[name]
    key = "feature_extractor_type" if ending == "FeatureExtractor" else "image_processor_type"
    found = from_hugging_face({key: name.split(" ")[0] + ending, **content}, Images((1, 1), 7, "box"))
    assert found == dataclasses.replace(expected, crop="floor")


def test_a_file_that_names_no_processor_is_for_that_of_its_network() -> None:
    """The library takes ViTImageProcessor for a ViT, and ConvNextImageProcessor for a ResNet, which crops."""
    resnet = dataclasses.replace(preprocessing.TORCHVISION, crop="floor")
    assert from_hugging_face({"size": 48, "crop_pct": 0.75}, resnet, "resnet") == dataclasses.replace(
        resnet, size=(48, 48), resize=64
    )
    cut = from_hugging_face({"size": 36, "crop_size": 32, "do_center_crop": True}, GOOGLE, "vit")
    assert (cut.size, cut.resize) == ((32, 32), (36, 36))
    with pytest.raises(UserError, match="a size of 32 for the shorter side needs do_center_crop"):
        from_hugging_face({"size": {"shortest_edge": 32}}, GOOGLE, "vit")


TIMM: dict[str, tuple[dict[str, Any], Images]] = {
    "timm's defaults": ({}, Images((224, 224), 256, "bicubic", **IMAGENET)),
    "center": (
        {"input_size": [3, 200, 200], "crop_pct": 0.9, "crop_mode": "center"},
        Images((200, 200), 222, "bicubic", **IMAGENET),
    ),
    "squash": (
        {"input_size": [3, 200, 180], "crop_pct": 0.9, "crop_mode": "squash", "interpolation": "bilinear"},
        Images((200, 180), (222, 200), "bilinear", **IMAGENET),
    ),
    "what changes no input": (
        {"test_input_size": [3, 288, 288], "test_crop_pct": 0.95, "fixed_input_size": True, "architecture": "x",
         "mean": [0.5], "std": [0.2], "crop_pct": 1.0, "label_offset": None},
        Images((224, 224), 224, "bicubic", mean=(0.5,), std=(0.2,)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMM)
def test_the_pretrained_cfg_of_timm(name: str) -> None:
    content, expected = TIMM[name]
    assert from_timm(content) == expected


def test_pixels_of_images_that_are_not_scaled_or_not_resized() -> None:
    picture = numbered(6, 8)
    pixels = np.asarray(picture, np.float32)
    found = from_hugging_face({"do_rescale": False, "do_normalize": False, "size": [6, 8]}, GOOGLE)
    np.testing.assert_array_equal(found.with_channels(3)(picture), pixels)
    twice = from_hugging_face({"rescale_factor": 2, "image_mean": 0.5, "image_std": 4, "size": [6, 8]}, GOOGLE)
    np.testing.assert_allclose(twice.with_channels(3)(picture), (pixels * 2 - 0.5) / 4, rtol=1e-6)
    same = from_hugging_face({"do_resize": False, "do_normalize": False, "size": [6, 8]}, GOOGLE).with_channels(3)
    np.testing.assert_allclose(same(picture), pixels / 255, rtol=1e-6)
    with pytest.raises(UserError, match=r"read images of 8x6 pixels and resize none, and this one has 9x6"):
        same(numbered(6, 9))
    cut = {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 3, "width": 5}, "do_normalize": False}
    np.testing.assert_allclose(from_hugging_face(cut, GOOGLE).with_channels(3)(picture), pixels[1:4, 1:6] / 255)
    for images in (same, twice, found):
        again = from_hugging_face(to_hugging_face(images), GOOGLE)
        np.testing.assert_allclose(again.with_channels(3)(picture), images.with_channels(3)(picture), rtol=1e-6)


REFUSED: list[tuple[dict[str, Any] | str, str]] = [
    ({"do_pad": True}, "not known, and so may change the images: 'do_pad'"),
    ({"offset": 1, "apply_ocr": "x"}, "not known, and so may change the images: 'apply_ocr', 'offset'"),
    ({"image_processor_type": "SegformerImageProcessor"}, "image_processor_type 'SegformerImageProcessor' is none of"),
    ({"image_processor_type": 5}, "image_processor_type '5' is none of"),
    ({"do_resize": "no"}, "do_resize must be true or false, not 'no'"),
    ({"do_normalize": 0}, "do_normalize must be true or false, not '0'"),
    ({"do_convert_rgb": "yes"}, "do_convert_rgb must be true or false"),
    ({"size": "224"}, "size must be a positive number of pixels, at most 65536, not '224'"),
    ({"size": -3}, "size must be a positive number of pixels, at most 65536, not '-3'"),
    ({"size": 10**9}, "size must be a positive number of pixels, at most 65536, not '1000000000'"),
    ({"size": True}, "size must be a positive number of pixels, at most 65536, not 'True'"),
    ({"size": {"height": 8, "width": "8"}}, "size must be a positive number of pixels, at most 65536, not '8'"),
    ({"size": {"shortest_edge": 8, "longest_edge": 9}}, "size must be height and width, or the shortest_edge"),
    ({"size": {"shortest_edge": 0.5}}, "size must be a positive number of pixels, at most 65536, not '0.5'"),
    ({"size": [1, 2, 3]}, "size must be height and width"),
    (
        {"size": 8, "crop_size": {"height": 0, "width": 4}},
        "crop_size must be a positive number of pixels, at most 65536, not '0'",
    ),
    ({"crop_size": 8, "do_center_crop": False, "size": None}, "has a crop_size, and no size"),
    ({"image_processor_type": "ViTImageProcessor", "do_center_crop": True}, "and there is no crop_size"),
    ({"image_processor_type": "BitImageProcessor", "do_center_crop": False}, "needs do_center_crop"),
    ({"image_processor_type": "ConvNextImageProcessor", "crop_size": 9, "do_center_crop": True}, "own crop"),
    ({"size": {"shortest_edge": 32}, "crop_pct": "0.9"}, "crop_pct must be from 0.01 to 1, not '0.9'"),
    ({"size": {"shortest_edge": 32}, "crop_pct": 8}, "crop_pct must be from 0.01 to 1, not '8'"),
    ({"image_processor_type": "CLIPImageProcessor", "use_square_size": True}, "use_square_size is not supported"),
    ({"resample": "bicubic"}, "resample must be one of Pillow's numbers 0 to 5, not 'bicubic'"),
    ({"resample": 9}, "resample must be one of Pillow's numbers 0 to 5"),
    ({"resample": [3]}, "resample must be one of Pillow's numbers 0 to 5"),
    ({"rescale_factor": 0}, "rescale_factor must be a positive number"),
    ({"image_mean": ["0.5"] * 3}, "image_mean must be numbers, one for each channel"),
    ({"image_mean": []}, "image_mean must be numbers, one for each channel"),
    ({"image_mean": [0.5, 0.5]}, "image_mean has 2 values and image_std 3"),
    ({"image_std": [1, 0, 1]}, "image_std must be positive numbers"),
    ({"image_std": [1, 1, float("nan")]}, "image_std must be positive numbers"),
    ("[1, 2]", "must be a JSON object, not '[1, 2]'"),
    ("{", "is not a JSON file"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_what_cannot_be_followed_is_one_line_that_names_it(
    content: dict[str, Any] | str, message: str, tmp_path: Path
) -> None:
    folder = stripped(tmp_path / "w", RESNET, preprocessor_config=content)
    with pytest.raises(UserError) as caught:
        zoo.load_model(RESNET[0], folder, **RESNET[2])
    assert message in str(caught.value)
    assert "preprocessor_config.json" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"crop_mode": "border"}, "crop_mode 'border' is not supported, only center and squash"),
        ({"interpolation": "random"}, "interpolation 'random' is none of nearest"),
        ({"input_size": [3, 224]}, "input_size must be channels, height and width"),
        ({"input_size": [3, -224, 8]}, "input_size must be a positive number of pixels"),
        ({"input_size": [3, 224, 192]}, "crop_mode center of images of 224x192 is not supported"),
        ({"crop_pct": "0.9"}, "crop_pct must be from 0.01 to 1, not '0.9'"),
        ({"mean": ["a"]}, "mean must be numbers"),
        ({"std": [-1.0]}, "std must be positive numbers"),
        ({"label_offset": 1}, "label_offset 1 is not supported"),
        ({"input_range": [0, 255]}, "not known, and so may change the images: 'input_range'"),
    ],
)
def test_what_of_timm_cannot_be_followed_is_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_timm(content)
    assert message in str(caught.value)
    assert str(caught.value).startswith("pretrained_cfg in config.json")


def test_a_preprocessor_that_is_no_utf8_is_one_line(tmp_path: Path) -> None:
    folder = stripped(tmp_path / "w", RESNET)
    (folder / "preprocessor_config.json").write_bytes(b'{"size": "\xff"}')
    with pytest.raises(UserError, match=r"preprocessor_config\.json is not a JSON file"):
        zoo.load_model(RESNET[0], folder, **RESNET[2])


@pytest.mark.parametrize("of", [RESNET, VIT])
def test_channels_of_the_file_and_of_the_weights(of: Any, tmp_path: Path) -> None:
    card, layout, fields, *_ = of
    several = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5], "size": {"height": 32, "width": 32}}
    one = several | {"image_mean": [0.1], "image_std": 0.5}
    three = zoo.load_model(card, stripped(tmp_path / "w", of, preprocessor_config=one), **fields)
    assert three.preprocessing.mean == (0.1,) * 3
    stripped(tmp_path / "w", of, preprocessor_config=several)
    grey = zoo.load_model(card, tmp_path / "w", channels=1, **fields)
    np.testing.assert_allclose(grey.preprocessing.mean, [0.2])

    folder = tmp_path / "grey"
    zoo.save_weights(folder, grey.model, grey.variables, layout=layout, inputs=grey.preprocessing)
    written = json.loads((folder / "preprocessor_config.json").read_text())
    assert written["do_convert_rgb"] is False
    assert zoo.load_model(card, folder, **fields).preprocessing == grey.preprocessing
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    assert zoo.load_model(card, folder, **fields).preprocessing == dataclasses.replace(grey.preprocessing, crop="floor")
    with pytest.raises(UserError, match="inputs are images of 3 channels, and the model reads 1"):
        zoo.save_weights(tmp_path / "x", grey.model, grey.variables, layout=layout, inputs=three.preprocessing)
    for content, message in (
        (several, "image_mean and image_std are of 3 channels, and these weights read 1: write 1 of each"),
        (several | {"image_mean": [0.1] * 3, "do_convert_rgb": True}, "do_convert_rgb makes images of 3 channels"),
    ):
        (folder / "preprocessor_config.json").write_text(json.dumps(content))
        with pytest.raises(UserError, match=message):
            zoo.load_model(card, folder, **fields)
    (folder / "preprocessor_config.json").write_text(json.dumps(several | {"image_mean": [0.1] * 3}))
    assert zoo.load_model(card, folder, **fields).preprocessing.mean == (0.1,)


def test_a_record_of_three_channels_with_weights_that_read_one(tmp_path: Path) -> None:
    """Older versions wrote such files, and refused them."""
    card, layout, fields, model, variables = RESNET
    path = zoo.save_weights(tmp_path / "w.safetensors", model, variables, layout=layout)
    grey = zoo.load_model(card, path, channels=1, **fields)
    path = zoo.save_weights(tmp_path / "g.safetensors", grey.model, grey.variables, layout=layout)
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["zoo"])
    about["preprocessing"] = preprocessing.to_json(Images((32, 32)))
    save_file(load_file(path), path, metadata={"zoo": json.dumps(about)})
    loaded = zoo.load_model(card, path, **fields)
    assert (loaded.inputs["x"][0], len(loaded.preprocessing.mean)) == ((32, 32, 1), 1)


def test_a_vit_is_shown_images_of_its_own_size(tmp_path: Path) -> None:
    card, _layout, fields, *_ = VIT
    folder = stripped(tmp_path / "w", VIT, preprocessor_config={"size": 48})
    line = r"size prepares its images at 48x48 pixels.*positions are of 32x32: load it with size=\(48, 48\)"
    with pytest.raises(UserError, match=line):
        zoo.load_model(card, folder, **fields)
    assert zoo.load_model(card, folder, size=(48, 48), **fields).preprocessing.size == (48, 48)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_resize": False}))
    images = zoo.load_model(card, folder, **fields).preprocessing
    assert (images.size, images.resize) == ((32, 32), "as is")


ODD: list[Any] = [None, True, False, 0, -1, 7, 2**70, 0.5, -0.5, 1e999, "", "x", "224", [], [1], [[1]], [1, 2, 3]]
ODD += [["a"] * 3, [None], {}, {"height": 3}, {"height": [1], "width": {}}, {"shortest_edge": None}, {"a": {"b": 1}}]


def message(read: Callable[[], Any]) -> str:
    """Return the message of the UserError that `read` raises, "" if it raises none."""
    try:
        read()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", [None, "ViT", "ConvNext", "Bit", "DeiT"])
def test_a_value_of_any_type_is_followed_or_refused(kind: str | None) -> None:
    named = {"image_processor_type": f"{kind}ImageProcessor"} if kind else {}
    others: list[dict[str, Any]] = [{}, {"do_resize": False}, {"do_center_crop": True, "crop_size": 5}, {"size": 9}]
    keys = sorted(processors.USED | processors.HARMLESS | {"other"})
    for content in ({**named, **more, key: value} for key in keys for value in ODD for more in others):
        said = message(lambda content=content: processors.for_channels(from_hugging_face(content, GOOGLE), content, 3))
        assert "\n" not in said
        assert len(said) < 300


def test_a_value_of_any_type_in_a_pretrained_cfg() -> None:
    keys = sorted(processors.TIMM_USED | processors.TIMM_HARMLESS | {"other"})
    for content in ({key: value} for key in keys for value in ODD):
        said = message(lambda content=content: processors.for_channels(from_timm(content), {}, 3))
        assert "\n" not in said
        assert len(said) < 300
