"""Accuracy: exactly k classes are the likeliest k, and a row that is not finite is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from train.metrics.accuracy import is_among_top, is_correct
from train.metrics.nearest_neighbors import accuracy
from train.studies.ensemble import figures

CLASSES = 100


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_row_that_is_not_finite_is_wrong(value: float) -> None:
    labels = jnp.arange(CLASSES)
    for logits in (jnp.full((CLASSES, CLASSES), value), jnp.zeros((CLASSES, CLASSES)).at[:, 0].set(value)):
        assert int(is_correct(logits, labels).sum()) == 0
        assert int(is_among_top(logits, labels, 5).sum()) == 0


def test_equal_logits_give_exactly_k_classes() -> None:
    labels, equal = jnp.arange(CLASSES), jnp.zeros((CLASSES, CLASSES), jnp.bfloat16)
    assert int(is_among_top(equal, labels, 5).sum()) == 5
    assert int(is_correct(equal, labels).sum()) == 1
    np.testing.assert_array_equal(is_among_top(equal, labels, 1), is_correct(equal, labels))


def test_distinct_logits_give_what_sorting_gives() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 20)).astype(np.float32), rng.integers(20, size=50)
    wanted = [label in row for row, label in zip(np.argsort(-logits)[:, :5], labels, strict=True)]
    np.testing.assert_array_equal(is_among_top(jnp.asarray(logits), jnp.asarray(labels), 5), wanted)
    np.testing.assert_array_equal(is_correct(jnp.asarray(logits), jnp.asarray(labels)), logits.argmax(1) == labels)


def test_a_class_that_is_out_of_the_question_makes_no_row_wrong() -> None:
    assert bool(is_correct(jnp.array([[-jnp.inf, 1.0]]), jnp.array([1]))[0])


def test_features_that_are_not_finite_do_not_vote_and_are_not_found() -> None:
    """Scikit-learn refuses them, which ended the run of every replica."""
    bank, labels = np.eye(4), np.arange(4)
    broken = bank.copy()
    broken[3] = np.nan
    assert accuracy(bank, labels, bank, labels, 4) == 1.0
    assert accuracy(broken, labels, broken, labels, 4) == 0.75
    assert accuracy(bank * np.nan, labels, bank, labels, 4) == 0.0


def test_a_diverged_member_is_wrong_and_has_no_confidence() -> None:
    found = figures(np.full((4, 2), np.nan), np.array([0, 0, 1, 1]))
    assert (found["accuracy"], found["calibration_error"]) == (0.0, 0.0)
