"""Where the live exhibits stand on the page, and which rooms lead to them."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from train.algorithms.cards import ALGORITHMS
from train.history.timeline import cells
from train.history.timeline.exhibits import Exhibit
from train.history.timeline.live import packing
from train.history.timeline.live.growth import growths
from train.history.timeline.live.nets import Net
from train.history.timeline.live.traces import BARS, Trace
from train.history.timeline.rooms import Room


class Place(NamedTuple):
    """A live exhibit on the page."""

    anchor: str  # its id
    title: str  # key of its title among the page's words


DRAW, XOR, DESCENT = Place("draw-a-digit", "draw"), Place("learn-xor", "xor"), Place("run-down", "descent")
GROWTH, NEXT = Place("watch-growth", "growth"), Place("what-is-next", "next")
RULES = ("sgd", "momentum", "adam")  # update rules that run down one surface
OF_XOR = ("perceptron", "mlp", "xor")  # models and the claim that are about it


def vocabulary(
    nets: Sequence[Net], rooms: Sequence[Room], exhibits: Sequence[Exhibit], traces: Sequence[Trace]
) -> dict[str, Any]:
    """Return what the templates of the live exhibits use, by name."""
    shown = readers(nets, rooms)
    values = (2 * packing.LEVELS + 1, 2 * packing.FEW_LEVELS + 1)
    rules = [ALGORITHMS[name] for name in RULES]
    return {
        "nets": shown,
        "levels": values,
        "rules": rules,
        "growths": growths(exhibits),
        "traces": traces,
        "bars": BARS,
        "trace_facts": [trace.facts for trace in traces],
        "live_in": functools.partial(live_in, nets=shown, traces=traces),
    }


def readers(nets: Sequence[Net], rooms: Sequence[Room]) -> list[Net]:
    """Return the networks that read a drawn digit, with a title, their room, and whether maps of them are shown.

    The title of a user's own run is its name: the room of its model may have another network in the exhibit.
    """
    titles, room_of = {room.id: room.title for room in rooms}, cells.room_of(rooms)
    found = []
    for net in nets:
        room, maps = room_of.get(net["model"], ""), any("shows" in layer for layer in net["layers"])
        title = titles.get(room, net["name"]) if net["ours"] else net["name"]
        found.append({**net, "title": title, "room": room, "maps": maps})
    return found


def live_in(room: Room, *, nets: Sequence[Net], traces: Sequence[Trace]) -> Iterator[Place]:
    """Yield the live exhibits that a room is about. nets: those of `readers`."""
    if any(net["room"] == room.id for net in nets):
        yield DRAW
    if room.name in OF_XOR:
        yield XOR
    if room.kind == "optimizer" and room.name in RULES:
        yield DESCENT
    if growths(room.exhibits):
        yield GROWTH
    if {trace.model for trace in traces} & {card.name for card in room.cards}:
        yield NEXT
