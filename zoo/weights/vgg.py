"""The layouts of VGG in torchvision and timm.

Both number the modules of one sequence, so that a pooling is a gap between two convolutions. timm keeps the first two
fully connected layers as convolutions and averages after them, torchvision averages the maps before: at 224x224 pixels
they are the same network.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zoo.vgg import VGG, Config
from zoo.weights import timm_keys
from zoo.weights.keys import Keys
from zoo.weights.layout import Found, Layout, Shapes, first_axis
from zoo.weights.preprocessing import TORCHVISION
from zoo.weights.rules import CONV, Rule, Transform, batch_norm, flat_maps, linear, transposed

THEIRS, OURS = re.compile(r"features\.(\d+)\.weight"), re.compile(r"params/trunk/conv(\d+)_\d+/kernel")
NORM = "features.1.running_mean"
TIMM_KEYS = timm_keys.keys(
    architecture=r"vgg(11|13|16|19)(_bn)?",
    pool="avg",
    used={},
    only={
        "act_layer": (None, "relu"),
        "conv_layer": (None,),
        "mlp_ratio": (1.0,),
        "norm_layer": (None,),
        "output_stride": (32,),
    },
    harmless=("drop_rate",),
)


def trunk(config: Config) -> list[Rule]:
    """Return the rules of features.0, features.2, …: each convolution, its norm if it has one, its ReLU; poolings."""
    rules, place = [], 0
    for i, depth in enumerate(config.depths, start=1):
        for j in range(1, depth + 1):
            rules += linear(f"params/trunk/conv{i}_{j}", f"features.{place}", CONV)
            if config.batch_norm:
                rules += batch_norm(f"trunk/norm{i}_{j}", f"features.{place + 1}")
            place += _step(config.batch_norm)
        place += 1  # the pooling
    return rules


def torchvision_rules(config: Config) -> list[Rule]:
    """Return the rules of the trunk and of classifier.0, 3, 6; classifier.0 reads maps of 7 x 7."""
    rules = [*trunk(config), *linear("params/fc6", "classifier.0", flat_maps(config.widths[-1]))]
    return rules + linear("params/fc7", "classifier.3") + linear("params/head", "classifier.6")


def timm_rules(config: Config) -> list[Rule]:
    """Return the rules of the trunk, of pre_logits.fc1 and fc2, convolutions of 7 x 7 and 1 x 1, and of head.fc."""
    rules = [*trunk(config), *linear("params/fc6", "pre_logits.fc1", _dense_of_maps(config.grid))]
    return rules + linear("params/fc7", "pre_logits.fc2", _dense_of_maps(1)) + linear("params/head", "head.fc")


def _dense_of_maps(side: int) -> Transform:
    """Return the Transform of a convolution (F, C, side, side) over maps of its own size -> Dense (side² * C, F)."""
    axes = transposed(2, 3, 1, 0)
    return Transform(
        lambda parts: axes.read(parts).reshape(-1, parts[0].shape[0]),
        lambda ours: axes.write(ours.reshape(side, side, -1, ours.shape[-1])),
    )


def _step(normalized: bool) -> int:
    """Return how many modules of the sequence a convolution takes, its norm and its ReLU among them."""
    return 3 if normalized else 2


def stages(shapes: Shapes) -> Found:
    """Return the depths and widths that the names and shapes of the convolutions show, ours too; {} without any."""
    found: dict[int, list[int]] = {}  # stage -> features of each of its convolutions
    stage, step, before = 0, _step(NORM in shapes), 0
    for place, features in sorted(_convolutions(shapes)):
        stage += place != before + step
        found.setdefault(stage, []).append(features)
        before = place
    for name, shape in shapes.items():
        if (hit := OURS.fullmatch(name)) and len(shape) == 4:
            found.setdefault(int(hit[1]), []).append(shape[-1])
    each = [found[stage] for stage in sorted(found)]
    return {"depths": tuple(map(len, each)), "widths": tuple(features[0] for features in each)} if each else {}


def _convolutions(shapes: Shapes) -> Iterator[tuple[int, int]]:
    """Yield the place and the features of each convolution of the other libraries."""
    for name, shape in shapes.items():
        if (hit := THEIRS.fullmatch(name)) and len(shape) == 4:
            yield int(hit[1]), shape[0]


def _refuses(config: Config) -> str:
    if config.kernel != 3:
        return "its kernels are 3x3"
    return "its last maps are averaged to 7x7" if config.grid != 7 else ""


def _layout(name: str, rules: Callable[[Config], list[Rule]], *dense: str, keys: Mapping[str, Keys]) -> Layout:
    """Return the layout whose fully connected layers are called `dense`, first to last."""
    classes, hidden = f"{dense[2]}.weight", f"{dense[1]}.weight"

    def infer(shapes: Shapes, content: Mapping[str, Any], config: Config) -> Found:
        return {**first_axis(shapes, classes=classes, hidden=hidden), "batch_norm": NORM in shapes}

    return Layout(
        name,
        VGG,
        rules,
        known_by=("features.0.weight", *(f"{layer}.weight" for layer in dense)),
        keys=keys,
        infer=infer,
        not_weights=("*.num_batches_tracked",),
        refuses=_refuses,
        first=("features.0.weight", 1),
        preprocessing=TORCHVISION,
    )


LAYOUTS = [
    _layout("torchvision", torchvision_rules, "classifier.0", "classifier.3", "classifier.6", keys={}),
    _layout("timm", timm_rules, "pre_logits.fc1", "pre_logits.fc2", "head.fc", keys=timm_keys.kinds(TIMM_KEYS)),
]
