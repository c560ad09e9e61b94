"""The arms of an effect differ in one thing, or in what it declares."""

import dataclasses

import pytest
from small_claim import MLP, SLOW, claim, pair

from train.config import override
from train.history.claims import Claim, Effect, TrainedArm, Tune, design
from zoo.errors import UserError


def differing(*declared: tuple[str, ...] | None, **fields) -> Claim:
    """A claim whose arms differ in their rate and their batch."""
    arms = {"a": TrainedArm("", MLP), "b": TrainedArm("", override(SLOW, {"data": {"batch": 16}}), **fields)}
    return claim(arms, *(Effect("a", "b", "lower", "it", margin=0.1, differs=one) for one in declared))


def test_arms_that_differ_in_more_than_is_declared_are_one_line() -> None:
    """Two arms could differ in anything: their batch, say, beside what the paper is about."""
    with pytest.raises(UserError) as error:
        differing(("optim.lr",))
    assert str(error.value) == (
        "the effect 'it': a and b also differ in data.batch: arms differ in one thing, and it declares optim.lr"
    )
    whole = differing(("optim", "data.batch"))
    assert whole.differing(whole.effects[0]) == ["data.batch", "optim.lr"]
    tuned = differing(("data.batch",), tune=Tune(("optim.lr=0.1,1",), 20))
    assert tuned.differing(tuned.effects[0]) == ["data.batch"]
    assert tuned.small().effects[0].differs is None  # there nothing is tuned
    begun = whole.arms | {"a": TrainedArm("", MLP, start="s")}
    with pytest.raises(UserError, match="also differ in start: arms differ in one thing, and it declares"):
        dataclasses.replace(whole, starts={"s": MLP}, arms=begun)


def test_what_is_declared_is_no_part_of_the_design_and_where_it_is_not_only_a_record_is_refused() -> None:
    old, declared = differing(None), differing(("optim", "data"))
    assert design.digest(old) == design.digest(declared)
    declared.demand_one_difference()
    with pytest.raises(UserError) as error:
        old.demand_one_difference()
    assert str(error.value) == (
        "the effect 'it': a and b differ in 2 fields, and arms differ in one thing: where these are one, it declares "
        "differs=('data.batch', 'optim.lr')"
    )
    pair().demand_one_difference()  # one field
    other = TrainedArm("", override(MLP, {"optim": {"name": "adam", "b1": 0.8}, "model": {"name": "mlp"}}))
    found = claim({"a": other, "b": TrainedArm("", MLP)}, Effect("a", "b", "lower", "it", margin=0.1))
    assert found.differing(found.effects[0]) == ["optim"]  # another rule has fields of its own
