"""Keywords: each landmark is found by what it is about."""

import zoo
from train.history.timeline.axis import by_year
from train.history.timeline.keywords import FAMILIES, KINDS
from train.history.timeline.rooms import furnish


def test_every_family_and_kind_has_keywords() -> None:
    assert {card.family for card in zoo.CARDS.values()} == set(FAMILIES)
    assert {room.kind for room in furnish({}, [], [])} | {"claim"} == set(KINDS)


def test_marks_have_the_words_of_their_family() -> None:
    cards = {name: zoo.CARDS[name] for name in ("mlp", "lenet5", "transformer_mini")}
    found = {
        mark.room.id: mark.words
        for year in by_year(furnish(cards, [], []), str)
        for _, marks in year.lanes
        for mark in marks
    }
    assert "backprop" in found["model-mlp"]
    assert "convolution" in found["model-lenet5"]
    assert "translation" in found["model-transformer_mini"]
    assert "번역" in found["model-transformer_mini"]
