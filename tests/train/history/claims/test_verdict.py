"""Verdicts follow from the numbers alone: intervals over seeds, margins, pairs."""

import numpy as np
import pytest

from train.history.claims import Claim, Effect, Fails, FunctionArm, MembersArm, Metric, TrainedArm, results, table
from train.history.claims.effects import judge
from train.history.claims.failures import Failures, count
from train.history.claims.files import load_claim
from train.history.claims.values import Values, derived
from train.history.claims.verdict import result
from zoo.errors import UserError


def key(*seeds: int) -> frozenset[int]:
    return frozenset(seeds)


def test_noise_alone_is_undecided() -> None:
    draws = np.random.default_rng(0).normal(size=(200, 2, 4))
    verdicts = [
        judge(
            Effect("a", "b", "higher", "", margin=0.01), {"a": Values((0, 1, 2, 3), a), "b": Values((0, 1, 2, 3), b)}
        )["verdict"]
        for a, b in (map(tuple, one) for one in draws.tolist())
    ]
    assert verdicts.count("undecided") >= 184  # 95 % of 200 are 190; a percentile bootstrap alone would give about 160


@pytest.mark.parametrize(
    ("margin", "kind", "expected", "verdict"),
    [
        (0.1, "difference", "higher", "holds"),
        (0.1, "difference", "lower", "contradicted"),
        (0.25, "difference", "higher", "undecided"),  # the interval goes over the margin
        (0.3, "difference", "higher", "too small to matter"),  # higher, but not by as much
        (0.3, "difference", "lower", "too small to matter"),
        (1.2, "ratio", "higher", "holds"),
        (1.2, "ratio", "lower", "contradicted"),
        (2.0, "ratio", "higher", "too small to matter"),
        (2.0, "ratio", "lower", "too small to matter"),
    ],
)
def test_a_margin_is_the_smallest_size_that_counts(margin, kind, expected, verdict) -> None:
    low = Values((0, 1, 2), (0.6, 0.61, 0.62))
    high = Values((0, 1, 2), (0.849, 0.86, 0.871))
    effect = judge(Effect("a", "b", expected, "", kind, margin), {"a": high, "b": low})
    assert effect["verdict"] == verdict
    assert effect["value"] == pytest.approx(0.25 if kind == "difference" else 0.86 / 0.61, rel=0.01)


def test_seeds_are_paired_where_both_arms_have_them() -> None:
    """With a large spread over seeds that both arms share, only the paired interval sees the small difference."""
    base = np.array([0.1, 0.5, 0.9, 0.3])
    arms = {"a": Values((0, 1, 2, 3), tuple(base + 0.01)), "b": Values((0, 1, 2, 3), tuple(base))}
    assert judge(Effect("a", "b", "higher", "", margin=0.005), arms)["verdict"] == "holds"
    apart = arms | {"b": Values((4, 5, 6, 7), tuple(base))}
    effect = judge(Effect("a", "b", "higher", "", margin=0.005), apart)
    assert (effect["verdict"], effect["paired"]) == ("undecided", False)


def test_a_missing_seed_is_not_counted_and_unrelated_seeds_are_not_paired() -> None:
    arms = {"a": Values((0, 1, 2, 3), (1.0, 2.0, 3.0, None)), "b": Values((0, 1, 2, 3), (0.0, None, 2.0, 3.0))}
    effect = judge(Effect("a", "b", "higher", "", margin=0.1), arms)
    assert (effect["paired"], effect["seeds"], effect["value"]) == (True, [2, 2], 1.0)
    effect = judge(Effect("a", "b", "higher", "", margin=0.1), arms, related=False)
    assert (effect["paired"], effect["seeds"]) == (False, [3, 3])
    assert effect["value"] == pytest.approx(2 - 5 / 3)


def test_gan_parzen_compares_all_seeds_with_what_no_network_made() -> None:
    """The recorded values of 12 seeds, judged again; paired by equal numbers, only 7 of them counted."""
    claim, found = load_claim("gan_parzen")[0], results.read()["gan_parzen"]
    arms = {arm["name"]: Values(tuple(arm["seeds"]), tuple(arm["values"])) for arm in found["arms"] if arm["seeds"]}
    assert not claim.related("adversarial", "noise")
    assert claim.related("adversarial", "untrained")
    for name in ("noise", "gaussian"):
        expected = np.mean(arms["adversarial"].values) - np.mean(arms[name].values)
        effect = Effect("adversarial", name, "higher", f"ahead of {name}", margin=1)
        judged = judge(effect, arms, related=claim.related(effect.arm, effect.against))
        assert judged["seeds"] == [12, 12]
        assert judged["value"] == pytest.approx(expected, abs=0.005)


