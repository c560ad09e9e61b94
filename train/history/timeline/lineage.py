"""Who took what from whom: the papers of the models as a graph, laid out by year; the same input, the same picture."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

WIDTH, TALL = 116, 36  # of a node, pixels
ACROSS, DOWN = 134, 66  # from lane to lane, from row to row
BORDER, MARGIN = 6, 52  # around it all; on the left, where the years stand


@dataclasses.dataclass(frozen=True)
class Member:
    """One paper: `parents` names those it took something of, the nearest first, and says what."""

    id: str
    title: str
    year: int
    parents: Mapping[str, str]


class Node(NamedTuple):
    id: str
    title: str
    year: int
    x: float  # of its left upper corner
    y: float


class Edge(NamedTuple):
    parent: str
    child: str
    what: str
    path: str  # SVG


class Graph(NamedTuple):
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    years: tuple[tuple[int, float], ...]  # and the middle of the first row of each


def lay_out(members: Sequence[Member]) -> Graph:
    """Downwards by year, within a year by generation. A line of descent stays in one lane, and no other enters it.

    `members` must be in an order in which parents come first.
    """
    known = {member.id: member for member in members}
    generation = _generations(members, known)
    levels = sorted({(member.year, generation[member.id]) for member in members})
    row = {member.id: levels.index((member.year, generation[member.id])) for member in members}
    lane = _lanes(members, known, row)
    places = {id: (MARGIN + ACROSS * lane[id], BORDER + DOWN * row[id]) for id in known}
    nodes = tuple(Node(member.id, member.title, member.year, *places[member.id]) for member in members)
    taken = {(lane[id], row[id]) for id in known}
    spots = {id: (lane[id], row[id]) for id in known}
    edges = tuple(
        Edge(parent, member.id, what, _path(spots[parent], spots[member.id], taken))
        for member in members
        for parent, what in member.parents.items()
        if parent in known
    )
    years = {year: BORDER + DOWN * levels.index((year, 0)) + TALL / 2 for year, _ in levels}
    width = MARGIN + ACROSS * max(lane.values(), default=0) + WIDTH + BORDER
    height = 2 * BORDER + DOWN * max(0, len(levels) - 1) + TALL
    return Graph(width, height, nodes, edges, tuple(years.items()))


def _generations(members: Sequence[Member], known: Mapping[str, Member]) -> dict[str, int]:
    """Of each member, how many of its ancestors in a row are of its own year."""
    found: dict[str, int] = {}
    for member in members:
        same = [found[p] for p in member.parents if p in found and known[p].year == member.year]
        found[member.id] = max(same, default=-1) + 1
    return found


def _lanes(members: Sequence[Member], known: Mapping[str, Member], row: Mapping[str, int]) -> dict[str, int]:
    """Lines of descent, each in the free lane that is nearest to where it begins; the leftmost is 0."""
    lane: dict[str, int] = {}
    used: dict[int, list[tuple[int, int]]] = {}
    for line in _lines(members, known):
        parents = [p for p in known[line[0]].parents if p in lane]
        home = lane[parents[0]] if parents else 0
        first = row[parents[0]] + 1 if parents else row[line[0]]
        span = (first, row[line[-1]])
        near = sorted(range(-len(members), len(members) + 1), key=lambda place: (abs(place - home), -place))
        free = next(place for place in near if all(span[1] < a or b < span[0] for a, b in used.get(place, ())))
        used.setdefault(free, []).append(span)
        lane |= dict.fromkeys(line, free)
    least = min(lane.values(), default=0)
    return {id: place - least for id, place in lane.items()}


def _lines(members: Sequence[Member], known: Mapping[str, Member]) -> list[list[str]]:
    """Each member in one line: it goes on with that heir, of those that name it first, who has the most descendants."""
    heirs: dict[str, list[str]] = {id: [] for id in known}
    below: dict[str, set[str]] = {id: set() for id in known}
    for member in reversed(members):  # heirs before parents
        mine = [p for p in member.parents if p in known]
        for parent in mine:
            below[parent] |= {member.id} | below[member.id]
        if mine:
            heirs[mine[0]].insert(0, member.id)
    follows = {id: max(ids, key=lambda heir: len(below[heir])) for id, ids in heirs.items() if ids}
    lines = []
    for member in members:
        if member.id not in follows.values():
            line = [member.id]
            while line[-1] in follows:
                line.append(follows[line[-1]])
            lines.append(line)
    return lines


def _path(parent: tuple[int, int], child: tuple[int, int], taken: Set[tuple[int, int]]) -> str:
    """From (lane, row) to (lane, row) past all that is `taken`: across at once and down the child's lane, or down the
    parent's and across at last, or where both are barred down the space beside the parent's lane.
    """
    x0, y0 = _middle(parent[0]), BORDER + DOWN * parent[1] + TALL
    x1, y1 = _middle(child[0]), BORDER + DOWN * child[1] - 2
    between = range(parent[1] + 1, child[1])
    gap = DOWN - TALL - 8  # what is left is straight, so that the arrow's head points down
    for lane in (child[0], parent[0]):
        if not any((lane, row) in taken for row in between):
            x, down = _middle(lane), gap if lane == child[0] else y1 - y0 - gap
            if lane == child[0]:
                return f"M {x0:g} {y0:g} {_bend(x0, y0, x, y0 + down)} V {y1:g}"
            return f"M {x0:g} {y0:g} V {y0 + down:g} {_bend(x, y0 + down, x1, y1)}"
    beside = x0 + ACROSS / 2 * (1 if child[0] >= parent[0] else -1)
    return f"M {x0:g} {y0:g} {_bend(x0, y0, beside, y0 + gap)} V {y1 - gap:g} {_bend(beside, y1 - gap, x1, y1)}"


def _middle(lane: int) -> float:
    return MARGIN + ACROSS * lane + WIDTH / 2


def _bend(x0: float, y0: float, x1: float, y1: float) -> str:
    """An S from one upright line to another."""
    half = (y0 + y1) / 2
    return f"C {x0:g} {half:g} {x1:g} {half:g} {x1:g} {y1:g}"
