"""Korean of what cards, claims, grids and records say: all of it is there, and nothing is out of date."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import shown_texts
from small_grid import NETS, RULES, result
from test_grids_on_page import VALUES

import train
import zoo
from train.history.claims import results
from train.history.claims.effects import VERDICTS
from train.history.claims.failures import Failures, disagreement
from train.history.timeline import axis, grids, page, words
from train.history.timeline.rooms import furnish
from train.history.timeline.words.memory import PLACEHOLDER, Entry, Memory

ROOT = Path(train.__file__).parents[1]
GENERATED = "generated"  # the file of sentences that code makes, which no card or claim owns


@pytest.fixture(scope="module")
def owned() -> dict[str, dict[tuple[str, ...], str]]:
    """File -> key -> English, of all that the project shows."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for file, key, english in shown_texts.every():
        found.setdefault(file, {})[key] = english
    return found


def is_name(text: str) -> bool:
    """Whether a text is no prose: a signature of sacreBLEU, a number."""
    return " " not in text and not text.isalpha()


def test_nothing_lacks_korean(owned: dict) -> None:
    """The name of an algorithm may stay as it is."""
    memory = words.load("ko").memory
    missing = [
        f"{file}: {'.'.join(key)}: {english}"
        for file, texts in owned.items()
        for key, english in texts.items()
        if memory.find(english) is None and not (file == "algorithms" and key[1] == "title")
    ]
    assert not missing, "\n".join(["no Korean in train/history/timeline/words/ko:", *missing])


def test_nothing_that_is_recorded_lacks_korean() -> None:
    memory = words.load("ko").memory
    missing = [
        f"{owner}: {text}"
        for text, owner in shown_texts.recorded().items()
        if memory.find(text) is None and not is_name(text)
    ]
    assert not missing, "\n".join(["no Korean in train/history/timeline/words/ko:", *missing])


def test_no_korean_is_of_an_english_that_has_changed_or_is_gone(owned: dict) -> None:
    outdated, ownerless = [], []
    for file, entries in words.translations("ko").items():
        for key, english, _ in entries if file != GENERATED else ():
            place = f"{file}: {'.'.join(key)}"
            now = owned[file].get(key)
            if now is None:
                ownerless.append(f"{place}: {english}")
            elif now != english:
                outdated.append(f"{place}: it was {english!r}, and is {now!r}")
    assert not outdated, "\n".join(["Korean of an English that has changed:", *outdated])
    assert not ownerless, "\n".join(["Korean that belongs to nothing:", *ownerless])


