"""The preprocessing of images and texts that weights expect. It is stored with them."""

import dataclasses
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from zoo.errors import UserError, unknown

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
PILLOW: dict[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, which Hugging Face's files contain."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Images:
    """Converts an image of any size to the network's input, (H, W, C) float32."""

    size: tuple[int, int]  # height and width of the network's input
    resize: int | tuple[int, int] | None = None  # before the center crop: the shorter side, or height and width; None:
    # resize directly to `size`
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN  # of each channel, for pixels between 0 and 1
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        resize = self.resize if isinstance(self.resize, tuple) else (self.resize, self.resize)
        sides = {"size": self.size, "resize": self.size if self.resize is None else resize}
        for name, value in sides.items():
            if not (isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_count, value))):
                raise UserError(f"{name} of images must be a positive number of pixels, or two, not {value!r}")
        if self.interpolation not in get_args(Interpolation):
            raise unknown("interpolation", self.interpolation, get_args(Interpolation))
        for name, value in (("mean", self.mean), ("std", self.std)):
            if not (isinstance(value, tuple | list) and value and all(isinstance(each, Real) for each in value)):
                raise UserError(f"{name} of images must be a number for each channel, not {value!r}")
            if len(value) != len(self.mean):
                raise UserError(f"{name} of images must be a number for each channel, not {value!r}")

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
            if isinstance(self.resize, int):
                short = min(image.size)
                resized = tuple(max(1, self.resize * side // short) for side in image.size)  # the longer rounds down
            else:
                resized = self.resize[::-1]
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
    length: int | None = None  # most tokens that training showed of a text; None: as many as the model can read

    def __post_init__(self) -> None:
        if not isinstance(self.lower, bool) or not isinstance(self.segments, bool):
            raise UserError(f"lower and segments of texts must be true or false, not {self.lower!r}, {self.segments!r}")
        if self.length is not None and not _is_count(self.length):
            raise UserError(f"length of texts must be a positive number of tokens, not {self.length!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) > 0


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
    except UserError as error:
        raise UserError(f"the preprocessing in this file cannot be read: {error}") from None
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
    if content.get("do_center_crop", "crop_size" in content):
        return _cropped(content, usual)
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


def _cropped(content: Mapping[str, Any], usual: Images) -> Images:
    """Return the preprocessing of a processor that resizes to `size`, and then cuts `crop_size` from the center.

    A `size` of one number is the shorter side; 224 is what those processors cut where they are not told.
    """
    size, crop = content.get("size"), content.get("crop_size", 224)
    if isinstance(crop, int):
        crop = {"height": crop, "width": crop}
    cut = (crop.get("height"), crop.get("width")) if isinstance(crop, Mapping) else (None, None)
    resize: Any = size
    if isinstance(size, Mapping):
        resize = size.get("shortest_edge") or (size.get("height"), size.get("width"))
    if size is None:
        return usual
    return dataclasses.replace(usual, size=cut, resize=resize)


def to_hugging_face(images: Images) -> dict[str, Any]:
    """Return the content of preprocessor_config.json for `images`."""
    number = {name: value for value, name in PILLOW.items()}[images.interpolation]
    size: dict[str, int] = {"height": images.size[0], "width": images.size[1]}
    kind, more = "ViTImageProcessor", {}
    if images.resize is not None:
        more = {"do_center_crop": True, "crop_size": size}
    if isinstance(images.resize, int):
        kind, size = "BitImageProcessor", {"shortest_edge": images.resize}
    elif images.resize is not None:
        kind, size = "DeiTImageProcessor", {"height": images.resize[0], "width": images.resize[1]}
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
    crop = content.get("crop_pct") or (height / usual.resize if isinstance(usual.resize, int) else 1.0)
    return Images(
        (height, width),
        int(height / crop),
        content.get("interpolation") or usual.interpolation,
        tuple(content.get("mean") or usual.mean),
        tuple(content.get("std") or usual.std),
    )
