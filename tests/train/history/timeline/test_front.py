"""The front of the page: its finding, its sentence, its charts with what they save, without scripts."""

import base64
import csv
import dataclasses
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from runs_by_hand import CARDS, EVIL, card, claim, run_folder
from test_page import Page
from test_titles import comparison

import zoo
from train.history.timeline import exhibits, findings, words
from train.history.timeline.comparison import Comparison
from train.history.timeline.exhibits import Exhibit, Translation
from train.history.timeline.front import Hero, agreement, front
from train.history.timeline.page import write_page
from zoo.cards import Paper

ROOT = Path(__file__).parents[4]
SOURCE, REFERENCE = "das ist ein <b>haus</b>.", "this is a house."
SAID = ("a dog runs.", "this is a dog.", "this is a house.")


def translators(tmp_path: Path, figures: tuple, said: tuple = SAID, dataset: str = "tsv:made/de-en") -> list[Exhibit]:
    """Three runs that have translated two sentences; the first one tells nothing."""
    tmp_path.mkdir(exist_ok=True)
    made = []
    for name, figure, text in zip(("perceptron", "plain20", "resnet20"), figures, said, strict=False):
        run = run_folder(tmp_path / "runs", name, None, name=name, task="translate", dataset=dataset,
                         test={"bleu": figure, "count": 9}, params=1000 if name == "perceptron" else 400)  # fmt: skip
        table = (Translation("ja", "yes", "yes"), Translation(SOURCE, REFERENCE, text))
        made.append(dataclasses.replace(exhibits.of_run(run), translations=table))
    return made


def page(tmp_path: Path, shown: list, claims: list = [], **options: object) -> Page:  # noqa: B006
    found = [findings.read(one, "test") for one in claims]
    return Page(write_page(shown, found, tmp_path / "out", **({"cards": CARDS} | options)))


def hero(tmp_path: Path, shown: list) -> Hero | None:
    from train.history.timeline.comparison import compare

    return front(compare(shown, CARDS), [], CARDS, words.load("en")).hero


def test_the_first_screen_says_what_the_figures_say(tmp_path: Path) -> None:
    found = hero(tmp_path, translators(tmp_path, (10.0, 20.0, 30.0)))
    assert found is not None
    assert found.says == (
        "In 57 years, translation of the same sentences went from BLEU 10.0 (Perceptron) to 30.0 (resnet20), "
        "with 40 % of the parameters."
    )
    assert found.sentence is not None
    assert (found.sentence.source, found.sentence.chosen, found.sentence.of) == (SOURCE, True, 2)
    assert found.sentence.languages == ("de", "en")
    assert [[word.text for word in one.words if not word.fits] for one in found.sentence.readings] == [
        ["dog", "runs."],
        ["dog."],
        [],
    ]


def test_a_sentence_is_chosen_only_where_it_goes_with_the_figures(tmp_path: Path) -> None:
    found = hero(tmp_path, translators(tmp_path, (10.0, 20.0, 30.0), SAID[::-1]))
    assert found is not None
    assert found.sentence is not None
    assert (found.sentence.source, found.sentence.chosen) == ("ja", False)
    assert hero(tmp_path / "b", translators(tmp_path / "b", (30.0, 20.0, 10.0))) is None  # the oldest is the best


def test_agreement_counts_words() -> None:
    assert agreement(Translation("", "a b b", "a b b.")) == 1.0
    assert agreement(Translation("", "a b b", "B c")) == pytest.approx(2 / 5)
    assert agreement(Translation("", "", "")) == 0.0


def test_without_translations_the_picture_is_the_line(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / "runs", name, value, task="classify", count=360, name=name)
            for name, value in (("perceptron", 0.5), ("resnet20", 0.9))]  # fmt: skip
    made = page(tmp_path, [exhibits.of_run(run) for run in runs])
    assert [attrs for tag, attrs in made.elements if tag == "svg" and "alive" in (attrs.get("class") or "")]
    assert made.text.count("accuracy rose from 50.0 % to 90.0 %") >= 2


def test_a_page_of_nothing_has_a_front(tmp_path: Path) -> None:
    made = page(tmp_path, [])
    assert "finding" not in made.of("id")
    assert {"#axis", "#comparison", "#measured"} <= set(made.of("href"))
    assert not {"#lines", "#claims", "#grids"} & set(made.of("href"))


