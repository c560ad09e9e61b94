"""Titles that state a finding: the rules, with figures made up both ways."""

import dataclasses
import math
from pathlib import Path

import pytest
from runs_by_hand import run_folder

from train.config import metrics
from train.history.timeline import exhibits, titles, words
from train.history.timeline.comparison import Comparison, Entry

T = words.load("en")


def comparison(tmp_path: Path, metric: str, *rows: tuple) -> Comparison:
    """A comparison of rows (name, year, value, low, high)."""
    run = exhibits.of_run(run_folder(tmp_path / "runs", "mlp", 0.5, task="classify"))
    entries = tuple(
        Entry(dataclasses.replace(run, name=name), name, year, value, low, high, 0, 0)
        for name, year, value, low, high in rows
    )
    return Comparison("compare-0", "classify", "digits", metrics.metric(metric), entries)


def told(found: Comparison) -> str:
    names = {id(entry): entry.label for entry in found.entries}
    return titles.title(titles.story(found), found, names, T)


OLD, NEW = ("old", 1958, 0.365, 0.344, 0.385), ("new", 2015, 0.978, 0.968, 0.986)
LAST = ("last", 2020, 0.558, 0.302, 0.814)
ROSE = "From old (1958) to new (2015), accuracy rose from 36.5 % to 97.8 %"


@pytest.mark.parametrize(("metric", "rows", "says"), [
    ("accuracy", [OLD, NEW],
     ROSE),
    ("accuracy", [NEW, OLD],
     ROSE),
    ("accuracy", [OLD, NEW, LAST],
     ROSE + "; last (2020) stays behind with 55.8 %"),
    ("accuracy", [OLD, NEW, ("near", 2020, 0.97, 0.96, 0.98)],
     ROSE + "; not to be told from new: near"),
    ("accuracy", [OLD, ("new", 2015, 0.4, 0.38, 0.42)],
     "old (1958) and new (2015) cannot be told apart: accuracy 36.5 % and 40.0 %"),
    ("accuracy", [("old", 1958, 0.9, 0.8, 0.95), (*NEW[:2], 0.85, 0.82, 0.9)],
     "old (1958) and new (2015) cannot be told apart: accuracy 90.0 % and 85.0 %"),
    ("accuracy", [(*OLD[:2], 0.9, 0.89, 0.91), LAST],
     "The oldest is the best: accuracy 90.0 % by old (1958), 55.8 % by last (2020)"),
    ("accuracy", [(*OLD[:2], 0.9, None, None), LAST],
     "The oldest has the best figure: accuracy 90.0 % by old (1958), 55.8 % by last (2020)"),
    ("accuracy", [OLD, ("new", 2015, 0.978, None, None)],
     "From old (1958) to new (2015), accuracy went from 36.5 % to 97.8 %"),
    ("accuracy", [("old", 1990, 0.9931, 0.9930, 0.9932), ("new", 2000, 0.9934, 0.9933, 0.9935)],
     "From old (1990) to new (2000), accuracy rose from 99.31 % to 99.34 %"),
    ("loss", [("old", 1997, 1.9, 1.88, 1.92), ("new", 2019, 1.7, 1.68, 1.72)],
     "From old (1997) to new (2019), loss fell from 1.9 nats to 1.7 nats"),
    ("loss", [("old", 1997, 1.7, 1.68, 1.72), ("new", 2019, 1.9, 1.88, 1.92)],
     "The oldest is the best: loss 1.7 nats by old (1997), 1.9 nats by new (2019)"),
    ("bleu", [("a", 2014, 12.52, None, None), ("b", 2014, 32.25, None, None)],
     "From a (2014) to b (2014), BLEU went from 12.5 to 32.2"),
    ("accuracy", [OLD],
     "old (1958) has accuracy 36.5 %; nothing is there to compare it with"),
    ("accuracy", [OLD, ("new", 2015, math.nan, math.nan, math.nan), ("mine", None, 0.9, 0.8, 0.95)],
     "old (1958) has accuracy 36.5 %; nothing is there to compare it with"),
    ("accuracy", [OLD, (*NEW[:3], math.nan, math.inf)],
     "From old (1958) to new (2015), accuracy went from 36.5 % to 97.8 %"),
    ("accuracy", [("new", 2015, None, None, None)],
     "No figure has been recorded yet"),
    ("accuracy", [],
     "No figure has been recorded yet"),
    ("accuracy", [("a", 1, 0.5, 0.5, 0.5), ("b", 2, 0.5, 0.5, 0.5)],
     "a (1) and b (2) cannot be told apart: accuracy 50.0 % and 50.0 %"),
])  # fmt: skip
def test_a_title_says_what_the_figures_say(tmp_path: Path, metric: str, rows: list, says: str) -> None:
    assert told(comparison(tmp_path, metric, *rows)) == says


def test_no_title_calls_better_what_overlaps(tmp_path: Path) -> None:
    """Over a grid of made-up figures: rose, fell and best are said only of intervals that are apart."""
    steps = [0.1, 0.3, 0.5, 0.7, 0.9]
    for metric in ("accuracy", "loss"):
        for one in steps:
            for other in steps:
                for half in (0.0, 0.05, 0.15, 0.25):
                    rows = [("a", 1990, one, one - half, one + half), ("b", 2000, other, other - half, other + half)]
                    says = told(comparison(tmp_path, metric, *rows))
                    apart = abs(one - other) > 2 * half + 1e-9
                    close = abs(abs(one - other) - 2 * half) < 1e-9  # either way by rounding
                    if not close:
                        assert any(word in says for word in (" rose ", " fell ", "is the best")) == apart, says
                    if " rose " in says:
                        assert other > one
                    if " fell " in says:
                        assert other < one


def test_titles_are_whole_in_korean(tmp_path: Path) -> None:
    found = comparison(tmp_path, "accuracy", OLD, NEW, LAST)
    names = {id(entry): entry.label for entry in found.entries}
    said = titles.title(titles.story(found), found, names, words.load("ko"))
    assert "36.5 %" in said
    assert "97.8 %" in said
    assert "55.8 %" in said
    assert "{" not in said
