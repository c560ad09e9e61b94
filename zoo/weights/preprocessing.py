"""The preprocessing of images and texts that weights expect. It is stored with them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from zoo.errors import UserError

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
PILLOW: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which Hugging Face's files contain."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Images:
    """Converts an image of any size to the network's input, (H, W, C) float32."""

    size: tuple[int, int]  # height and width of the network's input
    resize: int | None = None  # length of the shorter side before the center crop; None: resize directly to `size`
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN  # of each channel, for pixels between 0 and 1
    std: tuple[float, ...] = IMAGENET_STD

    def __call__(self, image: Any) -> np.ndarray:
        """Convert a Pillow image to (H, W, C) float32: grey if `mean` has one channel, otherwise RGB."""
        from PIL import Image

        if len(self.mean) not in (1, 3):
            raise UserError(f"these weights read images of {len(self.mean)} channels, and an image file has 1 or 3")
        image = image.convert("L" if len(self.mean) == 1 else "RGB")
        resampling = getattr(Image.Resampling, self.interpolation.upper())
        height, width = self.size
        if self.resize is None:
            image = image.resize((width, height), resampling)
        else:
            short = min(image.size)
            resized = tuple(max(1, self.resize * side // short) for side in image.size)  # the longer one rounds down
            image = image.resize(resized, resampling)
            left, top = round((image.width - width) / 2), round((image.height - height) / 2)
            image = image.crop((left, top, left + width, top + height))
        pixels = np.asarray(image, np.float32).reshape(height, width, -1) / 255
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (pixels - mean[None, None]) / std[None, None]

    def with_channels(self, channels: int) -> "Images":
        """Return the same for images of another number of channels, each with the mean of the means and deviations."""
        if channels == len(self.mean):
            return self
        mean, std = sum(self.mean) / len(self.mean), sum(self.std) / len(self.std)
        return dataclasses.replace(self, mean=(mean,) * channels, std=(std,) * channels)


@dataclasses.dataclass(frozen=True)
class Text:
    """The preprocessing of a text, besides its tokenizer."""

    lower: bool = False  # convert to lower case first
    segments: bool = True  # of a pair of texts: give the model their segments, if it takes some


Preprocessing = Images | Text


def reads_segments(preprocessing: Preprocessing | None) -> bool:
    """Return whether a model with these weights, if it takes segments, is given those of a pair of texts."""
    return not isinstance(preprocessing, Text) or preprocessing.segments


TORCHVISION = Images((224, 224), resize=256)
GOOGLE = Images((224, 224), mean=HALF, std=HALF)


def to_json(preprocessing: Preprocessing | None) -> dict[str, Any] | None:
    """Return the preprocessing as JSON content for the metadata of a file."""
    if preprocessing is None:
        return None
    return {"kind": type(preprocessing).__name__.lower(), **dataclasses.asdict(preprocessing)}


def from_json(content: Any) -> Preprocessing | None:
    """Invert `to_json`. UserError for any other content."""
    if content is None:
        return None
    try:
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in content.items()}
        kind = {"images": Images, "text": Text}[fields.pop("kind")]
        return kind(**fields)
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"the preprocessing in this file cannot be read: {str(content)[:80]}") from None


def from_hugging_face(content: Mapping[str, Any], usual: Images) -> Images:
    """Return the preprocessing that preprocessor_config.json of an image model describes; the rest is from `usual`."""
    size, mean, std = content.get("size"), content.get("image_mean"), content.get("image_std")
    if not content.get("do_normalize", True):
        mean, std = (0.0,), (1.0,)
    usual = dataclasses.replace(
        usual,
        interpolation=PILLOW.get(content.get("resample", -1), usual.interpolation),
        mean=tuple(mean) if mean else usual.mean,
        std=tuple(std) if std else usual.std,
    )
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if isinstance(size, Mapping) and "shortest_edge" in size:
        side = size["shortest_edge"]
        if side >= 384:  # Hugging Face's processor for convolutional networks does not crop at this size
            return dataclasses.replace(usual, size=(side, side), resize=None)
        crop = content.get("crop_pct") or 224 / 256
        return dataclasses.replace(usual, size=(side, side), resize=int(side / crop))
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return dataclasses.replace(usual, size=(size["height"], size["width"]), resize=None)
    return usual


def to_hugging_face(images: Images) -> dict[str, Any]:
    """Return the content of preprocessor_config.json for `images`."""
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
    """Return the preprocessing in `pretrained_cfg` of a timm model's config.json; the rest is from `usual`."""
    _, height, width = content.get("input_size") or (3, *usual.size)
    crop = content.get("crop_pct") or (height / usual.resize if usual.resize else 1.0)
    return Images(
        (height, width),
        int(height / crop),
        content.get("interpolation") or usual.interpolation,
        tuple(content.get("mean") or usual.mean),
        tuple(content.get("std") or usual.std),
    )