def claim_of(*effects: Effect, **fields) -> Claim:
    """A claim whose arms are a to c, computed; `result` is given their values."""
    arms = {name: FunctionArm("", float) for name in "abc"}
    return Claim(2000, "N", "https://e.org", "It.", arms, effects, Metric("m", "nats", "higher"), seeds=8, **fields)


def test_the_first_effect_decides_and_the_others_are_told_beside_it() -> None:
    """One failed part of five was a failed claim: five equal arms "did not hold" in one of ten."""
    arms = {name: Values((0, 1, 2), tuple(x + i / 100 for i in range(3))) for name, x in (("a", 3), ("b", 2), ("c", 1))}
    up, down = Effect("a", "b", "higher", "up", margin=0.1), Effect("c", "b", "higher", "down", margin=0.1)
    found = result("n", claim_of(up, down, up), "small", arms, seconds=1.0, device="cpu")
    assert ([e["verdict"] for e in found["effects"]], found["verdict"]) == (["holds", "contradicted", "holds"], "holds")
    assert found["parts"] == [2, 3]
    assert results.parts_text(found) == "2 of 3 parts hold"
    assert "holds; 2 of 3 parts hold" in results.markdown([found])
    assert result("n", claim_of(down, up), "small", arms)["verdict"] == "contradicted"
    assert results.parts_text(result("n", claim_of(up), "small", arms)) == ""


def test_a_verdict_of_a_much_smaller_setting_says_so_and_the_full_one_does_not() -> None:
    arms = {name: Values((0, 1, 2), (x, x + 0.01, x + 0.02)) for name, x in (("a", 3.0), ("b", 2.0), ("c", 1.0))}
    up = Effect("a", "b", "higher", "up", margin=0.1)
    small = claim_of(up, smaller="8 nets for 9", full_seeds=9, varies=("test set",), pilots="by hand")
    found = result("n", small, "small", arms, seconds=1.0, device="cpu")
    assert (results.verdict_text(found), found["smaller"]) == ("holds at this size", "8 nets for 9")
    assert "| holds at this size |" in results.markdown([found])
    assert table.notes(found) == [
        "Smaller than in the paper: 8 nets for 9",
        "Between the seeds vary: test set",
        "The setting was searched: by hand",
    ]
    assert results.verdict_text(result("n", small.at(full=True), "full", arms)) == "holds"
    assert results.verdict_text(found | {"verdict": "undecided"}) == "undecided"
    assert claim_of(up).varying == ("random draws",)
    with pytest.raises(UserError, match="unknown thing that varies between seeds 'weather'"):
        claim_of(up, varies=("weather",))


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "the effect 'it' has no margin: give the smallest size that would count in the paper, above 0 for a"),
        ({"margin": 0.0}, "the effect 'it' has a margin of 0: give the smallest"),
        ({"margin": -1.0}, "the effect 'it' has a margin of -1"),
        (
            {"margin": 1.0, "kind": "ratio"},
            "the effect 'it' has a margin of 1: give the smallest size that would count",
        ),
        ({"margin": float("inf")}, "the effect 'it' has a margin of inf"),
        ({"margin": 2.0, "kind": "quotient"}, "the effect 'it' is a difference or a ratio, not 'quotient'"),
    ],
)
def test_an_effect_without_a_sound_margin_is_one_line(fields: dict, line: str) -> None:
    with pytest.raises(UserError) as error:
        Effect("a", "b", "higher", "it", **fields)
    assert str(error.value).startswith(line)


def test_an_ensemble_is_compared_with_the_mean_of_its_own_members() -> None:
    """S1: the ensemble of seeds 0, 3 and 6 was paired with seed 0 alone, for its number is 0 too."""
    nets = Values(tuple(range(9)), (0.90, 0.95, 0.92, 0.94, 0.91, 0.95, 0.92, 0.93, 0.90))
    of = (key(0, 3, 6), key(1, 4, 7), key(2, 5, 8))
    mean = [np.mean([nets.values[seed] for seed in members]) for members in of]
    ensembles = Values((0, 1, 2), tuple(m + gain for m, gain in zip(mean, (0.010, 0.011, 0.012), strict=True)), of=of)
    arms = {"nets": nets, "ensembles": ensembles}
    arms["members"] = derived(MembersArm("", "nets", "ensembles"), arms)
    assert arms["members"].values == pytest.approx(mean)
    effect = judge(Effect("ensembles", "members", "higher", "", margin=0.005), arms)
    assert (effect["paired"], effect["seeds"], effect["verdict"]) == (True, [3, 3], "holds")
    assert effect["value"] == pytest.approx(0.011)
    assert not judge(Effect("ensembles", "nets", "higher", "", margin=0.005), arms)["paired"]
    gone = arms | {"nets": Values(tuple(range(9)), (*nets.values[:8], None))}
    assert derived(MembersArm("", "nets", "ensembles"), gone).values[2] is None


