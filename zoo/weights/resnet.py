"""The layouts of ResNet in torchvision, timm, Hugging Face's library and the common CIFAR code.

torchvision and timm use the same names; their bottlenecks stride on the 3x3 convolution ("v1.5"). `torchvision-v1` has
these names with the paper's stride on the first 1x1, as in conversions from Caffe. `pytorch-cifar` is for small images,
as in github.com/akamaster/pytorch_resnet_cifar10 (section 4.2) and github.com/kuangliu/pytorch-cifar.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from zoo.resnet import Config, ResNet
from zoo.weights import hugging_face, timm_keys
from zoo.weights.layout import Found, Layout, Shapes, first_axis
from zoo.weights.preprocessing import IMAGENET_MEAN, IMAGENET_STD, TORCHVISION, Images
from zoo.weights.rules import CONV, LINEAR, Rule, Transform, batch_norm, linear, reordered

BUFFERS = ("*.num_batches_tracked",)
TORCH = ("conv1.weight", "layer1.0.conv1.weight")  # kernels of the stem and of the first block
HUGGING_FACE = (
    "resnet.embedder.embedder.convolution.weight",
    "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight",
)


def torch_rules(config: Config, projection: str = "downsample", head: str = "fc") -> list[Rule]:
    """Return the rules: conv1, bn1, layer1.0.conv1, layer1.0.bn1, ..., layer2.0.downsample.0, ..., fc."""
    rules = [*_conv("stem/conv", "conv1"), *batch_norm("stem/norm", "bn1")]
    for ours, stage, block, convolutions, projects in _blocks(config):
        theirs = f"layer{stage + 1}.{block}"
        for i in range(1, convolutions + 1):
            rules += _conv(f"{ours}/conv{i}", f"{theirs}.conv{i}") + batch_norm(f"{ours}/norm{i}", f"{theirs}.bn{i}")
        if projects:
            rules += _conv(f"{ours}/shortcut_conv", f"{theirs}.{projection}.0")
            rules += batch_norm(f"{ours}/shortcut_norm", f"{theirs}.{projection}.1")
    return rules + linear("params/head", head)


def cifar_rules(config: Config) -> list[Rule]:
    """Return the same rules with layer2.0.shortcut.0 and linear.

    When a shortcut pads channels with zeros, this code puts half of them before the old channels; ours puts all of them
    after. So the channels of a stage are numbered differently, and every array that writes or reads them is reordered.
    """
    rules = torch_rules(config, "shortcut", "linear")
    if config.shortcut == "B":
        return rules
    order, orders = list(range(config.widths[0])), {}
    for stage, width in enumerate(config.widths):
        before = (width - len(order)) // 2
        kept = [before + place for place in order]
        order = kept + [place for place in range(width) if place not in set(kept)]
        orders[stage] = order
    changed: dict[str, Transform] = {"linear.weight": reordered(1, orders[len(orders) - 1], LINEAR)}
    for _, stage, block, _, _ in _blocks(config):
        theirs, reads = f"layer{stage + 1}.{block}", orders[stage if block else max(stage - 1, 0)]
        changed[f"{theirs}.conv1.weight"] = reordered(1, reads, CONV)
        changed[f"{theirs}.conv2.weight"] = reordered(0, orders[stage], CONV)
        for part in ("weight", "bias", "running_mean", "running_var"):
            changed[f"{theirs}.bn2.{part}"] = reordered(0, orders[stage])
    return [dataclasses.replace(each, transform=changed.get(each.theirs[0], each.transform)) for each in rules]


def hugging_face_rules(config: Config) -> list[Rule]:
    """Return the rules: resnet.embedder.embedder, resnet.encoder.stages.0.layers.0.layer.0, ..., classifier.1."""
    embedder = "resnet.embedder.embedder"
    rules = [*_conv("stem/conv", f"{embedder}.convolution"), *batch_norm("stem/norm", f"{embedder}.normalization")]
    for ours, stage, block, convolutions, projects in _blocks(config):
        theirs = f"resnet.encoder.stages.{stage}.layers.{block}"
        for i in range(convolutions):
            rules += _conv(f"{ours}/conv{i + 1}", f"{theirs}.layer.{i}.convolution")
            rules += batch_norm(f"{ours}/norm{i + 1}", f"{theirs}.layer.{i}.normalization")
        if projects:
            rules += _conv(f"{ours}/shortcut_conv", f"{theirs}.shortcut.convolution")
            rules += batch_norm(f"{ours}/shortcut_norm", f"{theirs}.shortcut.normalization")
    return rules + linear("params/head", "classifier.1")


def _conv(ours: str, theirs: str) -> list[Rule]:
    return linear(f"params/{ours}", theirs, CONV, bias=False)


def _blocks(config: Config) -> list[tuple[str, int, int, int, bool]]:
    """Return (our path, stage, block, convolutions, whether the shortcut is projected) of every block."""
    found, before = [], config.stem
    for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
        after = 4 * width if config.bottleneck else width
        for block in range(depth):
            changes = before != after or (stage > 0 and block == 0)
            projects = changes and config.shortcut == "B"
            found.append((f"s{stage}b{block}", stage, block, 3 if config.bottleneck else 2, projects))
            before = after
    return found


def _infer(names: tuple[str, str, str], shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
    """Return the fields found. names: of the kernels of head, stem, and the first block's first convolution."""
    head, stem, block = names
    found = {**first_axis(shapes, classes=head), **_stem_width(shapes, stem, block, config)}
    found["shortcut"] = "B" if any("downsample" in name or "shortcut" in name for name in shapes) else "A"
    if "layer_type" in content:
        found["bottleneck"] = content["layer_type"] == "bottleneck"
        if found["bottleneck"]:
            found["stride_in_3x3"] = not content["downsample_in_bottleneck"]
    return found


