"""Verdicts follow from the numbers alone: intervals over seeds, margins, pairs."""

import numpy as np
import pytest

from train.history.claims import results
from train.history.claims.claim import Effect
from train.history.claims.files import load_claim
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


def test_a_missing_seed_is_not_counted_and_unrelated_seeds_are_not_paired() -> None:
    arms = {"a": Values((0, 1, 2, 3), (1.0, 2.0, 3.0, None)), "b": Values((0, 1, 2, 3), (0.0, None, 2.0, 3.0))}
    effect = judge(Effect("a", "b", "higher", ""), arms)
    assert (effect["paired"], effect["seeds"], effect["value"]) == (True, [2, 2], 1.0)
    effect = judge(Effect("a", "b", "higher", ""), arms, related=False)
    assert (effect["paired"], effect["seeds"]) == (False, [3, 3])
    assert effect["value"] == pytest.approx(2 - 5 / 3)


def test_gan_parzen_compares_all_seeds_with_what_no_network_made() -> None:
    """The recorded values of 12 seeds, judged again; paired by equal numbers, 7 of them gave 53.52 and 10.17."""
    claim, found = load_claim("gan_parzen")[0], results.read()["gan_parzen"]
    arms = {arm["name"]: Values(tuple(arm["seeds"]), tuple(arm["values"])) for arm in found["arms"]}
    assert not claim.related("adversarial", "noise")
    assert claim.related("adversarial", "untrained")
    for effect, expected in zip(claim.effects[1:3], ((53.63, 52.91, 54.27), (10.38, 9.76, 10.97)), strict=True):
        judged = judge(effect, arms, related=claim.related(effect.arm, effect.against))
        assert judged["seeds"] == [12, 12]
        assert (judged["value"], judged["low"], judged["high"]) == pytest.approx(expected, abs=0.005)


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
