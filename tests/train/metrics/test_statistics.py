"""A few numbers as one."""

import numpy as np
import pytest
from scipy import stats

from train.metrics import statistics
from train.metrics.statistics import (
    bootstrap,
    clopper_pearson,
    grouped_interval,
    interquartile_mean,
    spread,
    student,
    unseen_rate,
    wilson,
)


def test_the_interquartile_mean_leaves_out_a_quarter_on_each_side() -> None:
    assert interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -50])) == 3.5
    assert interquartile_mean(np.arange(10.0) ** 2) == np.mean(np.arange(2.0, 8) ** 2)
    assert interquartile_mean(np.array([7.0])) == 7


def test_the_interval_is_that_of_the_normal_law_for_many_values() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=400)
    low, high = bootstrap(values, lambda rows: rows.mean(-1))
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose((low, high), (values.mean() - half, values.mean() + half), atol=0.02)
    assert bootstrap(values) == bootstrap(values)


def test_one_value_is_its_own_interval_and_all_is_said_in_a_line() -> None:
    assert spread([5.0]) == (5, 5, 5, 5)
    assert str(spread([1.0, 2, 3, 4])).startswith("mean 2.50, interquartile mean 2.50 (95 % interval ")


def accuracies(rng: np.random.Generator, seeds: int, of_glyphs: float, of_seeds: float) -> np.ndarray:
    """Draw how many of its 14 scenes each of 60 glyphs has right, on a logit that differs by glyph and by seed."""
    logits = 0.5 + of_glyphs * rng.normal(size=(1, 60)) + of_seeds * rng.normal(size=(seeds, 1))
    return rng.binomial(14, 1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize(
    ("seeds", "of_glyphs", "of_seeds"), [(1, 1.5, 0.0), (3, 1.5, 0.0), (3, 1.5, 0.1), (3, 0.5, 0.5)]
)
def test_an_interval_over_glyphs_holds_the_truth_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch, seeds: int, of_glyphs: float, of_seeds: float
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng = np.random.default_rng(7)
    logits = 0.5 + np.hypot(of_glyphs, of_seeds) * rng.normal(size=1_000_000)
    truth = float((1 / (1 + np.exp(-logits))).mean())
    found = {"grouped": 0, "wilson": 0}
    for _ in range(300):
        right = accuracies(rng, seeds, of_glyphs, of_seeds)
        low, high = grouped_interval(right, [14] * 60)
        found["grouped"] += low <= truth <= high
        low, high = wilson(right.mean() / 14, 14 * 60)
        found["wilson"] += low <= truth <= high
    assert 0.90 <= found["grouped"] / 300 <= 0.98
    assert found["wilson"] / 300 < 0.80  # which takes the scenes of a glyph for independent


def test_groups_of_one_example_are_the_plain_bootstrap() -> None:
    values = np.random.default_rng(3).integers(2, size=200)
    assert grouped_interval([values], [1] * 200) == bootstrap(values, lambda rows: rows.mean(-1))
    plain = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0))
    np.testing.assert_allclose(grouped_interval([values], [1] * 200), plain.confidence_interval, atol=0.005)


def test_groups_of_different_sizes_weigh_by_their_examples() -> None:
    low, high = grouped_interval([[0, 30]], [10, 30])
    assert (low, high) == (0, 1)  # drawn twice: one group or the other
    assert grouped_interval([[5, 15]], [10, 30]) == (0.5, 0.5)


def test_several_replicas_are_never_narrower_than_students_interval_over_them() -> None:
    right = np.array([[5] * 50, [6] * 50, [9] * 50])  # all groups are alike, and the replicas are not
    _, low, high = student(right.mean(1) / 14)
    assert grouped_interval(right, [14] * 50) == (max(0.0, low), min(1.0, high))


def test_where_every_example_is_right_a_group_counts_as_one_example() -> None:
    assert grouped_interval([[14] * 30], [14] * 30) == wilson(1.0, 30)
    assert grouped_interval([[0] * 30] * 2, [14] * 30) == wilson(0.0, 30)


@pytest.mark.parametrize(("count", "total"), [(0, 8), (1, 8), (5, 12), (8, 8)])
def test_an_exact_interval_of_a_share_is_that_of_scipy(count: int, total: int) -> None:
    wanted = stats.binomtest(count, total).proportion_ci(0.95, "exact")
    assert clopper_pearson(count, total) == pytest.approx((wanted.low, wanted.high))


def test_a_failure_can_go_unseen() -> None:
    assert unseen_rate(8) == pytest.approx(0.312, abs=1e-3)
    assert (1 - unseen_rate(8)) ** 8 == pytest.approx(0.05)
