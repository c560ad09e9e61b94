"""The definition of a grid: what cannot be compared is one clear line, before anything is trained."""

import dataclasses

import pytest
from small_grid import BASE, NETS, RULES, grid

from train.config import Language
from train.history.grids import Variant
from train.history.grids.cells import cells
from zoo.errors import UserError

FOLDS = dataclasses.replace(BASE, folds=2)
LATE = dataclasses.replace(BASE, seed=9_996)


def with_column(*changes: dict, **fields) -> dict:
    return {"columns": (*RULES, Variant("own", *changes, **fields))}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"rows": (*NETS, NETS[0])}, "the net 'line' is there twice"),
        ({"columns": (*RULES, RULES[0], RULES[0])}, "the recipe 'sgd' is there 3 times"),
        ({"rows": ()}, "a grid needs at least one net"),
        ({"rows": (Variant("a/b"),)}, "the name of a net must be the name of a folder, not 'a/b'"),
        ({"seeds": 1}, "seeds must be at least 2, for an interval, not 1"),
        ({"images": 0}, "images must be at least 1, not 0"),
        ({"tune_images": 65}, "tune_images must be at most the 64 images of a cell, not 65"),
        ({"rates": (0.1,)}, r"the rates of a grid must be at least two numbers above 0 that rise, not \(0.1,\)"),
        ({"rates": (0.1, 0.01)}, "the rates of a grid must be at least two numbers above 0 that rise"),
        ({"rows": (Variant("a", rates=(0.1, 1.0)),)}, "the net a has rates: only columns have their own"),
        (with_column({"steps": 3}), "own changes steps, which the grid decides"),
        (with_column({"optim": {"lr": 0.1}}), "own changes optim.lr, which is chosen for each cell"),
        (with_column(where_there={"optim.ema": 0.9}), "own: only fields of a model may be left out"),
    ],
)
def test_a_grid_that_cannot_be_is_one_line(fields: dict, line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        grid(**fields)


@pytest.mark.parametrize(
    ("base", "line"),
    [
        (FOLDS, "the base of a grid has no folds: every cell is trained from the start, to the end"),
        (LATE, "the grid has no free seeds: its last one is 10,000, and seeds from 10,000 on choose the rates"),
        (dataclasses.replace(BASE, task=Language()), "a grid compares classifiers by their test accuracy, not the"),
    ],
)
def test_a_base_that_cannot_be_is_one_line(base, line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        dataclasses.replace(grid(), base=base)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (with_column({"optim": {"velocity": 1}}), "cells line/own, mlp/own: optim: unknown field 'velocity'"),
        (with_column({"optim": {"b2": 0.98}}), "cells line/own, mlp/own: optim.b2 means nothing to the rule 'sgd'"),
        (
            with_column({"model": {"fields": {"drop_path": 0.1}}}),
            "cell line/own: perceptron: unknown field 'drop_path'",
        ),
        (
            with_column({"data": {"batch": 48}}),
            "cells line/own, mlp/own: the 64 images of a cell are no whole number of batches",
        ),
        (
            with_column({"data": {"image_size": 8}}),
            "cells line/own, mlp/own: own changes data.image_size, which only a net may: it is the net's",
        ),
        (
            with_column({"data": {"split_seed": 1}}),
            "all cells must learn from the same images: data.split_seed is 1 in ",
        ),
        (
            with_column({"data": {"labels": 0.5}}),
            "all cells must learn from the same images: data.labels is 0.5 in line/",
        ),
        (
            {"rows": (*NETS, Variant("own", {"data": {"name": "scenes"}}))},
            "all cells must learn from the same images: ",
        ),
    ],
)
def test_a_change_that_does_not_apply_is_one_line(fields: dict, line: str) -> None:
    with pytest.raises(UserError, match=rf"^(2 errors:\n  )?{line}"):
        cells(grid(**fields))
