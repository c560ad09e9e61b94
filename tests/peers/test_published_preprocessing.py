"""Images are prepared bit for bit as torchvision, timm and Hugging Face's processors for Pillow do it.

Needs the extra `peers`; what of it is not installed is skipped.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import published  # noqa: E402, F401 - defines the operators that torchvision looks for
from PIL import Image  # noqa: E402

from zoo.weights.preprocessing import TORCHVISION, Images  # noqa: E402
from zoo.weights.processors import from_hugging_face, from_timm, to_hugging_face  # noqa: E402

SHAPES = [(h, w) for w in range(224, 392) for h in (224,)] + [(h, 224) for h in range(225, 392)]
ODD = [
    (31, 47),
    (300, 280),
    (233, 517),
    (518, 233),
    (90, 101),
    (256, 256),
    (225, 224),
    (1, 400),
    (640, 427),
    (97, 1031),
]
BASE = Images((1, 1))


def picture(height: int, width: int, channels: int = 3) -> Image.Image:
    draw = np.random.default_rng(height * 1000 + width)
    pixels = draw.integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def as_ours(x: Any) -> np.ndarray:
    """(C, H, W) -> (H, W, C)."""
    return np.asarray(x, np.float32).transpose(1, 2, 0)


def torchvision_transform(size: int, resize: int) -> Any:
    transforms = pytest.importorskip("torchvision").transforms
    normalize = transforms.Normalize(TORCHVISION.mean, TORCHVISION.std)
    return transforms.Compose(
        [transforms.Resize(resize), transforms.CenterCrop(size), transforms.ToTensor(), normalize]
    )


def timm_transform(content: dict[str, Any]) -> Any:
    data = pytest.importorskip("timm").data
    return data.create_transform(**data.resolve_data_config(pretrained_cfg=content))


def processor(content: dict[str, Any], ending: str = "Pil") -> Any:
    transformers = pytest.importorskip("transformers")
    return getattr(transformers, content["image_processor_type"] + ending)(**content)


def run(processor: Any, image: Image.Image) -> np.ndarray:
    return as_ours(processor(image, return_tensors="np")["pixel_values"][0])


def hugging_face(**content: Any) -> Images:
    images = from_hugging_face(content, BASE)
    return images if len(images.mean) > 1 else images.with_channels(3)


@pytest.mark.parametrize("kind", ["torchvision", "timm", "huggingface-pil", "huggingface-torchvision"])
def test_every_width_and_height_is_cropped_where_the_library_does(kind: str) -> None:
    """All 168 widths, and heights, from 224 to 391 pixels, which the resizing to 224 leaves as they are."""
    if kind == "torchvision":
        ours, theirs = dataclasses.replace(TORCHVISION, resize=224), torchvision_transform(224, 224)
    elif kind == "timm":
        content = {"crop_pct": 1.0, "interpolation": "bilinear"}
        ours, theirs = from_timm(content), timm_transform(content)
    else:
        ours = hugging_face(image_processor_type="BitImageProcessor")
        own = processor({"image_processor_type": "BitImageProcessor"}, "Pil" if kind.endswith("pil") else "")
        theirs = lambda image: run(own, image).transpose(2, 0, 1)  # noqa: E731
    wrong = [
        shape
        for shape in SHAPES
        if not np.allclose(ours(picture(*shape)), as_ours(theirs(picture(*shape))), rtol=1e-5, atol=2e-6)
    ]
    assert wrong == []


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize(("size", "resize"), [(224, 256), (63, 70), (100, 90)])
def test_torchvision_resizes_and_crops(size: int, resize: int, shape: tuple[int, int]) -> None:
    ours = dataclasses.replace(TORCHVISION, size=(size, size), resize=resize)
    theirs = torchvision_transform(size, resize)
    np.testing.assert_allclose(ours(picture(*shape)), as_ours(theirs(picture(*shape))), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("shape", ODD)
@pytest.mark.parametrize(
    "content",
    [
        {"architecture": "resnet50"},
        {"crop_pct": 0.95, "crop_mode": "center", "input_size": [3, 97, 97]},
        {"crop_pct": 0.9, "crop_mode": "squash", "input_size": [3, 96, 80], "interpolation": "bilinear"},
        {"crop_pct": 1.0, "crop_mode": "squash", "mean": [0.5] * 3, "std": [0.25] * 3, "test_crop_pct": 0.5},
        {"interpolation": "lanczos", "test_input_size": [3, 288, 288], "fixed_input_size": True},
    ],
)
def test_timm_resizes_and_crops(content: dict[str, Any], shape: tuple[int, int]) -> None:
    ours, theirs = from_timm(content), timm_transform(content)
    np.testing.assert_allclose(ours(picture(*shape)), as_ours(theirs(picture(*shape))), rtol=1e-5, atol=2e-6)


PROCESSORS: list[dict[str, Any]] = [
    {"image_processor_type": "ViTImageProcessor"},
    {"image_processor_type": "ViTImageProcessor", "size": 65, "resample": 3},
    {"image_processor_type": "ViTImageProcessor", "do_rescale": False},
    {"image_processor_type": "ViTImageProcessor", "do_normalize": False},
    {"image_processor_type": "ViTImageProcessor", "do_normalize": False, "do_rescale": False},
    {"image_processor_type": "ViTImageProcessor", "rescale_factor": 1 / 127.5, "image_mean": [1.0, 0.9, 1.1]},
    {"image_processor_type": "ViTImageProcessor", "size": 64, "do_center_crop": True, "crop_size": 49},
    {"image_processor_type": "ConvNextImageProcessor"},
    {"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0.875},
    {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 63}, "crop_pct": 0.95},
    {"image_processor_type": "BitImageProcessor"},
    {"image_processor_type": "BitImageProcessor", "size": 101, "crop_size": {"height": 90, "width": 70}},
    {"image_processor_type": "BitImageProcessor", "do_resize": False, "crop_size": 65},
    {"image_processor_type": "BitImageProcessor", "size": 60, "crop_size": 75},
    {"image_processor_type": "DeiTImageProcessor"},
    {"image_processor_type": "DeiTImageProcessor", "size": 77, "crop_size": 64, "resample": 0},
    {"image_processor_type": "DeiTImageProcessor", "size": 48, "do_center_crop": False, "resample": 4},
    {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 91}, "crop_size": 64},
]


@pytest.mark.parametrize("content", PROCESSORS, ids=lambda content: " ".join(map(str, content.values())))
def test_hugging_face_resizes_crops_and_scales(content: dict[str, Any]) -> None:
    theirs = processor(content)
    ours = hugging_face(**content)
    saved = hugging_face(**json.loads(theirs.to_json_string()))  # as it writes itself
    again = hugging_face(**to_hugging_face(ours))
    written = processor(to_hugging_face(ours))
    for shape in ODD[:-1]:
        expected = run(theirs, picture(*shape))
        for images in (ours, saved, again):
            np.testing.assert_allclose(images(picture(*shape)), expected, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(run(written, picture(*shape)), expected, rtol=1e-5, atol=2e-5)


def test_hugging_face_takes_an_image_that_is_not_resized() -> None:
    content = {"image_processor_type": "ViTImageProcessor", "do_resize": False, "size": 33}
    expected = run(processor(content), picture(33, 33))
    np.testing.assert_allclose(hugging_face(**content)(picture(33, 33)), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("images", [Images((32, 32)), Images((32, 32), 37), Images((32, 32), (40, 37))])
@pytest.mark.parametrize("ending", ["Pil", ""])
def test_hugging_face_reads_what_is_written_for_one_channel(images: Images, ending: str, tmp_path: Path) -> None:
    """A grey image was made one of three channels by two of its processors."""
    images = dataclasses.replace(images, mean=(0.4,), std=(0.2,), crop="floor")
    theirs = processor(to_hugging_face(images), ending)
    got = run(theirs, picture(50, 61, 1))
    assert got.shape == (32, 32, 1)
    tolerance = 2e-5 if ending else 2 / 255 / 0.2  # the other backend interpolates tensors
    np.testing.assert_allclose(images(picture(50, 61, 1)), got, rtol=1e-5, atol=tolerance)