def test_sentences_that_code_makes_are_still_made() -> None:
    """Each piece of such a sentence between two figures is in a text of the source, or in a record of earlier code."""
    files = [file for folder in ("train", "configs") for file in (ROOT / folder).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    source = "\0".join((*texts, *shown_texts.recorded()))
    gone = []
    for key, english, _ in words.translations("ko")[GENERATED]:
        pieces = [piece.strip(" ;,:()%") for piece in PLACEHOLDER.sub("\0", english).split("\0")]
        gone += [f"{'.'.join(key)}: {piece!r}" for piece in pieces if piece not in source]
    assert not gone, "\n".join(["no code writes:", *gone])


FAILED = [{"arm": arm, "failed": 1, "of": 8, "low": 0.01, "high": 0.5} for arm in ("deep", "shallow")]
EFFECT = {"arm": "deep", "against": "shallow", "value": 0.25, "low": 0.2, "high": 0.3, "kind": "difference"}
EFFECTS = [
    EFFECT | {"unit": unit, "kind": kind} | facts
    for unit in ("share", "", "nats", "powers of ten")
    for kind in ("difference", "ratio")
    for facts in (
        *({}, {"exact": True}, {"bound": "at least"}, {"bound": "at most"}, {"low": None, "high": None}),
        *({"value": None}, {"failures": FAILED}, {"failures": FAILED[:1], "unseen": 0.3}, {"value": 1.234e-5}),
    )
]
NATS = {"metric": {"unit": "nats"}}


def sentences_of_grids() -> Iterator[str]:
    """What grids and ladders say of themselves, with a note of each kind."""
    one_net = {f"{NETS[0].name}/{rule.name}": [0.5 + i / 8, 0.52 + i / 8] for i, rule in enumerate(RULES)}
    for values, rows in (VALUES, NETS), (one_net, NETS[:1]):
        facts = result(values, rows=rows)
        doubt = "its best optim.lr is still the end of its sweep"
        facts["cells"][-1] |= {"diverged": [3], "chance": 0.1, "doubt": doubt, "images": 7}
        made = grids.read(facts, "a test", recorded=True)
        yield from (*made.sentences, made.budget, *made.notes)
        yield from (cell.how for row in made.rows for cell in row.cells if cell)
        yield from (said for step in made.steps for said in (step.how, step.error, step.change) if said)


def test_what_code_says_of_figures_is_told_in_korean() -> None:
    t = words.load("ko")
    said = [results.effect_text(effect, NATS["metric"]) for effect in EFFECTS]
    for effect in EFFECTS:
        for verdict in VERDICTS:
            control = {"sham": effect | {"verdict": verdict}, "sabotage": effect | {"verdict": verdict}}
            said += [results.sham_text({**NATS, **control}), results.sabotage_text({**NATS, **control})]
    said += [results.renewed_text({"renewed": {"commit": "0123456789abcdef", "steps": 12}})]
    said += [disagreement(verdict, *failures) for verdict in VERDICTS if verdict != "undecided"
             for failures in [(Failures(frozenset({frozenset({1})}), 8), Failures(frozenset(), 8))]]  # fmt: skip
    said += sentences_of_grids()
    assert len(said) > 400
    assert not [text for text in said if t.memory.find(text) is None]
    assert not [text for text in said if re.search(r"\b(of|the|to|with|from|points|times)\b", t.plain(text))]


def test_no_english_is_translated_twice_and_all_placeholders_are_there() -> None:
    entries = [entry for found in words.translations("ko").values() for entry in found]
    twice = {english for _, english, _ in entries if sum(other.english == english for other in entries) > 1}
    assert not twice
    for key, english, korean in entries:
        there = {name for name, _ in PLACEHOLDER.findall(english)}
        assert set(re.findall(r"{(\w+)}", korean)) <= there, key
        assert korean.strip() == korean
        assert korean


def test_korean_sentences_are_polite_and_whole(owned: dict) -> None:
    """What is a sentence in English with its full stop is one in Korean: it ends with a verb and a full stop."""
    for file in ("cards", "algorithms", "claims"):
        for key, english, korean in words.translations("ko")[file]:
            if english.endswith(".") and " " in english:
                assert korean.endswith((".", ").")), key
                assert re.search(r"(니다|십시오)[.)]*(\([^)]*\)\.)?$", korean), (key, korean)


def test_a_form_is_translated_only_with_all_of_its_texts() -> None:
    memory = Memory([
        Entry(("verdict",), "holds", "성립"),
        Entry(("judged",), "{arm:word}: {effect:number} times, {verdict}", "{arm}: {effect}배, {verdict}"),
    ])  # fmt: skip
    assert memory.find("plain_best: 1,200.5 times, holds") == "plain_best: 1,200.5배, 성립"
    for unknown in ("plain_best: 1,200.5 times, perhaps", "two words: 1 times, holds", "plain: many times, holds", ""):
        assert memory.find(unknown) is None


def test_what_is_not_known_in_korean_is_marked_as_english() -> None:
    t = words.load("ko")
    assert t.told("<script>alert(1)</script>") == '<span lang="en">&lt;script&gt;alert(1)&lt;/script&gt;</span>'
    assert t.plain("an idea of my own") == "an idea of my own"
    known = zoo.card("resnet20").idea
    assert t.told(known) == t.plain(known) != known
    assert not hasattr(t.told(known), "__html__")  # it is escaped as all texts are
    assert words.load("en").told("an idea of my own") == "an idea of my own"


def test_the_axis_is_searched_in_both_languages() -> None:
    rooms = furnish({"resnet20": zoo.card("resnet20")}, [], [])
    found = {mark.room.id: mark.words for year in axis.by_year(rooms, words.load("ko").plain)
             for _, marks in year.lanes for mark in marks}  # fmt: skip
    for said in ("블록", "block", "resnet20"):
        assert said in found["model-resnet20"]
    for said in ("교차 엔트로피", "cross entropy", "소프트맥스"):
        assert said in found["loss-cross_entropy"]


def test_the_page_marks_no_korean_as_english(tmp_path: Path) -> None:
    made = page.write_page([], [], tmp_path, cards={"gan": zoo.card("gan")}, lang="ko").read_text(encoding="utf-8")
    marked = re.findall(r'<span lang="en">(.*?)</span>', made)
    assert marked
    assert not [text for text in marked if re.search("[가-힣]", text)]
    assert "생성자를 판별자만을 상대로 학습합니다." in made
