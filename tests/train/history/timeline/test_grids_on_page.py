"""Grids on the page: a heat map with the curve behind each cell, a ladder, and the row of each room's model."""

import json
from pathlib import Path

import pytest
from small_grid import NETS, result

from train.history.timeline import grids
from train.history.timeline.page import write_page
from zoo import CARDS
from zoo.errors import UserError

VALUES = {
    **{"line/sgd": [0.5, 0.5], "line/momentum": [0.7, 0.7], "line/adam": [0.8, 0.8]},
    **{"mlp/sgd": [0.6, 0.6], "mlp/momentum": [0.9, 0.9], "mlp/adam": [0.95, 0.95]},
}


def shown(facts: dict) -> grids.Grid:
    return grids.read(facts, "here", recorded=True)


def page_of(tmp_path: Path, *facts: dict, lang: str = "en") -> str:
    cards = {name: CARDS[name] for name in ("perceptron", "mlp")}
    page = write_page([], [], tmp_path, grids=list(map(shown, facts)), cards=cards, lang=lang)
    return page.read_text(encoding="utf-8")


def test_the_least_error_is_the_darkest_and_a_cell_that_is_missing_is_blank() -> None:
    line, mlp = shown(result(VALUES, ("line/sgd",))).rows
    assert line.cells[0] is None
    assert mlp.cells[2].shade == 1.0
    assert mlp.cells[0].shade == 0.0
    assert 0 < line.cells[2].shade < mlp.cells[1].shade < 1
    assert (mlp.cells[1].figure, mlp.cells[1].interval) == ("90.0 %", "90.0 – 90.0")
    assert mlp.cells[1].how == "rate 0.1, 2 steps of 32"
    assert mlp.cells[1].curve == "50,50 100,10"
    assert (line.says, line.model) == ("Perceptron (1958)", "perceptron")


def test_a_note_stands_once_with_its_cells() -> None:
    ((note, places),) = shown(result(VALUES)).notes.items()
    assert note == "drop_path 0.1 is left out, as the net has none"
    assert places == [("Perceptron (1958)", "adam"), ("MLP (1986)", "adam")]


def test_the_steps_of_a_ladder_have_bars_by_their_errors() -> None:
    found = shown(result(VALUES, rows=NETS[1:]))
    assert found.rows == ()
    assert [step.length for step in found.steps] == [1.0, 0.25, 0.125]
    assert [step.change for step in found.steps] == ["", "-30.00 (-30.00 to -30.00)", "-5.00 (-5.00 to -5.00)"]


def test_the_page_has_the_grid_and_every_room_its_row(tmp_path: Path) -> None:
    text = page_of(tmp_path, result(VALUES))
    assert '<a href="#grids">' in text
    assert text.count('class="heat"') == 3  # the grid, and a row in the rooms of both nets
    assert "Of the spread in log error" in text
    assert text.count("<strong>95.0 %*</strong>") == 2
    assert "zoo grid mine" in text
    assert 'class="ladder"' in page_of(tmp_path, result(VALUES, rows=NETS[1:]), lang="ko")
    assert 'id="grids"' not in page_of(tmp_path)


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    facts = result(VALUES)
    for place in (facts, *facts["columns"], *facts["rows"]):
        for key, value in place.items():
            if isinstance(value, str) and key not in ("name", "date", "model"):
                place[key] = f"{value}<script>alert(1)</script>"
    facts["name"] = "a b<script>"
    text = page_of(tmp_path, facts)
    assert "<script>alert" not in text
    assert 'id="grid-a-b-script-"' in text


def test_another_content_is_one_line_and_own_results_are_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="here: not a grid"):
        shown({"name": "x"})
    for name, facts in (
        ("mine", result(VALUES)),
        ("mine.quick", {**result(VALUES), "quick": True}),
        ("old", {"name": 1}),
    ):
        (tmp_path / "grids" / name).mkdir(parents=True)
        (tmp_path / "grids" / name / "grid.json").write_text(json.dumps(facts), encoding="utf-8")
    errors = []
    (own,) = grids.read_own(tmp_path, errors.append)
    assert (own.name, own.recorded) == ("mine", False)
    assert len(errors) == 1
    assert grids.read_all(tmp_path / "none.json") == []
