import datetime
import platform
from collections.abc import Callable

import numpy as np
import pytest

from train.config import Text
from train.data.text import catalog, dates, python_docs
from train.data.text.catalog import load
from train.data.text.dataset import TextDataset
from zoo.errors import UserError


def refused(call: Callable, *arguments: object) -> str:
    with pytest.raises(UserError) as raised:
        call(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_python_docs_hold_every_section_once() -> None:
    corpus = python_docs.python_docs()
    assert corpus.version == platform.python_version()
    documents = corpus.splits["train"].texts
    assert len(documents) > 40
    assert sum(map(len, documents)) > 300_000
    holding = [text for text in documents if 'The "for" statement is used to iterate over the elements' in text]
    assert len(holding) == 1  # of the topics "for" and "compound"


def test_a_document_that_is_added_or_revised_moves_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of Python has other topics and other texts: what it held out stays held out."""

    def splits(topics: dict[str, str]) -> dict[str, set[str]]:
        monkeypatch.setattr(python_docs, "topics", lambda: topics)
        data = Text("python_docs", split_seed=2)
        roles = catalog._roles(catalog.find("python_docs", "stream"), data, "stream")
        return {name: set(part.titles or ()) for name, part in roles.items()}

    here = python_docs.topics()
    before = splits(here)
    after = splits({title: f"{text}\nRevised." for title, text in here.items()} | {f"new {i}": "x" for i in range(20)})
    assert set().union(*before.values()) == set(here)
    for name, titles in before.items():
        assert titles
        assert {title for title in after[name] if not title.startswith("new")} == titles


def test_topics_are_told_from_paragraphs_that_no_two_splits_share() -> None:
    corpus = python_docs.python_docs_topic()
    sizes = {split: len(part) for split, part in corpus.splits.items()}
    assert sum(sizes.values()) > 800
    assert abs(sizes["test"] / sum(sizes.values()) - 0.2) < 0.01
    assert abs(sizes["validation"] / sum(sizes.values()) - 0.1) < 0.01
    assert len(corpus.class_names) == 10
    assert set(corpus.splits["validation"].labels) == set(range(10))
    keys = [{" ".join(python_docs._words(text)) for text in part.texts} for part in corpus.splits.values()]
    assert len(set().union(*keys)) == sum(sizes.values())


def test_dates_are_those_of_the_repository() -> None:
    written = dates._pairs("en", "ko")
    assert dict(written)["Friday, November 6, 1970"] == "1970년 11월 6일 금요일"
    assert sum(target.endswith("킬로미터") for _, target in written) > 100
    assert any(source.endswith(" US dollars") and target.endswith(" 미국 달러") for source, target in written)
    assert any(source.endswith(" PM") and target.startswith("PM ") for source, target in written)
    assert len(written) > 30_000
    assert not any(set("\u00a0\u202f\u200f") & set(source + target) for source, target in written)


@pytest.mark.parametrize("pair", ["en-ko", "ar-ja", "vo-de"])
def test_dates_split_without_a_common_source_and_without_doubt(pair: str) -> None:
    corpus = dates.dates(f"dates/{pair}")
    sources = [set(part.texts) for part in corpus.splits.values()]
    assert len(set().union(*sources)) == sum(map(len, corpus.splits.values()))
    sizes = np.array([len(part) for part in corpus.splits.values()])
    np.testing.assert_allclose(sizes / sizes.sum(), [0.9, 0.05, 0.05], atol=1e-3)
    assert sizes.sum() > 30_000


def test_a_weekday_is_in_both_languages_or_in_neither() -> None:
    german = {day: text for day, (_, text) in enumerate(dates._pairs("vo", "de")[:500])}
    assert not any("tag," in text for text in german.values())  # Volapük's long date has no weekday
    assert sum("tag, " in text for _, text in dates._pairs("en", "de")[:500]) > 400


def test_drawn_values_are_the_same_for_ever() -> None:
    first = dates._pairs("en", "ko")[:3]
    assert [source for source, _ in first] == [
        "Monday, February 18, 2030",
        "Monday, September 7, 1964",
        "Sunday, September 25, 2044",
    ]
    assert datetime.date(2030, 2, 18).isoweekday() == 1
    assert dates._amount(3 * (6 * 1234567 + 3), 6) == 4567
    assert dates._amount(3 * (6 * 1234567 + 3) + 2, 6) == 2345.67


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dates/en-kok_", "did you mean"),
        ("dates/english-ko", "unknown language in dates/english-ko: english is written en"),
        ("dates/en-xx", "unknown language in dates/en-xx 'xx'"),
        ("dates/en", "dates/en: two languages are needed, as in dates/en-ko"),
        ("dates", "two languages are needed"),
        ("dates/en-en", "source and target are the same language"),
        ("dates/en-root", "unknown language"),
        ("dates/en-ko/0", "a line has 1 to 9 values, as in dates/en-ko/3, not '0'"),
        ("dates/en-ko/many", "not 'many'"),
    ],
)
def test_unknown_languages(name: str, says: str) -> None:
    assert says in refused(dates.dates, name)


def test_they_load_in_the_form_of_their_task() -> None:
    data = load(Text("dates/en-ko", tokenizer="char", length=48), "pairs")
    assert data.train.cut == data.test.cut == 0
    assert data.train.arrays["source"].dtype == np.uint16
    topic = load(Text("python_docs/topic", tokenizer="wordpiece", length=32, vocab=500), "labelled")
    assert topic.classes == 10
    assert topic.train.cut > 0
    stream = load(Text("python_docs", vocab=500), "stream")
    assert (stream.train.arrays["tokens"] == 3).sum() > 30
    assert stream.vocab == 500


def test_lines_hold_one_to_n_of_the_pairs_of_their_split_in_order() -> None:
    single, lines = (dates.dates(f"dates/en-fr{suffix}").splits for suffix in ("", "/3"))
    for split, part in lines.items():
        assert [text.count("; ") for text in part.texts[:6]] == [0, 1, 2, 0, 1, 2]
        for side, whole in ((part.texts, single[split].texts), (part.seconds, single[split].seconds)):
            again = "; ".join(side).split("; ")
            assert again == list(whole[: len(again)])
            assert len(whole) - len(again) < 3


def test_a_share_of_the_labels_is_of_each_class_alike_and_changes_nothing_else() -> None:
    def topics(labels: float) -> TextDataset:
        return load(Text("python_docs/topic", tokenizer="wordpiece", length=16, vocab=300, labels=labels), "labelled")

    whole, few = topics(1), topics(0.1)
    counts = [np.bincount(part.train.arrays["y"], minlength=10) for part in (whole, few)]
    assert np.all(np.abs(counts[1] - counts[0] / 10) <= 1)
    kept = dict(zip(whole.train.texts, whole.train.arrays["y"], strict=True))
    assert all(kept[text] == y for text, y in zip(few.train.texts, few.train.arrays["y"], strict=True))
    assert few.tokenizer.to_str() == whole.tokenizer.to_str()
    assert few.test.texts == whole.test.texts
    assert few.validation.texts == whole.validation.texts


@pytest.mark.parametrize(
    ("name", "labels", "form", "says"),
    [
        ("python_docs/topic", 0, "labelled", "data.labels=0: must be above 0 and at most 1"),
        ("python_docs/topic", 0.004, "labelled", "data.labels=0.004 leaves no example of class"),
        ("python_docs", 0.5, "stream", "data.labels=0.5: there are no labels in running text"),
    ],
)
def test_a_share_that_cannot_be_is_one_line(name: str, labels: float, form: str, says: str) -> None:
    assert says in refused(load, Text(name, tokenizer="char", length=16, labels=labels), form)
