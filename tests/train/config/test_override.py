"""`override`: what a mapping of changes does to an Experiment."""

import pytest

from train.config import Data, Experiment, Model, override

BASE = Experiment(Model("seq2seq_mini", {"depth": 2, "reverse_source": False}), Data("digits"))


def test_fields_of_a_model_are_merged() -> None:
    changed = override(BASE, {"model": {"fields": {"depth": 1, "width": 8}}})
    assert changed.model.fields == {"depth": 1, "reverse_source": False, "width": 8}
    nested = Model("simclr_resnet20", {"fields": {"depths": (1,), "widths": (4,)}, "widths": (4,)})
    changed = override(Experiment(nested, BASE.data), {"model": {"fields": {"fields": {"widths": (8,)}}}})
    assert changed.model.fields == {"fields": {"depths": (1,), "widths": (8,)}, "widths": (4,)}


@pytest.mark.parametrize("name", ["seq2seq_mini", "mlp"])
def test_another_model_starts_from_its_own_card(name: str) -> None:
    changed = override(BASE, {"model": {"name": name, "fields": {"width": 8}}})
    kept = BASE.model.fields if name == "seq2seq_mini" else {}
    assert changed.model.fields == kept | {"width": 8}


def test_a_smoke_is_replaced() -> None:
    smoke = {"model": {"fields": {"width": 4}}}
    assert override(override(BASE, {"smoke": {"steps": 1}}), {"smoke": smoke}).smoke == smoke
