"""A grid of one row: each column beside the one before it."""

import dataclasses
from pathlib import Path

import pytest
from small_grid import NETS, RULES, grid, result

from train.history.grids import ladder, picture, table
from train.history.grids.cells import cells
from zoo.errors import UserError

STEPS = (*RULES[:2], dataclasses.replace(RULES[2], images=128))


def found(*missing: str) -> dict:
    """Three rungs of two seeds: 10, 4 and 5 % of errors."""
    values = {"mlp/sgd": [0.89, 0.91], "mlp/momentum": [0.96, 0.96], "mlp/adam": [0.95, 0.95]}
    return result(values, missing, rows=NETS[1:], columns=STEPS)


def test_a_rung_is_compared_with_the_one_before_it() -> None:
    first, second, third = ladder.rungs(found())
    assert first.change is None
    assert second.change == pytest.approx(-6.0)
    assert second.low < -6 < second.high
    assert third.change == pytest.approx(1.0)
    assert (third.low, third.high) == pytest.approx((1.0, 1.0))
    assert third.error == pytest.approx((5.0, 5.0, 5.0))
    assert [rung.change for rung in ladder.rungs(found("mlp/momentum"))] == [None, None]


def test_a_whole_ladder_says_how_far_it_goes_and_which_step_does_most() -> None:
    whole, each = table.sentences(found())
    assert whole.startswith("From the first to the last recipe the test error of MLP goes from 10.00 %")
    assert whole.endswith("to 5.00 % (5.00 to 5.00).")
    assert each.startswith("Of 2 steps ")
    assert "1 raises it beyond doubt; the most does momentum, by -6.00" in each
    assert found()["analysis"] is None
    assert table.sentences(found("mlp/adam")) == []


def test_its_table_and_its_picture_have_a_place_for_each_rung(tmp_path: Path) -> None:
    text = table.markdown(found())
    assert "| momentum | 4.00 % (4.00 to 4.00) | -6.00 (" in text
    assert "Test error of MLP on digits" in text
    assert "64 images, with adam from 128;" in text
    picture.save(found("mlp/momentum"), tmp_path / "ladder.png")
    assert (tmp_path / "ladder.png").stat().st_size > 1_000


def test_a_column_may_learn_from_more_images_and_a_row_may_not() -> None:
    longer = dataclasses.replace(RULES[0], name="longer", images=128)
    made = cells(grid(rows=NETS[:1], columns=(RULES[0], longer), tune_images=32))
    assert [cell.experiment.steps for cell in made] == [2, 4]
    assert [cell.tuned.steps for cell in made] == [1, 2]
    with pytest.raises(UserError, match="the net line has images: only columns have their own"):
        grid(rows=(dataclasses.replace(NETS[0], images=3),))
    with pytest.raises(UserError, match="longer: images must be at least 1, not -1"):
        grid(columns=(dataclasses.replace(RULES[0], name="longer", images=-1),))
