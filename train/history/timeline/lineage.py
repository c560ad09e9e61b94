"""The lineage: a graph of the models' papers and the ideas that they took over, laid out by year, deterministically."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

WIDTH, TALL = 116, 36  # size of a node in pixels
ACROSS, DOWN = 134, 66  # distance of lanes, and of rows
BORDER, MARGIN = 6, 52  # around the graph, and on its left for the years


@dataclasses.dataclass(frozen=True)
class Member:
    """One paper. `parents`: id of a paper -> the idea that was taken over from it, the closest paper first."""

    id: str
    title: str
    year: int
    parents: Mapping[str, str]


class Node(NamedTuple):
    id: str
    title: str
    year: int
    x: float  # of its upper left corner
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
    years: tuple[tuple[int, float], ...]  # (year, y of the middle of its first row)


def lay_out(members: Sequence[Member]) -> Graph:
    """Lay out the graph: rows by year and within a year by generation, a separate lane for each line of descent.

    Parents must come first in `members`.
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
    """Return for each member the number of consecutive ancestors that have its own year."""
    found: dict[str, int] = {}
    for member in members:
        same = [found[p] for p in member.parents if p in found and known[p].year == member.year]
        found[member.id] = max(same, default=-1) + 1
    return found


def _lanes(members: Sequence[Member], known: Mapping[str, Member], row: Mapping[str, int]) -> dict[str, int]:
    """Put each line of descent into the free lane that is closest to its start. The leftmost lane is 0."""
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
    """Divide the members into lines of descent.

    A line continues with an heir that names the member as its first parent: the one with the most descendants.
    """
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
    """Return the path from (lane, row) to (lane, row) that avoids the cells in `taken`.

    It runs down the child's lane, or down the parent's lane, or if both are occupied, beside the parent's lane.
    """
    x0, y0 = _middle(parent[0]), BORDER + DOWN * parent[1] + TALL
    x1, y1 = _middle(child[0]), BORDER + DOWN * child[1] - 2
    between = range(parent[1] + 1, child[1])
    gap = DOWN - TALL - 8  # the rest is straight, so that the arrow points down
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
    """Return an S-shaped curve from one vertical line to another."""
    half = (y0 + y1) / 2
    return f"C {x0:g} {half:g} {x1:g} {half:g} {x1:g} {y1:g}"
