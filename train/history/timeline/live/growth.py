"""The growth of generators' images, moment by moment: which rows of a recorded picture are of which step."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import zoo
from train.history.timeline.exhibits import POINTS, Exhibit
from train.pictures.generator import MOMENTS, SIDE


class Growth(NamedTuple):
    """A picture whose rows are the same draws at later and later moments of training."""

    place: int  # of the exhibit on the page; its picture has the id growth-PLACE
    name: str
    rows: int
    steps: tuple[int, ...]  # of each row; empty where they are not known


def growths(exhibits: Sequence[Exhibit]) -> list[Growth]:
    """Return the growth of each exhibit that has a picture of it, the oldest model first."""
    years = {name: card.year for name, card in zoo.CARDS.items()}
    found = []
    for index, exhibit in sorted(enumerate(exhibits), key=lambda pair: years.get(pair[1].model, math.inf)):
        for picture in exhibit.pictures:
            rows = round(SIDE * picture.height / picture.width)  # its images are square
            if picture.kind == "growth" and rows > 1:
                found.append(Growth(index, exhibit.name, rows, _steps(exhibit, rows)))
    return found


def _steps(exhibit: Exhibit, rows: int) -> tuple[int, ...]:
    """Return the steps at which the rows were drawn: some of those at which it was evaluated."""
    curves = list(exhibit.curves.values())
    if not curves or len(curves[0].steps) >= POINTS:  # a longer curve has not all of its points
        return ()
    steps = curves[0].steps
    chosen = sorted(set(np.linspace(0, len(steps) - 1, MOMENTS).astype(int)))
    return tuple(steps[i] for i in chosen) if len(chosen) == rows else ()
