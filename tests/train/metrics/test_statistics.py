"""A few numbers as one."""

import numpy as np

from train.metrics.statistics import bootstrap, interquartile_mean, spread


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
