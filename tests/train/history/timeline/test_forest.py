"""The forest plot: effects of all claims in multiples of what would count."""

import dataclasses
import itertools
import math

import pytest
from runs_by_hand import claim

from train.history.timeline import findings, words
from train.history.timeline.findings import Size
from train.history.timeline.forest import forest, multiples, title


@pytest.mark.parametrize(("size", "times"), [
    (Size("difference", "higher", 0.25, 0.2, 0.3, 0.125), (2.0, 1.6, 2.4)),
    (Size("difference", "lower", -0.5, -0.75, -0.25, 0.25), (2.0, 1.0, 3.0)),
    (Size("difference", "lower", 0.5, 0.25, 0.75, 0.25), (-2.0, -3.0, -1.0)),
    (Size("ratio", "higher", 8.0, 4.0, 16.0, 2.0), (3.0, 2.0, 4.0)),
    (Size("ratio", "lower", 0.25, 0.125, 0.5, 2.0), (2.0, 1.0, 3.0)),
    (Size("ratio", "lower", 4.0, None, None, 2.0), (-2.0, None, None)),
    (Size("difference", "higher", 0.25, None, None, 0.0), None),  # of before effects had margins
    (Size("difference", "higher", 0.25, 0.2, 0.3, None), None),
    (Size("difference", "higher", None, None, None, 0.5), None),
    (Size("ratio", "higher", 2.0, 1.0, 3.0, 1.0), None),
    (Size("ratio", "higher", 0.0, 0.0, 1.0, 2.0), None),
    (Size("ratio", "higher", 2.0, 0.0, 3.0, 2.0), None),
    (None, None),
])  # fmt: skip
def test_an_effect_is_told_in_multiples_of_its_margin(size: Size | None, times: tuple | None) -> None:
    found = multiples(size)
    assert found == (None if times is None else pytest.approx(times))


def made(*verdicts: str, margin: float | None = 0.125) -> list[findings.Finding]:
    out = []
    for number, verdict in enumerate(verdicts):
        facts = claim(f"claim{number}", 2000 - number, verdict)
        facts["effects"][0]["margin"] = margin
        out.append(findings.read(facts, "test"))
    return out


def test_claims_stand_on_one_scale() -> None:
    plot = forest(made("undecided", "holds", "contradicted", "holds"))
    assert [bar.finding.verdict for bar in plot.bars] == ["holds", "holds", "undecided", "contradicted"]
    assert [bar.finding.year for bar in plot.bars][:2] == [1997, 1999]
    assert 0 < plot.zero < plot.margin < plot.bars[0].low < plot.bars[0].at < plot.bars[0].high < 1
    assert {"0", "1"} <= {text for _, text in plot.ticks}
    places = [at for at, _ in plot.ticks]
    assert places == sorted(places)
    assert all(later - one > 0.04 for one, later in itertools.pairwise(places))


def test_a_claim_without_a_margin_or_a_figure_has_no_place() -> None:
    (bar,) = forest(made("holds", margin=None)).bars
    assert (bar.at, bar.low, bar.high, bar.times) == (None, None, None, None)
    assert bar.says == "+0.25 nats (0.2 to 0.3)"
    (finding,) = made("holds")
    (bar,) = forest([dataclasses.replace(finding, effects=())]).bars
    assert (bar.at, bar.says) == (None, "")
    facts = claim("nan", 2000)
    facts["effects"][0] |= {"value": math.nan, "margin": 1}
    assert forest([findings.read(facts, "test")]).bars[0].at is None


def test_the_title_counts_the_verdicts() -> None:
    t = words.load("en")
    said = title(made("holds", "undecided", "holds", "too small to matter"), t)
    assert said == (
        "Claims of papers, run again here, 4 in all: 2 held up, 1 stayed undecided, 1 showed an effect too small to "
        "matter."
    )
    assert title(made("contradicted"), t) == "Claims of papers, run again here, 1 in all: 1 came out the opposite way."