def _stem_width(shapes: Shapes, stem: str, block: str, config: Config) -> Found:
    """Return the stem's width unless `config` has it, be it named or as the first stage's."""
    found = first_axis(shapes, stem=stem, stage=block)
    if len(found) < 2 or found["stem"] == (config.stem_width or found["stage"]):
        return {}
    return {"stem_width": 0 if found["stem"] == found["stage"] else found["stem"]}


HUGGING_FACE_KEYS = hugging_face.keys(
    ("resnet",),
    architectures=r"(TF|Flax)?ResNet(Model|ForImageClassification|Backbone)",
    used={
        "num_channels": 3,
        "embedding_size": 64,
        "hidden_sizes": [256, 512, 1024, 2048],
        "depths": [3, 4, 6, 3],
        "downsample_in_bottleneck": False,
    },
    only={
        "layer_type": ("bottleneck", "basic"),
        "hidden_act": ("relu",),
        "downsample_in_first_stage": (False,),
    },
    harmless=("out_features", "out_indices", "stage_names"),
)
TIMM_KEYS = timm_keys.keys(
    architecture=r"resnet(18|26|34|50|101|152|200)",
    pool="avg",
    used={},
    only={
        "act_layer": (None, "relu"),
        "aa_layer": (None,),
        "avg_down": (False,),
        "base_width": (64,),
        "block_args": (None, {}),
        "block_reduce_first": (1,),
        "cardinality": (1,),
        "down_kernel_size": (1,),
        "norm_layer": (None,),
        "output_stride": (32,),
        "replace_stem_pool": (False,),
        "stem_type": ("",),
    },
    harmless=("channels", "drop_block_rate", "drop_path_rate", "drop_rate", "layers", "stem_width", "zero_init_last"),
)


def _usual(shapes: Shapes) -> Found:
    deep = any(".layer.2." in name for name in shapes)
    return {"stride_in_3x3": True} if deep else {}


def _describe(config: Config, shapes: Shapes) -> dict[str, Any]:
    return {
        "architectures": ["ResNetForImageClassification"],
        "model_type": "resnet",
        "num_channels": shapes["resnet.embedder.embedder.convolution.weight"][1],
        "embedding_size": config.stem,
        "hidden_sizes": [4 * width if config.bottleneck else width for width in config.widths],
        "depths": list(config.depths),
        "layer_type": "bottleneck" if config.bottleneck else "basic",
        "downsample_in_bottleneck": config.bottleneck and not config.stride_in_3x3,
        "id2label": {i: f"LABEL_{i}" for i in range(config.classes)},
        "label2id": {f"LABEL_{i}": i for i in range(config.classes)},
    }


def _strides(in_3x3: bool) -> Callable[[Config], Found]:
    return lambda config: {"stride_in_3x3": in_3x3} if config.bottleneck else {}


def _only_usual(config: Config) -> str:
    return "a plain network has no shortcuts" if config.shortcut == "none" else ""


def _cifar_refuses(config: Config) -> str:
    if config.shortcut == "A" and config.bottleneck:
        return "its bottlenecks project their shortcuts"
    if config.shortcut == "A" and config.stem != config.widths[0]:
        return "its stem is as wide as the first stage"
    return "its stem does not pool" if config.stem_pool else _only_usual(config)


def _torch_refuses(config: Config) -> str:
    return "its shortcuts are projected" if config.shortcut == "A" else _only_usual(config)


def _hugging_face_refuses(config: Config) -> str:
    stem = (config.stem_kernel, config.stem_stride, config.stem_pool)
    return "its stem is a 7x7 convolution followed by pooling" if stem != (7, 2, True) else _torch_refuses(config)


def _prefixed(name: str) -> str:
    return f"resnet.{name}" if name.startswith(("embedder.", "encoder.")) else name


_torch = Layout(
    "torchvision",
    ResNet,
    torch_rules,
    known_by=("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "fc.weight"),
    facts=_strides(in_3x3=True),
    infer=functools.partial(_infer, ("fc.weight", *TORCH)),
    not_weights=BUFFERS,
    refuses=_torch_refuses,
    first=("conv1.weight", 1),
    preprocessing=TORCHVISION,
)
LAYOUTS = [
    _torch,
    dataclasses.replace(
        _torch,
        name="timm",
        keys=timm_keys.kinds(TIMM_KEYS),
        preprocessing=dataclasses.replace(TORCHVISION, interpolation="bicubic"),
    ),
    dataclasses.replace(_torch, name="torchvision-v1", facts=_strides(in_3x3=False)),
    dataclasses.replace(
        _torch,
        name="pytorch-cifar",
        rules=cifar_rules,
        known_by=("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "linear.weight"),
        infer=functools.partial(_infer, ("linear.weight", *TORCH)),
        refuses=_cifar_refuses,
        preprocessing=Images((32, 32), mean=IMAGENET_MEAN, std=IMAGENET_STD),
    ),
    Layout(
        "huggingface",
        ResNet,
        hugging_face_rules,
        known_by=("resnet.embedder.embedder.convolution.weight", "classifier.1.weight"),
        usual=_usual,
        keys={"resnet": HUGGING_FACE_KEYS},
        infer=functools.partial(_infer, ("classifier.1.weight", *HUGGING_FACE)),
        rename=_prefixed,
        not_weights=BUFFERS,
        refuses=_hugging_face_refuses,
        first=("resnet.embedder.embedder.convolution.weight", 1),
        preprocessing=dataclasses.replace(TORCHVISION, interpolation="bicubic", crop="floor"),
        describe=_describe,
    ),
]