def test_seeds_that_diverged_leave_an_effect_undecided() -> None:
    """S2: 8 of 12 seeds diverged, four good ones were left, and the claim held."""
    seeds = tuple(range(12))
    arms = {
        "a": Values(seeds, (0.9, 0.91, 0.905, 0.9, *[None] * 8)),
        "b": Values(seeds, tuple(0.5 + seed / 100 for seed in seeds)),
    }
    effect = judge(Effect("a", "b", "higher", "", margin=0.1), arms)
    assert (effect["verdict"], effect["why"]) == ("undecided", "a: 8 of 12 seeds diverged or have no finite value")
    found = result("n", claim_of(Effect("a", "b", "higher", "", margin=0.1)), "small", arms | {"c": arms["b"]})
    assert table.notes(found)[0] == f"Undecided since: {effect['why']}"


def failing(first: list, second: list, expected: str = "higher", **fields) -> dict:
    """The effect of a on b among seeds of which those below 0.2 have failed; higher is better."""
    seeds = tuple(range(len(first)))
    values = {"a": Values(seeds, tuple(first)), "b": Values(seeds, tuple(second)), "c": Values(seeds, tuple(first))}
    effect = Effect("a", "b", expected, "", margin=0.05)
    (found,) = result("n", claim_of(effect, fails=Fails("below", 0.2)), "small", values, **fields)["effects"]
    return found


GOOD, BAD = [0.9 + i / 100 for i in range(8)], [0.6 + i / 120 for i in range(8)]


def test_of_seeds_that_can_fail_both_the_failures_and_the_others_decide() -> None:
    whole = failing(GOOD, BAD)
    assert (whole["verdict"], whole["why"], whole["unseen"]) == ("holds", "", pytest.approx(0.312, abs=1e-3))
    once = failing([0.1, *GOOD[1:]], BAD)
    assert once["verdict"] == "undecided"
    assert once["why"] == (
        "of the seeds that did not fail it holds, but 1 of 8 failed in one arm and 0 of 8 in the other"
    )
    assert once["seeds"] == [7, 7]
    assert once["value"] == pytest.approx(np.mean(np.subtract(GOOD[1:], BAD[1:])), rel=1e-4)
    assert once["failures"][0] == {"arm": "a", "failed": 1, "of": 8, "low": 0.00315972, "high": 0.52651}
    assert failing(GOOD, [None, *BAD[1:]])["verdict"] == "holds"  # the favoured arm fails no more often
    assert failing([None, *GOOD[1:]], [0.1, *BAD[1:]])["verdict"] == "holds"
    assert failing(BAD, GOOD)["verdict"] == "contradicted"
    assert failing(BAD, [0.1, *GOOD[1:]])["verdict"] == "undecided"  # it would be contradicted by the arm that fails
    equal = [value + (-1) ** i / 1000 for i, value in enumerate(GOOD)]
    assert failing(GOOD, equal)["verdict"] == "too small to matter"
    assert failing(GOOD, [0.1, *equal[1:]])["verdict"] == "undecided"
    assert failing([0.1] * 8, BAD)["verdict"] == "undecided"
    text = results.effect_text(once, {"unit": "nats"})
    assert text.endswith("of the seeds that did not fail; failed: 1 of 8 (0 to 53 %) of a and 0 of 8 (0 to 37 %) of b, "
                         "and up to 31 % could fail unseen")  # fmt: skip


def test_a_value_made_of_failed_seeds_has_failed() -> None:
    arms = {"n": TrainedArm("", None), "m": MembersArm("", "n", "e"), "e": TrainedArm("", None)}
    pairs = Values((0, 1), (1.0, 1.0), of=(key(0, 1), key(2, 3)))
    values = {"n": Values((0, 1, 2, 3), (1.0, 0.0, 1.0, 1.0)), "e": pairs, "m": pairs}
    found = count(arms, values, Fails("below", 0.5))
    assert (found["n"], found["m"]) == (Failures(frozenset({key(1)}), 4), Failures(frozenset({key(0, 1)}), 2))
    gone = Values((0, 1), (40.0, 40.0), censored=(True, False), diverged=frozenset({1}))
    assert count({"n": arms["n"]}, {"n": gone}, Fails())["n"].keys == {key(1)}


