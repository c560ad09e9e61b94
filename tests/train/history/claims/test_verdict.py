"""Verdicts follow from the numbers alone: intervals over seeds, margins, pairs."""

import numpy as np
import pytest

from train.history.claims.claim import Effect
from train.history.claims.verdict import Values, judge, overall


def test_noise_alone_is_undecided() -> None:
    draws = np.random.default_rng(0).normal(size=(200, 2, 4))
    verdicts = [
        judge(Effect("a", "b", "higher", ""), {"a": Values((0, 1, 2, 3), a), "b": Values((0, 1, 2, 3), b)})["verdict"]
        for a, b in (map(tuple, one) for one in draws.tolist())
    ]
    assert verdicts.count("undecided") >= 184  # 95 % of 200 are 190; a percentile bootstrap alone would give about 160


@pytest.mark.parametrize(
    ("margin", "kind", "expected", "verdict"),
    [
        (None, "difference", "higher", "holds"),
        (None, "difference", "lower", "does not hold"),
        (0.3, "difference", "higher", "does not hold"),  # higher, but not by as much
        (None, "ratio", "higher", "holds"),
        (1.2, "ratio", "higher", "holds"),
        (2.0, "ratio", "higher", "does not hold"),
    ],
)
def test_a_margin_is_what_the_interval_must_pass(margin, kind, expected, verdict) -> None:
    low = Values((0, 1, 2), (0.6, 0.61, 0.62))
    high = Values((0, 1, 2), (0.85, 0.86, 0.87))
    effect = judge(Effect("a", "b", expected, "", kind, margin), {"a": high, "b": low})
    assert effect["verdict"] == verdict
    assert effect["value"] == pytest.approx(0.25 if kind == "difference" else 0.86 / 0.61, rel=0.01)


def test_seeds_are_paired_where_both_arms_have_them() -> None:
    """With a large spread over seeds that both arms share, only the paired interval sees the small difference."""
    base = np.array([0.1, 0.5, 0.9, 0.3])
    arms = {"a": Values((0, 1, 2, 3), tuple(base + 0.01)), "b": Values((0, 1, 2, 3), tuple(base))}
    assert judge(Effect("a", "b", "higher", ""), arms)["verdict"] == "holds"
    apart = arms | {"b": Values((4, 5, 6, 7), tuple(base))}
    effect = judge(Effect("a", "b", "higher", ""), apart)
    assert (effect["verdict"], effect["paired"]) == ("undecided", False)


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["undecided", "does not hold"], "does not hold"),
    ],
)
def test_a_claim_is_as_good_as_its_effects(verdicts: list, whole: str) -> None:
    assert overall(verdicts) == whole
