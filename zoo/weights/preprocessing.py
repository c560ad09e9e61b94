"""What must be done to an image or a text before the weights see it; it travels with them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from zoo.errors import UserError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
PILLOW: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as Hugging Face writes them."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Images:
    """From an image of any size to (H, W, C) float32 that the network takes."""

    size: tuple[int, int]  # height and width that the network sees
    resize: int | None = None  # the shorter side before the middle is cut out; None: both sides straight to `size`
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN  # of each channel, pixels between 0 and 1
    std: tuple[float, ...] = IMAGENET_STD

    def __call__(self, image: Any) -> np.ndarray:
        """A Pillow image -> (H, W, C) float32. Grey where `mean` has one channel, else red, green, blue."""
        from PIL import Image

        image = image.convert("L" if len(self.mean) == 1 else "RGB")
        how = getattr(Image.Resampling, self.interpolation.upper())
        height, width = self.size
        if self.resize is None:
            image = image.resize((width, height), how)
        else:
            short = min(image.size)
            whole = tuple(max(1, self.resize * side // short) for side in image.size)  # the longer side is cut off
            image = image.resize(whole, how)
            left, top = round((image.width - width) / 2), round((image.height - height) / 2)
            image = image.crop((left, top, left + width, top + height))
        pixels = np.asarray(image, np.float32).reshape(height, width, -1) / 255
        return (pixels - np.float32(self.mean)[None, None]) / np.float32(self.std)[None, None]


@dataclasses.dataclass(frozen=True)
class Text:
    """What is done to a text besides its tokenizer."""

    lower: bool = False  # lower-cased first


Preprocessing = Images | Text
TORCHVISION = Images((224, 224), resize=256)
GOOGLE = Images((224, 224), mean=HALF, std=HALF)


def to_json(preprocessing: Preprocessing | None) -> dict[str, Any] | None:
    """Plain content for the metadata of a file."""
    if preprocessing is None:
        return None
    return {"kind": type(preprocessing).__name__.lower(), **dataclasses.asdict(preprocessing)}


def from_json(content: Any) -> Preprocessing | None:
    """`to_json` undone. UserError where the content is something else."""
    if content is None:
        return None
    try:
        fields = {key: tuple(v) if isinstance(v, list) else v for key, v in content.items()}
        kind = {"images": Images, "text": Text}[fields.pop("kind")]
        return kind(**fields)
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"the preprocessing in this file cannot be read: {str(content)[:80]}") from None


def from_hugging_face(content: Mapping[str, Any], usual: Images) -> Images:
    """preprocessor_config.json of an image model; what it leaves out is `usual`."""
    size, mean, std = content.get("size"), content.get("image_mean"), content.get("image_std")
    found = {"interpolation": PILLOW.get(content.get("resample"), usual.interpolation)}
    if not content.get("do_normalize", True):
        mean, std = (0.0,), (1.0,)
    found |= {"mean": tuple(mean) if mean else usual.mean, "std": tuple(std) if std else usual.std}
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if isinstance(size, Mapping) and "shortest_edge" in size:
        side = size["shortest_edge"]
        if side >= 384:  # Hugging Face's processor of convolutional networks: no margin at that size
            return dataclasses.replace(usual, size=(side, side), resize=None, **found)
        crop = content.get("crop_pct") or 224 / 256
        return dataclasses.replace(usual, size=(side, side), resize=int(side / crop), **found)
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return dataclasses.replace(usual, size=(size["height"], size["width"]), resize=None, **found)
    return dataclasses.replace(usual, **found)


def to_hugging_face(images: Images) -> dict[str, Any]:
    """preprocessor_config.json of `images`."""
    number = {name: value for value, name in PILLOW.items()}[images.interpolation]
    size: dict[str, int] = {"height": images.size[0], "width": images.size[1]}
    kind, more = "ViTImageProcessor", {}
    if images.resize is not None:
        kind, size = "ConvNextImageProcessor", {"shortest_edge": images.size[0]}
        more = {"crop_pct": images.size[0] / images.resize}
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": size,
        "resample": number,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(images.mean),
        "image_std": list(images.std),
        **more,
    }


def from_timm(content: Mapping[str, Any], usual: Images) -> Images:
    """`pretrained_cfg` of a timm model's config.json; what it leaves out is `usual`."""
    _, height, width = content.get("input_size") or (3, *usual.size)
    crop = content.get("crop_pct") or (height / usual.resize if usual.resize else 1.0)
    return Images(
        (height, width),
        int(height / crop),
        content.get("interpolation") or usual.interpolation,
        tuple(content.get("mean") or usual.mean),
        tuple(content.get("std") or usual.std),
    )
