"""The tour: both languages alike, every figure from a result, and nothing left where a result is missing."""

import dataclasses
import itertools
import re

import pytest
from runs_by_hand import EVIL, claim

import zoo
from train.algorithms.cards import ALGORITHMS
from train.history.claims import files as claim_files
from train.history.claims import results
from train.history.timeline import exhibits, findings, tour, words
from train.history.timeline.page import write_page
from train.history.timeline.rooms import Room
from train.history.timeline.tour.charts import apart, curves
from train.history.timeline.tour.recorded import FORM, PLACE, Recorded

STOPS = tour.load_stops()
NAMES = [stop["name"] for stop in STOPS]
ENGLISH = words.load("en")


def story(name: str, lang: str) -> str:
    told = tour.load_words(name, lang)
    return " ".join([*(told[part] for part in tour.STORY), *told["measured"]])


def places(name: str, lang: str) -> list[str]:
    return PLACE.findall(story(name, lang))


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded.of(exhibits.read_all(exhibits.FOLDER), findings.read_all(results.FILE), ENGLISH)


def rooms_by_hand(found: list[findings.Finding]) -> list[Room]:
    """Rooms without their drawings, which take a while."""
    rooms = [Room(f"model-{name}", "model", name, 2000, ("",), cards=(card,)) for name, card in zoo.CARDS.items()]
    rooms += [Room(f"x-{name}", card.kind, name, 2000, ("",), algorithm=card) for name, card in ALGORITHMS.items()]
    return rooms + [Room(f"claim-{one.name}", "claim", one.name, 2000, ("",), finding=one) for one in found]


def shown(found: list[findings.Finding], runs: list[exhibits.Exhibit], lang: str = "en") -> list[tour.Stop]:
    return tour.stops(rooms_by_hand(found), runs, found, words.load(lang))


def test_languages_have_the_same_stops_with_the_same_places() -> None:
    for lang in words.languages():
        assert {file.stem for file in (tour.HERE / lang).iterdir()} == set(NAMES)
    for name in NAMES:
        english, korean = (tour.load_words(name, lang) for lang in ("en", "ko"))
        assert english.keys() == korean.keys()
        assert english["figure"].keys() == korean["figure"].keys()
        for part in ("measured", "questions"):
            for one, other in zip(english[part], korean[part], strict=True):
                assert sorted(PLACE.findall(one)) == sorted(PLACE.findall(other)), (name, one)
        for part in tour.STORY:
            assert english[part] != korean[part]
            assert "{" not in english[part] + korean[part], "only what was measured has places"


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_is_neither_too_short_nor_too_long(name: str) -> None:
    said = PLACE.sub("figure", story(name, "en")).split()
    assert 150 <= len(said) <= 300, len(said)
    assert 1 <= len(tour.load_words(name, "en")["questions"]) <= 2


@pytest.mark.parametrize("shared", STOPS, ids=NAMES)
def test_rooms_and_claims_of_a_stop_exist(shared: dict) -> None:
    assert set(shared["rooms"]) <= {*zoo.CARDS, *ALGORITHMS}
    assert set(shared["claims"]) <= set(claim_files.claim_names())
    labels = shared["figure"].get("bars") or shared["figure"].get("curves") or []
    for lang in words.languages():
        assert len(tour.load_words(shared["name"], lang)["figure"].get("labels", [])) == len(labels)


@pytest.mark.parametrize("shared", STOPS, ids=NAMES)
def test_every_place_is_filled_by_what_was_recorded(shared: dict, recorded: Recorded) -> None:
    for place in [*places(shared["name"], "en"), *shared["figure"].get("bars", ())]:
        kind, name, *keys = FORM.fullmatch(place).groups()
        found = results.read().get(name) if kind != "exhibit" else None
        if found and claim_files.is_earlier(found):  # it names what the claim will have when it has been run again
            of_design, _ = claim_files.load_claim(name)
            effects = {(effect.arm, effect.against) for effect in of_design.effects}
            assert keys[0] is None or tuple(keys) in effects or (keys[0] in of_design.arms and keys[1] is None), place
        else:
            assert recorded.figure(place) is not None, place


