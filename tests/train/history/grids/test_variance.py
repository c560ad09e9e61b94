"""What a grid says: the shares of the spread against tables made by hand."""

import math

import numpy as np
import pytest

from train.history.grids import variance

ROWS = np.array([0.0, 1.0, 2.0])[:, None, None]
COLUMNS = np.array([0.0, 4.0])[None, :, None]
NOISE = np.array([-1.0, 1.0])


def shares(values: np.ndarray) -> list[float]:
    return variance.shares_of(np.broadcast_to(values, (3, 2, 2))).tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (ROWS, [1, 0, 0, 0]),
        (COLUMNS, [0, 1, 0, 0]),
        (ROWS * 0 + NOISE, [0, 0, 0, 1]),
        # Means of rows 2, 3 and 4 around 3: 4 values each, 4 * (1 + 0 + 1) = 8. Of columns 1 and 5: 6 * (4 + 4) = 48.
        (ROWS + COLUMNS, [8 / 56, 48 / 56, 0, 0]),
        # What a cell has beyond its row and column: (row - 1)(column - 2), 4 cells of 2, 2 seeds each: 32.
        ((ROWS - 1) * (COLUMNS - 2), [0, 0, 1, 0]),
        (ROWS + COLUMNS + (ROWS - 1) * (COLUMNS - 2) + NOISE, [8 / 100, 48 / 100, 32 / 100, 12 / 100]),
        (ROWS * 0, [0, 0, 0, 0]),
    ],
)
def test_the_parts_of_the_spread_are_those_of_a_table_made_by_hand(values: np.ndarray, expected: list[float]) -> None:
    assert shares(values) == pytest.approx(expected, abs=1e-12)


def test_parts_have_intervals_around_them_and_the_best_are_named_with_how_sure_that_is() -> None:
    rng = np.random.default_rng(3)
    values = ROWS + COLUMNS + 0.3 * rng.standard_normal((3, 2, 5))
    values[1, :, :] = values[1, ::-1, :]  # the middle row prefers the other column
    found = variance.analyse(values)
    assert found == variance.analyse(values)  # the same draws each time
    assert sum(part.share for part in found.parts.values()) == pytest.approx(1)
    for part in found.parts.values():
        assert 0 <= part.low <= part.high <= 1
    assert found.parts["both"].low < found.parts["both"].share < found.parts["both"].high
    assert [best.index for best in found.best_column] == [0, 1, 0]
    assert [best.index for best in found.best_row] == [0, 1]
    assert all(best.sure > 0.99 for best in found.best_column)
    tied = np.zeros((2, 2, 2))
    tied[:, 1] = [[-1, 1], [-1, 1]]
    assert variance.analyse(tied).best_column[0].sure < 0.9


def test_an_error_of_none_counts_as_half_an_example() -> None:
    assert variance.log_errors([0.9, 1.0], 50) == pytest.approx([math.log(0.1), math.log(0.01)])
