"""The timeline: what is read from run folders, and that the page stands whatever they hold."""

import itertools
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from train.history import gather, look, picture, table, write_page
from train.history.page import landmarks
from train.history.timeline import wilson
from zoo.cards import Card, Paper, image
from zoo.errors import UserError

EVIL = "<script>alert(1)</script> [red]$\\frac{{{"
OLD = Paper("The perceptron", "F. Rosenblatt", "Psychological Review 65", "10.1037/h0042519")
NEW = Paper("Deep residual learning", "K. He, X. Zhang, S. Ren, J. Sun", "CVPR 2016", "1512.03385")


def card(name: str, year: int, paper: Paper) -> Card:
    return Card(name, name, year, paper, f"The idea of {name}.", None, None, image(8, 8, 1), (10,), 650, 1280)


CARDS = {c.name: c for c in (card("perceptron", 1958, OLD), card("plain20", 2015, NEW), card("resnet20", 2015, NEW))}


def run_folder(root: Path, model: str, accuracy: object, *, seed: int = 0, lines: str = "", **facts: object) -> Path:
    path = root / f"digits_{len(list(root.iterdir()))}" / "2026-11-22_120000"
    path.mkdir(parents=True)
    config = {
        "model": {"name": model},
        "data": {"name": "digits"},
        "optim": {"name": "adam", "lr": 0.002},
        "seed": seed,
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "metrics.jsonl").write_text(lines)
    summary = {
        "name": f"digits_{model}", "model": model, "dataset": "digits", "steps": 600, "examples": 38_400, "seed": seed,
        "params": 61_706, "flops": 833_040, "test": {"loss": 0.1, "accuracy": accuracy, "count": 360},
        "seconds": 12.34, "compile_seconds": 2.0, "device": "cpu, 2 cores", "date": "2026-11-22",
        "versions": {"jax": "0.10.2"},
    }  # fmt: skip
    (path / "summary.json").write_text(json.dumps(summary | facts))
    return path


def line(step: int, accuracy: object, split: str = "validation") -> str:
    return json.dumps({"step": step, "split": split, "seconds": 1.0, "loss": 1.0, "accuracy": accuracy}) + "\n"


def printed(renderable: object) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


class Page(HTMLParser):
    """Elements and attributes of a page, and the text of its data element."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data, self.text, self._inside = "", "", ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if dict(attrs).get("id") != "data" else "data"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data


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
    assert "over 360 test images. One seed each" in text
    (resnet,) = [words.split() for words in text.splitlines() if "resnet20" in words]
    assert resnet == ["2015", "resnet20", "61,706", "0.83", "M", "95.0", "%", "92.2", "to", "96.8", "12.3"]
    assert EVIL in text


def test_page_stands_alone(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, name, 0.9 + 0.01 * i, lines=line(0, 0.1)) for i, name in enumerate(CARDS)]
    path = write_page(gather(runs, CARDS), tmp_path / "out")
    assert path == tmp_path / "out" / "index.html"
    assert path.stat().st_size < 10e6
    page = Page(path)
    assert not [attrs for _, attrs in page.elements if "src" in attrs]
    links = {attrs["href"] for tag, attrs in page.elements if tag == "link"}
    assert links == {"data:,"}
    assert {attrs["href"] for tag, attrs in page.elements if tag == "a"} == {"#comparison", OLD.url, NEW.url}
    for words in ("How they learned", "The idea of plain20.", "zoo train digits_resnet20", "jax 0.10.2"):
        assert words in page.text
    assert "Highest: resnet20, 92.0 %." in page.text


def test_page_survives_hostile_names_and_missing_figures(tmp_path: Path) -> None:
    hostile = card(EVIL, 2020, Paper(EVIL, EVIL, EVIL, "2010.11929"))
    runs = [run_folder(tmp_path, EVIL, 0.9, device=EVIL, versions={EVIL: EVIL}, lines=line(0, None))]
    runs += [run_folder(tmp_path, "nobody's", float("nan"), params=None, flops="NaN", steps=None)]
    path = write_page(gather(runs, CARDS | {EVIL: hostile}), tmp_path / "out")
    page = Page(path)
    assert [attrs for tag, attrs in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "data"},
        {},
        {},
    ]
    data = json.loads(page.data, parse_constant=pytest.fail)
    assert [row["label"] for row in data] == [EVIL, "nobody's"]
    assert (data[1]["year"], data[1]["accuracy"], data[1]["params"]) == (None, None, None)
    assert EVIL in page.text


def test_page_without_figures_says_so(tmp_path: Path) -> None:
    page = Page(write_page(gather([run_folder(tmp_path, "resnet20", None)], CARDS), tmp_path / "out"))
    assert "No run has a test accuracy." in page.text
    assert not {"comparison-plot", "curves-plot"} & {attrs.get("id") for _, attrs in page.elements}


def test_page_refuses_to_compare_data_sets(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, "resnet20", 0.9), run_folder(tmp_path, "plain20", 0.9, dataset="mnist")]
    with pytest.raises(UserError, match="on 2: digits, mnist"):
        write_page(gather(runs, CARDS), tmp_path / "out")
    with pytest.raises(UserError, match="at least one run"):
        write_page([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_landmark_is_a_paper(tmp_path: Path) -> None:
    rows = gather([run_folder(tmp_path, name, 0.9) for name in (*CARDS, "unheard")], CARDS)
    old, new = landmarks(rows)
    assert (old.models, old.place, old.gap) == (("perceptron",), 0.0, 0)
    assert (new.models, new.place, new.gap) == (("plain20", "resnet20"), 100.0, 57)
    assert new.ideas == ("The idea of plain20.", "The idea of resnet20.")
    assert look.styles(rows) == [(0, 0), (1, 0), (1, 1), (2, 0)]


def test_picture_keeps_its_names_apart(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path, name, 0.95 + 0.001 * seed, seed=seed) for name in CARDS for seed in (0, 1)]
    figure = picture.draw(gather(runs, CARDS))
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
        assert len(boxes) == len(runs)
        assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_picture_is_written_beside_the_page(tmp_path: Path) -> None:
    write_page(gather([run_folder(tmp_path, EVIL, 0.9), run_folder(tmp_path, "x", None)], CARDS), tmp_path / "out")
    png = (tmp_path / "out" / "timeline.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1950, 930)


@pytest.mark.parametrize(("colors", "back"), [(look.LIGHT, "#fdfcfa"), (look.DARK, "#14171b")])
def test_colors_can_be_read_as_text(colors: tuple[str, ...], back: str) -> None:
    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    assert back in (Path(look.__file__).parent / "page.css").read_text()
    for color in colors:
        low, high = sorted((luminance(color), luminance(back)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, color  # WCAG 2.2, AA
