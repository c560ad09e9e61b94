"""The table and the picture of the timeline: what is read from run folders, whatever they hold."""

import itertools
from pathlib import Path

import pytest
from rich.console import Console
from runs_by_hand import CARDS, EVIL, OLD, line, run_folder

from train.history.timeline import colors as colors_module
from train.history.timeline import page, picture
from train.history.timeline.rows import gather, table
from train.metrics.statistics import wilson
from train.pictures import style
from zoo.errors import UserError


def printed(renderable: object) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [(5, 10, 0.2366, 0.7634), (50, 100, 0.4038, 0.5962), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)],
)
def test_wilson_gives_published_values(correct: int, count: int, low: float, high: float) -> None:
    assert wilson(correct / count, count) == pytest.approx((low, high), abs=1e-4)


def test_rows_join_run_and_card_oldest_first(tmp_path: Path) -> None:
    lines = line(0, 0.1) + line(100, 0.9, "train") + line(100, 0.8) + line(100, 0.85)
    runs = [run_folder(tmp_path, "resnet20", 0.95, lines=lines), run_folder(tmp_path, "perceptron", 0.9)]
    old, new = gather(runs, CARDS)
    assert (old.model, old.year, old.paper) == ("perceptron", 1958, OLD)
    assert (new.label, new.params, new.count, new.seconds, new.recipe) == ("resnet20", 61_706, 360, 12.34, "adam 0.002")
    assert new.low < new.accuracy == 0.95 < new.high
    assert new.curve == ((0, 0.1), (100, 0.85))


def test_several_runs_of_a_model_are_told_apart(tmp_path: Path) -> None:
    rows = gather([run_folder(tmp_path, "resnet20", 0.95, seed=seed) for seed in (1, 0)], CARDS)
    assert [row.label for row in rows] == ["digits_resnet20, seed 0", "digits_resnet20, seed 1"]


@pytest.mark.parametrize("value", [None, "NaN", "Infinity", float("nan"), float("inf"), -0.1, 1.5, True, [1]])
def test_figures_that_are_none_become_none(tmp_path: Path, value: object) -> None:
    lines = line(0, 0.5) + line(1, value) + '{"step": 2, "split": "valida'
    (row,) = gather([run_folder(tmp_path, "resnet20", value, lines=lines, seconds="NaN")], CARDS)
    assert (row.accuracy, row.low, row.high, row.seconds) == (None, None, None, None)
    assert row.curve == ((0, 0.5),)


def test_an_unfinished_run_has_a_row(tmp_path: Path) -> None:
    path = run_folder(tmp_path, "resnet20", 0.9, lines=line(5, 0.4))
    (path / "summary.json").unlink()
    (row,) = gather([path], CARDS)
    assert (row.model, row.dataset, row.accuracy, row.curve) == ("resnet20", "digits", None, ((5, 0.4),))


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        gather([tmp_path], CARDS)
    path = run_folder(tmp_path, "resnet20", 0.9)
    (path / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary\.json: not JSON"):
        gather([path], CARDS)


def test_table_has_every_figure(tmp_path: Path) -> None:
    rows = gather([run_folder(tmp_path, "resnet20", 0.95), run_folder(tmp_path, EVIL, None)], CARDS)
    text = printed(table(rows))
    assert "digits: 600 steps, 38,400 examples" in text
    assert "over 360 test images. Each run has one seed" in text
    (resnet,) = [words.split() for words in text.splitlines() if "resnet20" in words]
    assert resnet == ["2015", "resnet20", "61,706", "0.83", "M", "95.0", "%", "92.2", "to", "96.8", "12.3"]
    assert EVIL in text


def test_models_of_one_paper_share_a_colour(tmp_path: Path) -> None:
    rows = gather([run_folder(tmp_path, name, 0.9) for name in (*CARDS, "unheard")], CARDS)
    assert colors_module.styles(rows) == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_picture_keeps_its_names_apart(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, name, 0.95 + 0.001 * seed, seed=seed) for name in CARDS for seed in (0, 1)]
    figure = picture.draw(gather(runs, CARDS))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert len(boxes) == len(runs)
        assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_picture_is_written_beside_the_page(tmp_path: Path) -> None:
    picture.write(gather([run_folder(tmp_path, EVIL, 0.9), run_folder(tmp_path, "x", None)], CARDS), tmp_path / "out")
    png = (tmp_path / "out" / "timeline.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1950, 930)


@pytest.mark.parametrize(("colors", "back"), [(style.LIGHT, "#fdfcfa"), (style.DARK, "#14171b")])
def test_colors_can_be_read_as_text(colors: tuple[str, ...], back: str) -> None:
    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert back in (page.WEB / "page.css").read_text()
    for color in colors:
        low, high = sorted((luminance(color), luminance(back)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, color  # WCAG 2.2, AA
