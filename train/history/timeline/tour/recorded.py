"""The figures in the tour's sentences: named places, filled with what was recorded and formatted as on the whole page.

    {exhibit:NAME.METRIC}      a test metric of a run, or its "params", "steps" or "seeds"
    {arm:CLAIM.ARM}            the mean of an arm of a claim
    {effect:CLAIM.ARM/OTHER}   the effect between two arms, with its interval
    {verdict:CLAIM}            the verdict of a claim
    {verdict:CLAIM.ARM/OTHER}  the verdict of one of its effects

A sentence with a place for which nothing was recorded is left out.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

from train.config import metrics, ways
from train.history.timeline import cells
from train.history.timeline.comparison import interval_of
from train.history.timeline.exhibits import Exhibit
from train.history.timeline.findings import Effect, Finding
from train.history.timeline.words import Words

PLACE = re.compile(r"\{([^{}]*)\}")
FORM = re.compile(r"(exhibit|arm|effect|verdict):(\w+)(?:\.(\w+)(?:/(\w+))?)?")


class Figure(NamedTuple):
    """A recorded figure: as the page formats it, and for a chart its value and its 95 % interval, if they are known."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Piece(NamedTuple):
    """A piece of a sentence."""

    text: str
    recorded: bool  # it is a figure, or a verdict, of this project


@dataclasses.dataclass(frozen=True)
class Recorded:
    """What was recorded, by name, and the language in which it is told."""

    exhibits: dict[str, Exhibit]
    findings: dict[str, Finding]
    t: Words

    @classmethod
    def of(cls, exhibits: Sequence[Exhibit], findings: Sequence[Finding], t: Words) -> "Recorded":
        """Return what the page shows, by name. Of several runs of a name the first one counts."""
        return cls({one.name: one for one in reversed(exhibits)}, {one.name: one for one in findings}, t)

    def sentence(self, text: str) -> list[Piece]:
        """Return the pieces of a sentence; [] where one of its figures is missing."""
        pieces, end = [], 0
        for place in PLACE.finditer(text):
            figure = self.figure(place[1])
            if figure is None:
                return []
            pieces += [Piece(text[end : place.start()], False), Piece(figure.text, True)]
            end = place.end()
        return [piece for piece in (*pieces, Piece(text[end:], False)) if piece.text]

    def figure(self, place: str) -> Figure | None:
        """Return the figure of a place; None where it was not recorded. ValueError for a place of no known form."""
        form = FORM.fullmatch(place)
        if form is None:
            raise ValueError(f"{{{place}}} names no figure")
        kind, name, key, other = form.groups()
        if kind == "exhibit":
            return self._of_exhibit(name, key or "")
        finding = self.findings.get(name)
        if finding is None:
            return None
        if kind == "arm":
            return self._of_arm(finding, key)
        if key is None:
            return Figure(cells.verdict_words(finding, self.t)) if kind == "verdict" else None
        effect = next((one for one in finding.effects if (one.arm, one.against) == (key, other)), None)
        if effect is None:
            return None
        return Figure(self.t.plain(effect.measured) if kind == "effect" else self._verdict(effect))

    def _of_exhibit(self, name: str, key: str) -> Figure | None:
        exhibit = self.exhibits.get(name)
        if exhibit is None:
            return None
        if key in ("params", "steps", "seeds"):
            count = getattr(exhibit, key)
            return None if count is None else Figure(f"{count:,}", count)
        if key in exhibit.test:
            value = exhibit.test[key]
            return Figure(cells.figure(key, value), value, *_interval(exhibit, key, value))
        value = exhibit.more.get(key, {}).get("value")
        return None if value is None else Figure(cells.later_figure(key, value), value)

    def _of_arm(self, finding: Finding, name: str | None) -> Figure | None:
        arm = next((arm for arm in finding.arms if arm.name == name), None)
        if arm is None or arm.mean is None:
            return None
        return Figure(cells.arm_mean(arm, self.t), arm.mean, arm.low, arm.high)

    def _verdict(self, effect: Effect) -> str:
        key = f"verdict_{effect.verdict.replace(' ', '_')}"
        return self.t(key) if key in self.t.table else effect.verdict


def _interval(exhibit: Exhibit, key: str, value: float) -> tuple[float | None, float | None]:
    """Return the interval that the comparison gives, which is for the metric that its task is compared by."""
    way = ways.WAYS.get(exhibit.task)
    return interval_of(exhibit, metrics.metric(key), value) if way and key == way.compared_by else (None, None)
