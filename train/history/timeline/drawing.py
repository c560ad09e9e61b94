"""Diagrams of a model: its parts from top to bottom with their connections, then the inside of each kind of part.

This module computes positions and paths in pixels; the template web/drawing.svg.j2 writes them as SVG.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from train.metrics.format import human
from zoo.wiring import IN, OUT, SUM, Part, Wire

WIDTH, TALL, LOW, ROUND = 224, 46, 26, 24  # width of a part; heights of a part, an end and a sum
GAP, LABELLED_GAP = 18, 34  # vertical distance of two of them, without and with a label on the wire
EDGE, LANE = 6, 13  # margin on the left; distance of the wires around parts
MOST = 8  # diagrams of one model, at most
FAMILIES = {
    "attention": r"Attention",
    "conv": r"Conv|Stem",
    "dense": r"Dense|Embed|Head|Maxout|Stream|Projection",
    "norm": r"Norm",
    "recurrent": r"LSTM|GRU|Cell",
}
"""Kinds of parts with their own color -> pattern of their type's name. The first match counts."""


class Box(NamedTuple):
    """One part, or `times` equal parts, or a sum, or an end."""

    kind: Literal["part", "sum", "end"]
    family: str
    x: float
    y: float
    width: float
    height: float
    name: str
    type: str
    shape: str
    params: str
    times: int
    loops: bool


class Line(NamedTuple):
    """A wire as an SVG path. `around`: it passes other parts, like a shortcut."""

    path: str
    says: str
    x: float
    y: float
    around: bool


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The diagram of one module. `title`: its type. `where`: its path in the model, "" for the whole model."""

    title: str
    where: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]

    @property
    def parts(self) -> list[Box]:
        return [box for box in self.boxes if box.kind == "part"]

    @property
    def shortcuts(self) -> int:
        return sum(line.around for line in self.lines)


def draw(model: Part, inputs: Mapping[str, tuple[tuple[int, ...], Any]]) -> list[Drawing]:
    """Draw the model, then every kind of part that has parts of its own, outermost first."""
    said = [f"{name} {shape(size)}" for name, (size, dtype) in inputs.items() if np.dtype(dtype) != np.bool_]
    drawings, known = [_panel(model, "", ", ".join(said))], {model.kind}
    level = [(part, part.name) for part in model.parts]
    while level and len(drawings) < MOST:
        below = []
        for part, path in level:
            if not part.parts:
                continue
            if part.kind not in known and len(drawings) < MOST:
                known.add(part.kind)
                drawings.append(_panel(part, path, ""))
            below += [(inner, f"{path}/{inner.name}") for inner in part.parts]
        level = below
    return drawings


def shape(size: Sequence[int]) -> str:
    """Format a shape: (28, 28, 6) -> "28×28×6"; () -> "1"."""
    return "×".join(map(str, size)) or "1"


class _Group(NamedTuple):
    parts: list[Part]
    first: int  # index of the first among the parts of the module


def _fold(part: Part) -> list[_Group]:
    """Group consecutive parts of the same structure and size, if they are connected in a simple chain."""
    groups: list[_Group] = []
    for place, inner in enumerate(part.parts):
        last = groups[-1].parts[-1] if groups else None
        alike = (
            last is not None
            and inner.module != SUM
            and bool(inner.parts)
            and (inner.kind, inner.output, inner.params) == (last.kind, last.output, last.params)
        )
        if alike and _chained(part.wires, place):
            groups[-1].parts.append(inner)
        else:
            groups.append(_Group([inner], place))
    return groups


def _chained(wires: Sequence[Wire], place: int) -> bool:
    """Return whether the only output of the previous part goes to the part at index `place`."""
    return [wire.end for wire in wires if wire.start == place - 1] == [place]


def _panel(part: Part, path: str, given: str) -> Drawing:
    groups = _fold(part)
    index = {
        place: i + 1 for i, group in enumerate(groups) for place in range(group.first, group.first + len(group.parts))
    }
    index |= {IN: 0, OUT: len(groups) + 1}
    wires: dict[tuple[int, int], str] = {}
    for start, end, says in part.wires:
        ends = index[start], index[end]
        if ends[0] < ends[1]:
            wires[ends] = wires.get(ends) or ", ".join(says)
    boxes, y = [], 2.0
    for i in range(len(groups) + 2):
        if i:
            y += LABELLED_GAP if wires.get((i - 1, i)) and _words(wires, i) else GAP
        group = groups[i - 1] if 0 < i <= len(groups) else None
        boxes.append(_box(part, group, given if not i else "", y, first=not i))
        y += boxes[-1].height
    lines = [*_straight(boxes, wires), *_around(boxes, wires)]
    right = max([EDGE + WIDTH + 4, *(line.x + 6 for line in lines if line.around)])
    return Drawing(part.module, path, right, y + 2, tuple(boxes), tuple(lines))


def _words(wires: Mapping[tuple[int, int], str], i: int) -> bool:
    return bool(wires[i - 1, i])


def _box(part: Part, group: _Group | None, given: str, y: float, first: bool) -> Box:
    middle = EDGE + WIDTH / 2
    if group is None:
        says = given or ("in" if first else "out" if part.name else f"out {shape(part.output)}")
        width = max(64.0, 7.2 * len(says) + 24)
        return Box("end", "", middle - width / 2, y, width, LOW, says, "", "", "", 1, False)
    inner, last = group.parts[0], group.parts[-1]
    if inner.module == SUM:
        return Box("sum", "", middle - ROUND / 2, y, ROUND, ROUND, "+", "", "", "", 1, False)
    family = next((name for name, pattern in FAMILIES.items() if re.search(pattern, inner.module)), "")
    times, name = len(group.parts), inner.name
    if times > 1:
        alike = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(name, last.name, strict=False))))
        name = f"{name} … {last.name[alike:]}"
    params = human(inner.params) if inner.params else ""
    return Box(
        "part", family, EDGE, y, WIDTH, TALL, name, inner.module, shape(inner.output), params, times, inner.loops
    )


def _straight(boxes: Sequence[Box], wires: Mapping[tuple[int, int], str]) -> Iterator[Line]:
    middle = EDGE + WIDTH / 2
    for (start, end), says in wires.items():
        if end == start + 1:
            top, bottom = boxes[start].y + boxes[start].height, boxes[end].y
            yield Line(f"M {middle} {top} V {bottom - 1}", says, middle + 9, (top + bottom) / 2, False)


def _around(boxes: Sequence[Box], wires: Mapping[tuple[int, int], str]) -> Iterator[Line]:
    """Yield the wires that pass other parts, in lanes on the right. Shorter wires are closer to the parts."""
    lanes: list[list[tuple[int, int]]] = []
    for (start, end), says in sorted(wires.items(), key=lambda item: (item[0][1] - item[0][0], item[0])):
        if end == start + 1:
            continue
        lane = next((i for i, used in enumerate(lanes) if all(end <= a or b <= start for a, b in used)), len(lanes))
        lanes[lane:] = lanes[lane:] or [[]]
        lanes[lane].append((start, end))
        x, here, there = EDGE + WIDTH + 12 + LANE * lane, boxes[start], boxes[end]
        top = here.y + here.height * (0.7 if here.kind == "part" else 0.5)
        bottom = there.y + there.height * (0.3 if there.kind == "part" else 0.5)
        down = f"H {x - 7} Q {x} {top} {x} {top + 7} V {bottom - 7} Q {x} {bottom} {x - 7} {bottom}"
        path = f"M {here.x + here.width} {top} {down} H {there.x + there.width + 1}"
        yield Line(path, says, x, (top + bottom) / 2, True)
