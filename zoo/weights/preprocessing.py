"""The preprocessing of images and texts that weights expect. It is stored with them."""

import dataclasses
import math
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np

from zoo.errors import UserError, unknown

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
Rounding = Literal["round", "floor"]
Unresized = Literal["as is", "cut"]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Images:
    """Converts an image of any size to the network's input, (H, W, C) float32."""

    size: tuple[int, int]  # height and width of the network's input
    resize: int | tuple[int, int] | Unresized | None = None
    """Before the center crop: the shorter side, or height and width. None: resize directly to `size`. "cut": crop
    without resizing. "as is": the image must have this size already."""
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN  # of each channel, for pixels between 0 and 1
    std: tuple[float, ...] = IMAGENET_STD
    crop: Rounding = "round"  # of half a pixel at the edge of the crop, to the even one in torchvision and timm
    scale: float = 1 / 255  # of the bytes of an image, before `mean` and `std`
    scaled_jpeg: bool = False  # decode a JPEG at 1/2, 1/4 or 1/8 of its size, if that is not smaller than resized

    def __post_init__(self) -> None:
        resize = self.resize if isinstance(self.resize, tuple) else (self.resize, self.resize)
        free = self.resize is None or self.resize in get_args(Unresized)
        sides = {"size": self.size, "resize": self.size if free else resize}
        for name, value in sides.items():
            if not (isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_count, value))):
                raise UserError(f"{name} of images must be a positive number of pixels, or two, not {value!r}")
        if self.interpolation not in get_args(Interpolation):
            raise unknown("interpolation", self.interpolation, get_args(Interpolation))
        if self.crop not in get_args(Rounding):
            raise unknown("crop of images", self.crop, get_args(Rounding))
        if not isinstance(self.scaled_jpeg, bool):
            raise UserError(f"scaled_jpeg of images must be true or false, not {self.scaled_jpeg!r}")
        if not is_positive(self.scale):
            raise UserError(f"scale of images must be a positive number, not {self.scale!r}")
        for name, value in (("mean", self.mean), ("std", self.std)):
            if not (isinstance(value, tuple | list) and value and all(map(_is_finite, value))):
                raise UserError(f"{name} of images must be a number for each channel, not {value!r}")
            if len(value) != len(self.mean):
                raise UserError(f"{name} of images must be a number for each channel, not {value!r}")
        if not all(map(is_positive, self.std)):
            raise UserError(f"std of images must be positive numbers, not {self.std!r}")

    @property
    def least(self) -> int | None:
        """Pixels that each side of a JPEG must keep while it is decoded; None: it is decoded in full."""
        if not self.scaled_jpeg or isinstance(self.resize, str):  # which is not resized
            return None
        return self.resize if isinstance(self.resize, int) else max(self.resize or self.size)

    def __call__(self, image: Any) -> np.ndarray:
        """Convert a Pillow image to (H, W, C) float32: grey if `mean` has one channel, otherwise RGB."""
        if len(self.mean) not in (1, 3):
            raise UserError(f"these weights read images of {len(self.mean)} channels, and an image file has 1 or 3")
        if self.least is not None:
            image.draft(None, (self.least, self.least))  # nothing happens where it is decoded already
        image = self._at_size(image.convert("L" if len(self.mean) == 1 else "RGB"))
        pixels = np.asarray(image, np.float32).reshape(*self.size, -1)
        pixels = pixels / 255 if self.scale == 1 / 255 else pixels * np.float32(self.scale)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (pixels - mean[None, None]) / std[None, None]

    def _at_size(self, image: Any) -> Any:
        """Return a Pillow image resized and cropped. Where it is smaller than the crop the rest is black."""
        from PIL import Image

        resampling = getattr(Image.Resampling, self.interpolation.upper())
        height, width = self.size
        if self.resize == "as is":
            if image.size != (width, height):
                raise UserError(
                    f"these weights read images of {width}x{height} pixels and resize none, and this one has "
                    f"{image.width}x{image.height}"
                )
            return image
        if self.resize is None:
            return image.resize((width, height), resampling)
        if isinstance(self.resize, int):
            short = min(image.size)
            resized = tuple(max(1, self.resize * side // short) for side in image.size)  # the longer rounds down
            image = image.resize(resized, resampling)
        elif self.resize != "cut":
            image = image.resize(self.resize[::-1], resampling)
        left, top = (self._edge(have, want) for have, want in zip(image.size, (width, height), strict=True))
        return image.crop((left, top, left + width, top + height))

    def _edge(self, have: int, want: int) -> int:
        """Return where the crop of `want` of `have` pixels begins; below 0 if there are fewer.

        Hugging Face's processors for Pillow round down. torchvision and timm round half a pixel to the even number, but
        of the pixels that are missing they add the smaller half in front.
        """
        if self.crop == "floor":
            return (have - want) // 2
        return round((have - want) / 2) if have >= want else -((want - have) // 2)

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


def is_positive(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


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
    content = {"kind": type(preprocessing).__name__.lower(), **dataclasses.asdict(preprocessing)}
    for name in ("crop", "scale", "scaled_jpeg"):  # older versions read files that need none of them
        if name in content and content[name] == getattr(Images, name):
            del content[name]
    return content


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
