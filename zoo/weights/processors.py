"""The preprocessing of images as Hugging Face (preprocessor_config.json) and timm (pretrained_cfg) write it.

Every key is used, or known to change no input, or refused by its name: an input that is prepared differently gives
other outputs without an error.
"""

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any, get_args

from zoo.errors import UserError
from zoo.weights.keys import unknown
from zoo.weights.preprocessing import HALF, IMAGENET_MEAN, IMAGENET_STD, Images, Interpolation, is_positive

FILE, TIMM = "preprocessor_config.json", "pretrained_cfg in config.json"
PILLOW: dict[int, Interpolation] = {
    0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"
}  # fmt: skip
"""Pillow's numbers, which Hugging Face's files contain."""
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CUT = {"size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": True, "default_to_square": False,
        "image_mean": CLIP_MEAN, "image_std": CLIP_STD, "resample": 3}  # fmt: skip
_HALF = {"image_mean": HALF, "image_std": HALF}
PROCESSORS: dict[str, dict[str, Any]] = {
    "ViT": {"size": 224, "resample": 2, **_HALF},
    "DeiT": {"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3, **_HALF},
    "ConvNext": {"size": {"shortest_edge": 384}, "default_to_square": False, "resample": 3, **_HALF},
    "Bit": _CUT,
    "CLIP": _CUT,
}
"""The defaults of Hugging Face's processors (transformers 5) for what a file leaves out, by the name of their class."""
CLASS = re.compile(r"(\w+?)(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)")
USED = {
    *("image_processor_type", "feature_extractor_type", "do_resize", "size", "default_to_square", "resample"),
    *("do_center_crop", "crop_size", "crop_pct", "do_rescale", "rescale_factor", "do_normalize", "image_mean"),
    *("image_std", "do_convert_rgb", "use_square_size"),
}
HARMLESS = {
    # Where and in which form the library computes, and the classes around the processor.
    *("processor_class", "data_format", "input_data_format", "device", "return_tensors", "disable_grouping"),
    *("model_input_names", "_valid_processor_keys", "transformers_version", "image_seq_length"),
    # Labels of segmentation.
    *("reduce_labels", "do_reduce_labels"),
}
TIMM_USED = {"input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std", "label_offset"}
TIMM_HARMLESS = {
    # Where the weights are from, and what is written of them.
    *("url", "file", "state_dict", "hf_hub_id", "hf_hub_filename", "source", "architecture", "tag", "custom_load"),
    *("license", "description", "origin_url", "paper_name", "paper_ids", "notes"),
    # For other sizes of images than `input_size`, which timm takes only if it is asked to.
    *("test_input_size", "test_crop_pct", "test_pool_size", "min_input_size", "fixed_input_size", "pool_size"),
    # Names of the network's parts and classes.
    *("num_classes", "label_names", "label_descriptions", "first_conv", "classifier"),
}
Size = tuple[int, int]
MOST = 2**16
"""Most pixels on a side."""


def from_hugging_face(content: Mapping[str, Any], usual: Images, model_type: object = None) -> Images:
    """Return the preprocessing that preprocessor_config.json of an image model describes.

    What the file leaves out is what its processor's class has; of a file that names no class it is from `usual`, and a
    single size is what it is for the class that the library takes for `model_type`: ViT's, or ConvNext's for a ResNet.
    """
    _require_known(FILE, content, USED | HARMLESS)
    content = {key: value for key, value in content.items() if value is not None}  # null means the default there
    kind = _kind(content)
    given = {**PROCESSORS.get(kind or "", {}), **content}
    cuts = _flag(given, "do_center_crop", kind is None and "crop_size" in given)
    if kind is None:  # most processors that crop have a number for the shorter side
        square = model_type == "vit" or not (cuts or model_type == "resnet")
        given = {"default_to_square": square, **({"crop_size": 224} if cuts else {}), **given}
        kind = "ViT" if model_type == "vit" else None
    if _flag(given, "use_square_size", False):  # of Kosmos-2
        raise UserError(f"{FILE}: use_square_size is not supported: give size as height and width")
    _flag(given, "do_convert_rgb", True)  # the loader compares it with the channels of the weights
    images = dataclasses.replace(usual, interpolation=_resample(given, usual), crop="floor", **_numbers(given, usual))
    if not _flag(given, "do_resize", True):
        if cuts:
            return dataclasses.replace(images, size=_crop_size(given), resize="cut")
        size = _size(content) or usual.size
        return dataclasses.replace(images, size=size if isinstance(size, tuple) else (size, size), resize="as is")
    size = _size(given)
    if size is None:
        if "crop_size" in content:
            raise UserError(f"{FILE} has a crop_size, and no size to resize to before")
        return images
    if not cuts:
        return _uncut(given, size, images, kind)
    crop = _crop_size(given)
    if kind != "ConvNext":
        return dataclasses.replace(images, size=crop, resize=size)
    if (size, size) != crop:
        raise UserError(f"{FILE}: do_center_crop after a ConvNextImageProcessor's own crop is not supported")
    return _uncut(given, size, images, kind)


def _uncut(given: Mapping[str, Any], size: int | Size, images: Images, kind: str | None) -> Images:
    """Return the preprocessing of a processor without `do_center_crop`. The one for convolutional networks may crop."""
    if isinstance(size, tuple):
        return dataclasses.replace(images, size=size, resize=None)
    if kind not in (None, "ConvNext"):
        raise UserError(f"{FILE}: a size of {size} for the shorter side needs do_center_crop, or images differ in size")
    if size >= 384:  # it does not crop at this size
        return dataclasses.replace(images, size=(size, size), resize=None)
    crop = _part(FILE, given.get("crop_pct", 224 / 256))
    return dataclasses.replace(images, size=(size, size), resize=int(size / crop))


def _require_known(file: str, content: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise UserError for keys of unknown meaning that have a value."""
    valued = {
        key: value
        for key, value in content.items()
        if value is not None and not (value is False and key.startswith("do_"))
    }
    if problems := unknown(valued, known, "the images"):
        raise UserError(f"{file}: {problems[0]}")


def _kind(content: Mapping[str, Any]) -> str | None:
    """Return the name of the processor in PROCESSORS, None if the file names none."""
    found = content.get("image_processor_type", content.get("feature_extractor_type"))
    if found is None:
        return None
    match = CLASS.fullmatch(str(found))
    if match is None or match[1] not in PROCESSORS:
        known = ", ".join(f"{name}ImageProcessor" for name in PROCESSORS)
        raise UserError(f"{FILE}: image_processor_type {str(found)[:60]!r} is none of {known}")
    return match[1]


def _flag(content: Mapping[str, Any], key: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise UserError(f"{FILE}: {key} must be true or false, not {str(value)[:60]!r}")
    return value


def _positive(content: Mapping[str, Any], key: str, default: float) -> float:
    value = content.get(key, default)
    if not is_positive(value):
        raise UserError(f"{FILE}: {key} must be a positive number, not {str(value)[:60]!r}")
    return float(value)


def _part(file: str, value: Any) -> float:
    """Return the part of an image's side that a crop keeps."""
    if not is_positive(value) or not 0.01 <= value <= 1:
        raise UserError(f"{file}: crop_pct must be from 0.01 to 1, not {str(value)[:60]!r}")
    return float(value)


def _resample(given: Mapping[str, Any], usual: Images) -> Interpolation:
    number = given.get("resample")
    if number is None:
        return usual.interpolation
    if not isinstance(number, int) or isinstance(number, bool) or number not in PILLOW:
        raise UserError(f"{FILE}: resample must be one of Pillow's numbers 0 to 5, not {str(number)[:60]!r}")
    return PILLOW[number]


def _numbers(given: Mapping[str, Any], usual: Images) -> dict[str, Any]:
    """Return scale, mean and std. A single number is for all channels."""
    scale = _positive(given, "rescale_factor", 1 / 255) if _flag(given, "do_rescale", True) else 1.0
    if not _flag(given, "do_normalize", True):
        return {"scale": scale, "mean": (0.0,), "std": (1.0,)}
    mean = _channels(FILE, "image_mean", given.get("image_mean", usual.mean))
    std = _channels(FILE, "image_std", given.get("image_std", usual.std), positive=True)
    return {"scale": scale, **_as_long(FILE, "image_mean", mean, "image_std", std)}


def _channels(file: str, key: str, value: Any, *, positive: bool = False) -> tuple[float, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    good = all(isinstance(each, Real) and not isinstance(each, bool) and math.isfinite(each) for each in values)
    if not values or not good or (positive and not all(each > 0 for each in values)):
        what = "positive numbers" if positive else "numbers"
        raise UserError(f"{file}: {key} must be {what}, one for each channel, not {str(value)[:60]}")
    return tuple(map(float, values))


def _as_long(file: str, first: str, mean: tuple[float, ...], second: str, std: tuple[float, ...]) -> dict[str, Any]:
    longest = max(len(mean), len(std))
    if {len(mean), len(std)} - {1, longest}:
        raise UserError(f"{file}: {first} has {len(mean)} values and {second} {len(std)}")
    return {"mean": mean * (longest // len(mean)), "std": std * (longest // len(std))}


def _size(given: Mapping[str, Any]) -> int | Size | None:
    """Return the shorter side that images are resized to, or height and width; None where the file has no size."""
    size = given.get("size")
    if size is None:
        return None
    square = _flag(given, "default_to_square", True)
    if isinstance(size, Mapping):
        if set(size) == {"shortest_edge"}:
            return _pixels("size", size["shortest_edge"])
        return _both("size", size)
    if isinstance(size, list | tuple):
        return _both("size", size)
    side = _pixels("size", size)
    return (side, side) if square else side


def _crop_size(given: Mapping[str, Any]) -> Size:
    size = given.get("crop_size")
    if size is None:
        raise UserError(f"{FILE}: do_center_crop is true, and there is no crop_size")
    if isinstance(size, Mapping | list | tuple):
        return _both("crop_size", size)
    side = _pixels("crop_size", size)
    return side, side


def _both(key: str, size: Any) -> Size:
    """Return height and width of {"height": h, "width": w} or [h, w]."""
    if isinstance(size, Mapping) and set(size) == {"height", "width"}:
        size = [size["height"], size["width"]]
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise UserError(f"{FILE}: {key} must be height and width, or the shortest_edge, not {str(size)[:60]}")
    return _pixels(key, size[0]), _pixels(key, size[1])


def _pixels(key: str, value: Any, file: str = FILE) -> int:
    if not isinstance(value, int) or not is_positive(value) or value > MOST:
        raise UserError(f"{file}: {key} must be a positive number of pixels, at most {MOST}, not {str(value)[:60]!r}")
    return value


def to_hugging_face(images: Images) -> dict[str, Any]:
    """Return the content of preprocessor_config.json for `images`. That library rounds its crops down, always."""
    number = {name: value for value, name in PILLOW.items()}[images.interpolation]
    size: dict[str, int] = {"height": images.size[0], "width": images.size[1]}
    kind, more = "ViTImageProcessor", {}
    if images.resize not in (None, "as is"):
        more = {"do_center_crop": True, "crop_size": size}
    if isinstance(images.resize, int):
        kind, size = "BitImageProcessor", {"shortest_edge": images.resize}
    elif isinstance(images.resize, tuple):
        kind, size = "DeiTImageProcessor", {"height": images.resize[0], "width": images.resize[1]}
    if len(images.mean) == 1:
        more["do_convert_rgb"] = False  # some of its processors would make three channels of a grey image
    return {
        "image_processor_type": kind,
        "do_resize": not isinstance(images.resize, str),
        "size": size,
        "resample": number,
        "do_rescale": images.scale != 1,
        "rescale_factor": images.scale,
        "do_normalize": True,
        "image_mean": list(images.mean),
        "image_std": list(images.std),
        **more,
    }


def from_timm(content: Mapping[str, Any]) -> Images:
    """Return the preprocessing in `pretrained_cfg` of a timm model's config.json.

    What it leaves out is timm's default, as in its `resolve_data_config`.
    """
    file = TIMM
    _require_known(file, content, TIMM_USED | TIMM_HARMLESS)
    content = {key: value for key, value in content.items() if value}  # timm takes its default for 0 and [] as well
    if "label_offset" in content:
        raise UserError(f"{file}: label_offset {str(content['label_offset'])[:60]} is not supported")
    size = content.get("input_size", (3, 224, 224))
    if not isinstance(size, list | tuple) or len(size) != 3:
        raise UserError(f"{file}: input_size must be channels, height and width, not {str(size)[:60]!r}")
    _, height, width = (_pixels("input_size", side, file) for side in size)
    part = _part(file, content.get("crop_pct", 0.875))
    mode = content.get("crop_mode", "center")
    if mode not in ("center", "squash"):
        raise UserError(f"{file}: crop_mode {str(mode)[:60]!r} is not supported, only center and squash")
    resize: int | Size = math.floor(height / part), math.floor(width / part)
    if mode == "center":
        if height != width:
            raise UserError(f"{file}: crop_mode center of images of {height}x{width} is not supported, only of squares")
        resize = resize[0]
    interpolation = content.get("interpolation", "bicubic")
    if interpolation not in get_args(Interpolation):
        raise UserError(f"{file}: interpolation {str(interpolation)[:60]!r} is none of {', '.join(PILLOW.values())}")
    mean = _channels(file, "mean", content.get("mean", IMAGENET_MEAN))
    std = _channels(file, "std", content.get("std", IMAGENET_STD), positive=True)
    return Images((height, width), resize, interpolation, **_as_long(file, "mean", mean, "std", std))


def for_channels(images: Images, content: Mapping[str, Any], channels: int) -> Images:
    """Return the preprocessing that a file describes for weights that read images of `channels`.

    A number for all channels is each channel's, and numbers that are equal are one. UserError if they differ, or if the
    processor makes images of three channels. content: that of preprocessor_config.json, empty of a timm model.
    """
    if content.get("do_convert_rgb") and channels == 1:
        raise UserError(f"{FILE}: do_convert_rgb makes images of 3 channels, and these weights read 1: write false")
    if channels == len(images.mean):
        return images
    if len(set(images.mean)) > 1 or len(set(images.std)) > 1:
        keys = f"{FILE}: image_mean and image_std" if content else f"{TIMM}: mean and std"
        raise UserError(
            f"{keys} are of {len(images.mean)} channels, and these weights read {channels}: write {channels} of each"
        )
    return dataclasses.replace(images, mean=images.mean[:1] * channels, std=images.std[:1] * channels)