@pytest.mark.parametrize("lang", words.languages())
def test_every_stop_has_its_figure_rooms_and_measured_sentences(lang: str) -> None:
    found = findings.read_all(results.FILE)
    for shared, stop in zip(STOPS, shown(found, exhibits.read_all(exhibits.FOLDER), lang), strict=True):
        assert stop.hero is not None, stop.title
        assert stop.measured, stop.title
        assert len(stop.findings) == len(shared["claims"])
        assert len({room.id for room in stop.rooms}) == len(shared["rooms"])
        assert not any("{" in piece.text for sentence in stop.measured for piece in sentence)


def test_a_sentence_without_its_figure_is_left_out() -> None:
    depth = findings.read(claim("depth", 2015, "undecided"), "test")
    recorded = Recorded.of([], [depth], ENGLISH)
    said = recorded.sentence("At {arm:depth.deep} nats, {verdict:depth}; effect {effect:depth.deep/shallow}.")
    assert "".join(piece.text for piece in said) == "At 0.5 nats, undecided; effect +0.25 nats (0.2 to 0.3)."
    assert [piece.text for piece in said if piece.recorded] == ["0.5", "undecided", "+0.25 nats (0.2 to 0.3)"]
    for place in ("arm:depth.none", "arm:width.deep", "effect:depth.deep/none", "exhibit:mnist_mlp.accuracy"):
        assert recorded.sentence(f"It has {{{place}}}.") == []
    with pytest.raises(ValueError, match="names no figure"):
        recorded.sentence("It has {accuracy}.")


def test_without_results_every_stop_says_so_and_has_no_hole() -> None:
    for stop in shown([], []):
        assert (stop.measured, stop.hero, stop.findings) == ([], None, [])
        assert all(text for _, text in stop.story)
        assert stop.rooms


def test_a_page_without_results_says_so_at_every_stop(tmp_path) -> None:
    cards = {name: zoo.CARDS[name] for name in ("perceptron", "mlp")}
    text = write_page([], [], tmp_path, cards=cards).read_text()
    assert text.count(ENGLISH("tour_unmeasured")) == len(STOPS)
    assert 'class="hero"' not in text
    linked = {id for id in re.findall(r'href="#([^"]+)"', text) if not id.startswith("tour-")}
    assert linked <= set(re.findall(r'id="([^"]+)"', text))


def test_hostile_words_of_a_result_stay_words(tmp_path) -> None:
    lenet = findings.read(claim("lenet", 1998, says=EVIL), "test")
    effect = dataclasses.replace(lenet.effects[0], arm="gap_much", against="gap_little", verdict=EVIL, measured=EVIL)
    vit = dataclasses.replace(lenet, name="vit_data", effects=(effect, dataclasses.replace(
        effect, arm="resnet_little", against="vit_little")))  # fmt: skip
    cards = {name: zoo.CARDS[name] for name in ("perceptron", "mlp")}
    text = write_page([], [lenet, vit], tmp_path, cards=cards).read_text()
    tail = text[text.index('id="tour"') : text.index("<footer>")]
    assert "<script>" not in tail
    assert tail.count("&lt;script&gt;") >= 3


def test_curves_stay_inside_and_their_labels_apart() -> None:
    depth = findings.read(claim("depth", 2015), "test")
    drawn = curves(depth, {"deep": "deep", "shallow": "shallow", "none": "none"}, "step", "loss")
    assert [line.label for line in drawn.lines] == ["deep", "shallow"]
    numbers = [float(value) for line in drawn.lines for value in re.split(r"[ ,]", line.points)]
    assert all(0 <= value <= 100 for value in numbers)
    assert all(0 <= tick.at <= 100 for tick in (*drawn.x_ticks, *drawn.y_ticks))
    assert curves(dataclasses.replace(depth, plot={}), {"deep": "deep"}, "", "") is None
    moved = apart([50, 51, 99, 100], 9, 100)
    assert sorted(moved) == moved
    assert min(b - a for a, b in itertools.pairwise(moved)) >= 9
    assert moved[-1] <= 100
