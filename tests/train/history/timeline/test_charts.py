"""Charts of our own: their places, within the metric's bounds, with labels that keep apart."""

import math
from itertools import combinations
from pathlib import Path

import pytest
from test_titles import LAST, NEW, OLD, comparison

import zoo
from train.history.timeline import charts, exhibits, titles
from train.history.timeline.charts import chart
from train.history.timeline.comparison import Comparison, compare
from train.history.timeline.front import readers_names

ROOT = Path(__file__).parents[4]


def laid_out(found: Comparison) -> charts.Chart:
    made = chart(found, {id(entry): entry.label for entry in found.entries})
    assert made is not None
    return made


def test_an_interval_stays_within_the_bounds_of_its_metric(tmp_path: Path) -> None:
    made = laid_out(comparison(tmp_path, "bleu", ("a", 2014, 98.0, 94.8, 101.8), ("b", 2017, 50.0, 40.0, 60.0)))
    floor, ceiling = charts.HEIGHT - charts.BOTTOM, charts.TOP
    for mark in made.marks:
        assert ceiling - 1e-6 <= mark.top < mark.y < mark.bottom <= floor + 1e-6
    assert all(float(tick.text) <= 100 for tick in made.y_ticks)
    assert made.marks[0].top == pytest.approx(ceiling)  # 100, which is the top of the scale


def test_the_line_goes_along_the_best_so_far(tmp_path: Path) -> None:
    rows = [OLD, ("worse", 1990, 0.2, 0.1, 0.3), NEW, LAST]
    made = laid_out(comparison(tmp_path, "accuracy", *rows))
    heights = [float(word) for word in made.line.replace("M", "").replace("L", "").split()][1::2]
    assert heights == sorted(heights, reverse=True)  # up the chart, never down
    assert heights[0] == pytest.approx(made.marks[0].y, abs=0.1)
    assert heights[-1] == pytest.approx(made.marks[2].y, abs=0.1)
    losses = laid_out(comparison(tmp_path, "loss", ("a", 1990, 2.0, None, None), ("b", 2000, 1.0, None, None)))
    assert losses.marks[1].y > losses.marks[0].y  # a loss that is lower stands lower


@pytest.mark.parametrize(
    "rows", [[OLD], [("a", 2014, 0.5, None, None), ("b", 2014, 0.5, None, None)], [OLD, NEW, LAST]]
)
def test_a_chart_of_few_or_equal_figures_is_finite(tmp_path: Path, rows: list) -> None:
    made = laid_out(comparison(tmp_path, "accuracy", *rows))
    places = [value for mark in made.marks for value in (mark.x, mark.y, mark.label.x, mark.label.y)]
    assert all(map(math.isfinite, places))
    assert len(made.x_ticks) >= 1
    assert len(made.y_ticks) >= 2


def test_no_chart_without_a_figure(tmp_path: Path) -> None:
    assert chart(comparison(tmp_path, "accuracy", ("a", 2014, math.nan, None, None)), {}) is None
    assert chart(comparison(tmp_path, "accuracy", ("a", None, 0.5, None, None)), {}) is None


def test_labels_of_what_is_recorded_keep_apart() -> None:
    for found in compare(exhibits.read_all(ROOT / "results" / "exhibits"), zoo.CARDS):
        made = chart(found, readers_names(found, zoo.CARDS))
        if made is None:
            continue
        boxes = [mark.label.box for mark in made.marks]
        for one, other in combinations(boxes, 2):
            assert one.shared(other) == 0
        for box in boxes:
            assert box.left >= 0
            assert box.right <= charts.WIDTH
            for mark in made.marks:
                assert box.shared(charts.Box(mark.x - 4, mark.y - 4, mark.x + 4, mark.y + 4)) == 0


def test_a_published_figure_stands_beside_the_run_of_its_config(tmp_path: Path) -> None:
    recorded = compare(exhibits.read_all(ROOT / "results" / "exhibits"), zoo.CARDS)
    known = [one for one in recorded if one.dataset == "tsv:multi30k/de-en"]
    assert len(known) == 1
    made = laid_out(known[0])
    assert [mark.published.value for mark in made.marks if mark.published] == [13.76, 28.30, 36.52]
    assert titles.story(known[0]).kind in ("moved", "risen")


def test_a_text_is_broken_to_a_width() -> None:
    lines = charts.wrapped("From Perceptron (1958) to ResNet (2015), accuracy rose", 200, 14)
    assert len(lines) > 1
    assert " ".join(lines) == "From Perceptron (1958) to ResNet (2015), accuracy rose"
    assert all(charts.width_of(line, 14) <= 200 for line in lines)
    assert charts.wrapped("one", 1) == ["one"]
    assert charts.wrapped("", 100) == []
