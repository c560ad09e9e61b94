"""The time axis: the landmarks by year in three lanes, and an overview as a line of dots at the scale of time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from train.history.timeline.keywords import keywords
from train.history.timeline.rooms import Room

LANES = ("model", "algorithm", "claim")
FIRST, LAST = 1958, 2020  # years outside of this range are marked
PER_YEAR, RADIUS, STEP = 18.0, 4.6, 11.0  # overview in pixels: width of a year, radius of a dot, distance of dots
END = 4  # distance, in years, of the marks at the ends from the axis
WIDEST = 12  # a gap of more years is not drawn wider


class Mark(NamedTuple):
    room: Room
    words: str  # the text that is searched, in lower case


class Year(NamedTuple):
    year: int
    gap: int  # years since the previous one, at most WIDEST
    outside: bool
    lanes: tuple[tuple[str, tuple[Mark, ...]], ...]


class Dot(NamedTuple):
    id: str
    title: str
    year: int
    lane: str
    shown: bool
    x: float
    y: float


class Overview(NamedTuple):
    """The dots of all rooms. Years outside of FIRST to LAST are at the two ends, apart from the axis."""

    width: float
    height: float
    base: float
    radius: float
    ticks: tuple[tuple[str, float], ...]
    dots: tuple[Dot, ...]


def by_year(rooms: Sequence[Room], plain: Callable[[str], str]) -> list[Year]:
    """Group rooms, which must be sorted by year, by year and lane.

    plain: gives a text in the language of the page; rooms are found by its words as well as by the English ones.
    """
    years: dict[int, dict[str, list[Mark]]] = {}
    for room in rooms:
        years.setdefault(room.year, {lane: [] for lane in LANES})[room.lane].append(Mark(room, _words(room, plain)))
    before = [next(iter(years), FIRST), *years]
    return [
        Year(
            year,
            min(WIDEST, year - last),
            not FIRST <= year <= LAST,
            tuple((lane, tuple(marks)) for lane, marks in lanes.items()),
        )
        for (year, lanes), last in zip(years.items(), before, strict=False)
    ]


def overview(rooms: Sequence[Room], before: str, after: str) -> Overview:
    """Stack the dots over their years, models at the bottom. `before` and `after` are the labels of the ends."""
    piles = Counter(_place(room.year) for room in rooms)
    base = STEP * max(piles.values(), default=0) + 6
    height: Counter[float] = Counter()
    dots = []
    for room in sorted(rooms, key=lambda room: LANES.index(room.lane)):
        x = _place(room.year)
        dots.append(Dot(room.id, room.title, room.year, room.lane, room.shown, x, base - STEP * (height[x] + 0.5) - 2))
        height[x] += 1
    ticks = [(str(year), _place(year)) for year in (FIRST, *range(1970, LAST + 1, 10))]
    ticks += [
        (said, _place(year)) for said, year in ((before, FIRST - END), (after, LAST + END)) if piles[_place(year)]
    ]
    return Overview(_place(LAST + END) + 3 * PER_YEAR, base + 28, base, RADIUS, tuple(ticks), tuple(dots))


def _place(year: int) -> float:
    """Return the x position in pixels. All years outside of the axis share the position of their end."""
    shown = year if FIRST <= year <= LAST else FIRST - END if year < FIRST else LAST + END
    return PER_YEAR * (shown - FIRST + END + 3)


def _words(room: Room, plain: Callable[[str], str]) -> str:
    paper = (room.paper.title, room.paper.authors) if room.paper else (room.finding.paper,) if room.finding else ()
    names = [card.name for card in room.cards]
    said = (room.title, *room.ideas)
    words = (*said, *map(plain, said), *paper, *names, keywords(room), str(room.year))
    return " ".join(dict.fromkeys(words)).lower()
