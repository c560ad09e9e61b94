"""The time axis: landmarks by year in three lanes, and the whole of it as one line of dots in true proportion."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from train.history.timeline.rooms import Room

LANES = ("model", "algorithm", "claim")
FIRST, LAST = 1958, 2020  # what is outside of these years is marked as such
PER_YEAR, RADIUS, STEP = 18.0, 4.6, 11.0  # pixels of the overview: a year, a dot, from dot to dot
END = 4  # years between the axis and what stands at its ends
WIDEST = 12  # years of a gap that still widen it


class Mark(NamedTuple):
    room: Room
    words: str  # what a search looks through, in lower case


class Year(NamedTuple):
    year: int
    gap: int  # years since the one before, at most WIDEST
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
    """Years outside FIRST and LAST stand at the ends, apart."""

    width: float
    height: float
    base: float
    radius: float
    ticks: tuple[tuple[str, float], ...]
    dots: tuple[Dot, ...]


def by_year(rooms: Sequence[Room]) -> list[Year]:
    """Rooms, which must be in order of years, year by year."""
    years: dict[int, dict[str, list[Mark]]] = {}
    for room in rooms:
        years.setdefault(room.year, {lane: [] for lane in LANES})[room.lane].append(Mark(room, _words(room)))
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
    """Dots piled up over their years, models lowest. `before` and `after` name the ends."""
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
    """Pixels from the left; years outside have one place at each end."""
    shown = year if FIRST <= year <= LAST else FIRST - END if year < FIRST else LAST + END
    return PER_YEAR * (shown - FIRST + END + 3)


def _words(room: Room) -> str:
    paper = (room.paper.title, room.paper.authors) if room.paper else (room.finding.paper,) if room.finding else ()
    names = [card.name for card in room.cards]
    return " ".join((room.title, *room.ideas, *paper, *names, str(room.year))).lower()