def test_the_contents_lead_to_finding_claims_and_axis(tmp_path: Path) -> None:
    made = page(tmp_path, translators(tmp_path, (10.0, 20.0, 30.0)), [claim("depth", 2015)])
    links = [href for href in made.of("href") if href in ("#lines", "#claims", "#axis", "#comparison")]
    assert links[1:5] == ["#lines", "#claims", "#axis", "#comparison"]  # the first one skips to the axis
    assert {"lines", "claims", "axis", "comparison"} <= set(made.of("id"))
    assert "#claim-depth" in made.of("href")


def files(made: Page, kind: str) -> list[str]:
    found = [attrs for tag, attrs in made.elements if tag == "a" and "download" in attrs]
    head = f"data:{kind};charset=utf-8;base64,"
    texts = [base64.b64decode(one["href"].removeprefix(head)).decode() for one in found if one["href"].startswith(head)]
    assert texts
    return texts


@pytest.mark.parametrize("lang", words.languages())
def test_what_is_saved_is_whole(tmp_path: Path, lang: str) -> None:
    shown = translators(tmp_path, (10.0, 20.0, 30.0))
    made = page(tmp_path, shown, [claim("depth", 2015), claim(EVIL, 2014, "undecided")], lang=lang)
    for text in files(made, "image/svg+xml"):
        drawing = ElementTree.fromstring(text)
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text  # it has its colours in itself
        assert not drawing.findall(".//{*}script")
    (of_line, of_claims) = ([*csv.reader(io.StringIO(text))] for text in files(made, "text/csv"))
    assert of_line[0][:6] == ["year", "model", "run", "bleu", "low", "high"]
    assert [row[3] for row in of_line[1:]] == ["10", "20", "30"]
    assert {row[0] for row in of_claims[1:]} == {"depth", EVIL}


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    hostile = card(EVIL, 2020, Paper(EVIL, EVIL, EVIL, "2010.11929"))
    shown = translators(tmp_path, (10.0, 20.0, 30.0))
    evil = run_folder(tmp_path / "runs", EVIL, None, name=EVIL, task="translate", dataset="tsv:made/de-en",
                      test={"bleu": 90.0, "count": 9})  # fmt: skip
    said = tuple(Translation(EVIL, EVIL, EVIL) for _ in range(2))
    shown = [dataclasses.replace(one, translations=said) for one in [*shown, exhibits.of_run(evil)]]
    made = page(tmp_path, shown, [claim(EVIL, 2015)], cards=CARDS | {EVIL: hostile})
    text = (tmp_path / "out" / "index.html").read_text()
    assert "<script>alert" not in text
    assert made.text.count("<script>alert(1)</script>") > 4
    assert all(re.fullmatch(r"[\w.-]+", value) for value in made.of("id"))


def test_the_recorded_lines_come_in_their_order(tmp_path: Path) -> None:
    from train.history.timeline.comparison import compare

    shown = exhibits.read_all(ROOT / "results" / "exhibits")
    made = front(compare(shown, zoo.CARDS), [], zoo.CARDS, words.load("en"))
    sets = [(line.comparison.task, line.comparison.dataset) for line in made.lines][:4]
    assert sets == [("classify", "scenes"), ("translate", "tsv:multi30k/de-en"), ("classify", "mnist"),
                    ("language", "tiny_shakespeare")]  # fmt: skip
    assert made.hero is not None
    for line in made.lines:
        figures = list(re.findall(r"\d+\.\d+", line.title))
        shown_values = [f"{(100 if line.comparison.metric.share else 1) * entry.value:.1f}"
                        for entry in line.comparison.entries if entry.value is not None]  # fmt: skip
        assert figures
        assert set(figures) <= set(shown_values)


def test_names_are_those_of_readers_only_where_they_tell(tmp_path: Path) -> None:
    from train.history.timeline.front import readers_names

    found: Comparison = comparison(tmp_path, "accuracy", ("resnet20", 2015, 0.9, None, None))
    entry = dataclasses.replace(
        found.entries[0], exhibit=dataclasses.replace(found.entries[0].exhibit, model="resnet20")
    )
    twice = dataclasses.replace(entry, label="resnet20, seed 1")
    one = dataclasses.replace(found, entries=(entry,))
    both = dataclasses.replace(found, entries=(entry, twice))
    assert list(readers_names(one, zoo.CARDS).values()) == ["ResNet"]
    assert list(readers_names(both, zoo.CARDS).values()) == ["ResNet", "resnet20, seed 1"]