def test_a_claim_whose_seeds_can_fail_needs_eight_of_them() -> None:
    effect = Effect("a", "b", "higher", "", margin=0.1)
    eight = claim_of(effect, fails=Fails())
    with pytest.raises(UserError, match="a claim whose seeds can fail needs at least 8 seeds, not 3"):
        eight.at(seeds=3)
    assert eight.small().fails is None
    with pytest.raises(UserError, match="a seed fails above or below a threshold, not 'lower'"):
        Fails("lower", 0.3)


def reached(*steps: int, never: int = 0, at: int = 800) -> Values:
    """Steps to a goal; the last `never` seeds did not reach it in `at` steps."""
    values = [*map(float, steps), *[float(at)] * never]
    return Values(tuple(range(len(values))), tuple(values), censored=(False,) * len(steps) + (True,) * never)


def test_a_run_that_never_reached_its_goal_bounds_an_effect_and_has_no_interval() -> None:
    """S3: two of three seeds were the cap, and the ratio had an interval of 0.64 to 0.71."""
    effect = Effect("tanh", "relu", "higher", "", kind="ratio", margin=2)
    favourite = judge(effect, {"tanh": reached(540, 530, 541), "relu": reached(780, never=2)})
    assert (favourite["verdict"], favourite["value"], favourite["low"]) == ("undecided", None, None)
    assert favourite["why"] == "relu has seeds that never reached the goal, so the effect may be smaller"
    other = {"tanh": reached(780, 790, never=4), "relu": reached(300, 310, 320, 330, 340, 350)}
    found = judge(effect, other)
    assert (found["verdict"], found["bound"], found["low"], found["high"]) == ("holds", "at least", None, None)
    assert results.effect_text(found, {"unit": "steps"}) == "at least 2.45 times"
    few = judge(effect, {"tanh": reached(780, never=4), "relu": reached(300, 310, 320, 330, 340)})
    assert (few["verdict"], few["bound"]) == ("undecided", "at least")
    assert few["why"] == "only a bound is known, and 5 of 5 pairs are beyond the margin: it takes all, and 6"
    one = judge(effect, {"tanh": reached(780, 790, never=4), "relu": reached(300, 310, 320, 330, 340, 500)})
    assert (one["verdict"], "5 of 6 pairs" in one["why"]) == ("undecided", True)
    both = judge(effect, {"tanh": reached(780, never=5), "relu": reached(300, 310, 320, 330, 340, never=1)})
    assert (both["verdict"], both["why"]) == ("undecided", "both arms have seeds that never reached the goal")
    fewer = Effect("relu", "tanh", "lower", "", margin=100)
    assert judge(fewer, other)["bound"] == "at most"
    assert judge(fewer, other)["verdict"] == "holds"


def test_an_arm_with_censored_seeds_has_a_bound() -> None:
    arms = {"a": reached(700, never=2), "b": reached(300, 310, 320), "c": reached(300, 310, 320)}
    found = result("n", claim_of(Effect("a", "b", "higher", "", margin=1)), "small", arms)["arms"]
    assert (found[0]["at_least"], found[0]["low"], found[0]["deviation"]) == ([False, True, True], None, None)
    assert table.mean_text(found[0], {"unit": "steps"}) == "at least 766.7"
    assert "at_least" not in found[1]


def test_exact_values_have_no_seeds_and_no_interval() -> None:
    """S9: a value without randomness was five seeds, with an interval of 44.5 to 44.5."""
    exact, sampled = Values((), (3.0,), exact=True), Values((0, 1, 2), (1.0, 1.01, 1.02))
    arms = {"a": exact, "b": Values((), (1.0,), exact=True), "c": sampled}
    both = judge(Effect("a", "b", "higher", "", kind="ratio", margin=2), arms)
    assert (both["verdict"], both["exact"], both["low"], both["value"]) == ("holds", True, None, pytest.approx(3))
    assert results.effect_text(both, {"unit": ""}) == "3 times (exact)"
    assert results.seeds_text({"arms": []}, both) == "exact"
    mixed = judge(Effect("a", "c", "higher", "", margin=1), arms)
    assert (mixed["verdict"], mixed["seeds"], mixed["exact"]) == ("holds", [3, 3], False)
    assert mixed["high"] - mixed["low"] == pytest.approx(2 * 0.01 / 3**0.5 * 4.303, rel=0.01)
    assert judge(Effect("c", 5.0, "lower", "", margin=1), arms)["verdict"] == "holds"
    claim = claim_of(Effect("a", "b", "higher", "", margin=1))
    found = result("n", claim, "small", arms)["arms"]
    assert (found[0]["seeds"], found[0]["exact"], table.count_text(found[0])) == ([], True, "exact")
    assert table.count_text(found[2]) == "3"
