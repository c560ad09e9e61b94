"""The sizes of the network that arrays are of, for the message where a model has others."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoo import bert, gpt, lstm, resnet, seq2seq, transformer, vgg, vit
from zoo.weights.layout import Found, Layout, Shapes
from zoo.weights.layouts import OWN
from zoo.weights.rules import SAME, Rule, rule
from zoo.weights.vgg import stages

GOOGLE = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
"""The only array in any layout that shows the number of heads: (width, heads, width of a head)."""
MOST = 200
"""Most blocks that are looked for."""
UP = "params/block{}/mlp/up/kernel"


TABLE = {"width": ("params/tokens/embedding", -1)}
WHERE: dict[type, tuple[dict[str, tuple[str, int]], str]] = {
    vit.Config: ({"width": ("params/token", -1)}, UP),
    bert.Config: (TABLE, UP),
    gpt.Config: (TABLE, UP),
    transformer.Config: (
        {**TABLE, "hidden": ("params/encoder0/mlp/up/kernel", -1)},
        "params/encoder{}/mlp/up/kernel",
    ),
    lstm.Config: ({"width": ("params/layers/layer0/recurrent", 0)}, "params/layers/layer{}/recurrent"),
    seq2seq.Config: (
        {"embed": ("params/source_embed/embedding", -1), "width": ("params/encoder/layer0/recurrent", 0)},
        "params/encoder/layer{}/recurrent",
    ),
}
"""For each architecture the arrays of ours, and their axes, that show a field, and an array of every block."""


def shown(layout: Layout, shapes: Shapes, config: Any) -> Found:
    """Return the fields for width and depth that the shapes of a file determine; {} of other networks."""
    kind = type(config)
    if kind is resnet.Config:
        return _stages(layout, shapes, config)
    if kind is vgg.Config:
        return stages(shapes)
    if kind not in WHERE:
        return {}
    fields, block = WHERE[kind]
    paths = [*(path for path, _ in fields.values()), *(block.format(i) for i in range(MOST))]
    ours = _ours(layout, shapes, dataclasses.replace(config, depth=MOST), paths)
    if block.format(0) not in ours or not all(path in ours for path, _ in fields.values()):
        return {}
    found = {field: ours[path][axis] for field, (path, axis) in fields.items()} | {"depth": _count(block, ours)}
    hidden = ours[block.format(0)][-1]
    if kind is vit.Config and hidden % found["width"] == 0:
        found["mlp_ratio"] = hidden // found["width"]
    if len(shapes.get(GOOGLE, ())) == 3:
        found["heads"] = shapes[GOOGLE][1]
    return found


def _stages(layout: Layout, shapes: Shapes, config: resnet.Config) -> Found:
    stages = 8
    many = {"depths": (MOST,) * stages, "widths": (8,) * stages, "zero_init_last_scale": False, "drop_path": 0.0}
    names = [f"params/s{stage}b{{}}/conv1/kernel" for stage in range(stages)]
    third = "params/s0b0/conv3/kernel"
    paths = [third, *(name.format(i) for name in names for i in range(MOST))]
    # A network of three convolutions in a block has the arrays of one with two.
    ours = _ours(layout, shapes, dataclasses.replace(config, **many, bottleneck=True, shortcut="B"), paths)
    names = [name for name in names if name.format(0) in ours]
    if not names or names[-1] != f"params/s{len(names) - 1}b{{}}/conv1/kernel":
        return {}
    depths, widths = (_count(name, ours) for name in names), (ours[name.format(0)][-1] for name in names)
    return {"depths": tuple(depths), "widths": tuple(widths), "bottleneck": third in ours}


def _ours(layout: Layout, shapes: Shapes, config: Any, paths: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of arrays of ours at `paths` that are made from those of a file, where it has them."""
    wanted, found = set(paths), {}
    rules: list[Rule] = [rule(path, path, SAME) for path in paths] if layout.name == OWN else layout.rules(config)
    for each in rules:
        theirs = [layout.canonical(name) for name in each.theirs]
        if each.ours[0] in wanted and all(name in shapes for name in theirs):
            try:
                parts = [np.broadcast_to(np.float32(0), shapes[name]) for name in theirs]
                shape = each.read(parts)[each.ours[0]].shape
            except (ValueError, IndexError):  # of another shape altogether
                continue
            if shape and 0 not in shape:
                found[each.ours[0]] = shape
    return found


def _count(block: str, ours: Mapping[str, Any]) -> int:
    return next((i for i in range(MOST) if block.format(i) not in ours), MOST)
