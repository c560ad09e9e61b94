"""The tour: ten stops through the history, each a short text, a figure, and the rooms where it goes on.

stops.toml names what all languages share: the order, and of each stop the figure, the rooms and the claims.
LANG/NAME.toml has the words of a stop. Its sentences under `measured` have named places for recorded figures (see
recorded.py); no figure of this project is written by hand.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from train.history.timeline import cells
from train.history.timeline.exhibits import Exhibit, Picture
from train.history.timeline.findings import Finding
from train.history.timeline.rooms import Room, room_id
from train.history.timeline.tour.charts import Bar, Curves, bars, curves
from train.history.timeline.tour.recorded import Piece, Recorded
from train.history.timeline.words import Words

HERE = Path(__file__).parent
STORY = ("broken", "idea", "happened", "open")
"""The parts of a stop's text, in the order in which they are told."""


class Hero(NamedTuple):
    """The figure of a stop: one of a picture, bars and curves."""

    title: str
    note: str
    picture: Picture | None = None
    bars: Sequence[Bar] = ()
    curves: Curves | None = None


class Stop(NamedTuple):
    """One stop, with everything that was recorded filled in."""

    id: str
    title: str
    years: str
    story: list[tuple[str, str]]  # part of STORY, text
    measured: list[list[Piece]]  # sentences; [] where nothing was recorded
    questions: list[str]
    hero: Hero | None  # None where what it shows was not recorded
    rooms: list[Room]
    findings: list[Finding]


def stops(rooms: Sequence[Room], exhibits: Sequence[Exhibit], findings: Sequence[Finding], t: Words) -> list[Stop]:
    """Return the stops of the tour in the language of `t`, with those of their rooms that the page has."""
    recorded = Recorded.of(exhibits, findings, t)
    return [_stop(i, shared, rooms, recorded) for i, shared in enumerate(load_stops(), start=1)]


def load_stops() -> list[dict[str, Any]]:
    """Return what all languages share of each stop, in their order."""
    return tomllib.loads((HERE / "stops.toml").read_text(encoding="utf-8"))["stops"]


def load_words(name: str, lang: str) -> dict[str, Any]:
    """Return the words of a stop."""
    return tomllib.loads((HERE / lang / f"{name}.toml").read_text(encoding="utf-8"))


def room_ids(shared: Mapping[str, Any], rooms: Sequence[Room]) -> list[str]:
    """Return the ids of a stop's rooms, which stops.toml names by a card or an algorithm, and the page has."""
    of_cards = cells.room_of(rooms)
    of_algorithms = {room.algorithm.name: room.id for room in rooms if room.algorithm}
    return [
        of_cards.get(name) or of_algorithms[name] for name in shared["rooms"] if name in {**of_cards, **of_algorithms}
    ]


def _stop(number: int, shared: Mapping[str, Any], rooms: Sequence[Room], recorded: Recorded) -> Stop:
    words = load_words(shared["name"], recorded.t.lang)
    by_id = {room.id: room for room in rooms}
    sentences = [recorded.sentence(text) for text in words["measured"]]
    claims = [recorded.findings[name] for name in shared["claims"] if name in recorded.findings]
    return Stop(
        id=f"tour-{number}",
        title=words["title"],
        years=shared["years"],
        story=[(part, words[part]) for part in STORY],
        measured=[sentence for sentence in sentences if sentence],
        questions=words["questions"],
        hero=_hero(shared["figure"], words["figure"], recorded),
        rooms=[by_id[id] for id in room_ids(shared, rooms)],
        findings=[claim for claim in claims if room_id("claim", claim.name) in by_id],
    )


def _hero(shared: Mapping[str, Any], words: Mapping[str, Any], recorded: Recorded) -> Hero | None:
    title, note = words["title"], words["note"]
    if "picture" in shared:
        exhibit = recorded.exhibits.get(shared["exhibit"])
        pictures = exhibit.pictures if exhibit else ()
        picture = next((one for one in pictures if one.kind == shared["picture"]), None)
        return Hero(title, note, picture=picture) if picture else None
    if "bars" in shared:
        labels = dict(zip(shared["bars"], words["labels"], strict=True))
        found = bars(shared["bars"], labels, shared["colors"], recorded)
        return Hero(title, note, bars=found) if found else None
    finding = recorded.findings.get(shared["claim"])
    drawn = (
        curves(finding, dict(zip(shared["curves"], words["labels"], strict=True)), words["x"], words["y"])
        if finding
        else None
    )
    return Hero(title, note, curves=drawn) if drawn else None
