"""The cells of a grid: the experiment of each, checked before anything is trained, and shortened where asked for."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import zoo
from train.config import Data, Experiment, Scenes, override
from train.data.images import augment
from train.history.claims import design
from train.history.claims.arms import Tune
from train.history.grids.grid import OF_MODEL, Grid, Variant
from train.tasks.check import check
from zoo.errors import Errors, UserError, in_one_line, unknown

NAMED = 3  # cells that a message names
EVALUATIONS = 8  # of each run, for the curve behind its cell
MAY_DIFFER = ("batch", "augment", "order", "image_size", "fit", "decode", "placement", "workers")
"""Fields of the data that may differ between cells: they change no example and no split."""
IN_PIXELS = ("shift", "pad_crop", "cutout", "crop", "resized_crop")
"""Augmentations whose strength is in pixels."""


class Cell(NamedTuple):
    """A cell: its experiment but for the learning rate, and how that is chosen."""

    row: Variant
    column: Variant
    experiment: Experiment  # all seeds
    rates: tuple[float, ...]  # one: it was chosen before
    tuned: Experiment  # the shorter run that tries the rates
    tune_seeds: int
    left_out: tuple[str, ...] = ()  # changes that its model has no field for, in words
    fitted: tuple[str, ...] = ()  # what was fitted to the size of its images, in words

    @property
    def name(self) -> str:
        return name_of(self.row.name, self.column.name)

    @property
    def tune(self) -> Tune:
        rates = ",".join(f"{rate:.4g}" for rate in self.rates)
        return Tune((f"optim.lr={rates}",), self.tuned.steps, "validation accuracy", self.tune_seeds)

    @property
    def design(self) -> str:
        """The hash of all that decides the result of the cell."""
        parts = {name: getattr(self, name) for name in ("experiment", "rates", "tuned", "tune_seeds")}
        return design.digest_of(parts)


def name_of(row: str, column: str) -> str:
    """Return the name of a cell: "mlp/1986"."""
    return f"{row}/{column}"


def cells(grid: Grid, rates: Mapping[str, float] | None = None) -> list[Cell]:
    """Return all cells of a grid, row by row. Raises UserError for all that is wrong with any of them.

    rates: name of a cell -> its learning rate, for the quick version of the grid, which has only the cells named here.
    """
    found, wrong = [], {}
    for row in grid.rows:
        for column in grid.columns:
            name = name_of(row.name, column.name)
            if rates is None or name in rates:
                try:
                    found.append(_cell(grid, row, column, None if rates is None else rates[name]))
                except UserError as error:
                    wrong.setdefault(in_one_line(error), []).append(name)
    errors = Errors()
    for message, names in wrong.items():
        with errors.kept():
            raise UserError(f"{_named(names)}: {message}")
    errors.report()
    _require_same_data(found)
    return found


def choose(every: Sequence[Cell], names: Sequence[str]) -> list[Cell]:
    """Return the cells with these names; all of them for ()."""
    known = {cell.name: cell for cell in every}
    for name in names:
        if name not in known:
            raise unknown("cell", name, known)
    return [cell for cell in every if not names or cell.name in names]


def _named(names: Sequence[str]) -> str:
    """Name some cells: "cell mlp/1986", "cells mlp/1986, vit/1986 and 4 more"."""
    if len(names) == 1:
        return f"cell {names[0]}"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"cells {', '.join(names[:NAMED])}{more}"


def _cell(grid: Grid, row: Variant, column: Variant, rate: float | None) -> Cell:
    """Return a cell; with a rate, that of the quick version."""
    experiment, left_out = _changed(grid, row, column)
    experiment, fitted = _fitted(grid, experiment)
    whole = _of_images(experiment, grid.images_of(column))
    images = grid.images if rate is None else grid.quick_images or grid.images
    seeds = grid.seeds if rate is None else grid.quick_seeds
    final = shortened(dataclasses.replace(whole, seeds=seeds), images / grid.images)
    tuned = shortened(whole, (grid.tune_images or grid.images) / grid.images)
    for one in (whole, final, tuned):
        check(one)
    tried = grid.rates_of(column) if rate is None else (rate,)
    return Cell(row, column, final, tried, tuned, grid.tune_seeds, tuple(left_out), tuple(fitted))


def _changed(grid: Grid, row: Variant, column: Variant) -> tuple[Experiment, list[str]]:
    """Return the base with the changes of a row and a column, and what was left out of these."""
    _require_own_data(grid, column)
    experiment = override(override(grid.base, row.changes), column.changes)
    rate = grid.rates_of(column)[0]  # stands for the one that is chosen
    experiment = dataclasses.replace(
        experiment, optim=dataclasses.replace(experiment.optim, lr=rate), smoke={}, budget=""
    )
    there = {field.name for field in dataclasses.fields(zoo.card(experiment.model.name).config)}
    left_out = []
    for name, value in {**row.where_there, **column.where_there}.items():
        field = name.removeprefix(OF_MODEL)
        if field in there:
            experiment = override(experiment, {"model": {"fields": {field: value}}})
        else:
            left_out.append(f"{field} {value} is left out, as the {grid.row} has none")
    return experiment, left_out


def _require_own_data(grid: Grid, column: Variant) -> None:
    """Raise UserError where a column changes the size of the images, which belongs to a net, and so to a row."""
    changes = column.changes.get("data", {})
    for field in ("image_size", "fit"):
        if field in changes:
            raise UserError(f"{column.name} changes data.{field}, which only a {grid.row} may: it is the net's input")


def _fitted(grid: Grid, experiment: Experiment) -> tuple[Experiment, list[str]]:
    """Return an experiment whose augmentations move as much of an image as at the size of the base."""
    data = experiment.data
    assert isinstance(data, Data)
    assert isinstance(grid.base.data, Data)
    before, after = _side(grid.base.data), _side(data)
    if after == before:
        return experiment, []
    remarks = [f"images are enlarged to {after} pixels" if after else "images have the size of the set"]
    names = []
    for name in data.augment:
        (operation,) = augment.parse((name,))
        if operation.name in IN_PIXELS:
            if before is None or after is None:
                raise UserError(f"{name} is in pixels, and the base of the grid gives no data.image_size")
            name = f"{operation.name}_{max(1, round(operation.strength * after / before))}"
            remarks.append(f"{operation.name}_{operation.strength:g} is {name} at {after} pixels")
        names.append(name)
    return override(experiment, {"data": {"augment": names}}), remarks


def _side(data: Data) -> int | None:
    """Return the height of the images in pixels; None where the set alone knows."""
    return data.image_size or (data.size if isinstance(data, Scenes) else None)


def _of_images(experiment: Experiment, images: int) -> Experiment:
    """Return an experiment that learns from so many images."""
    batch = experiment.data.batch
    if images % batch:
        raise UserError(f"the {images:,} images of a cell are no whole number of batches of {batch}")
    steps = images // batch
    return dataclasses.replace(experiment, steps=steps, eval_every_steps=math.ceil(steps / EVALUATIONS))


def shortened(experiment: Experiment, share: float) -> Experiment:
    """Return an experiment of a share of its steps, with all that its optimizer counts in steps.

    An average over the last 100 of 800 steps becomes one over the last 50 of 400.
    """
    if share == 1:
        return experiment
    optim, steps = experiment.optim, max(1, round(experiment.steps * share))
    warmup = min(max(1, round(optim.warmup_steps * share)), steps - 1) if optim.warmup_steps else 0
    changes: dict[str, Any] = {
        "warmup_steps": warmup,
        "ema": max(0.0, 1 - (1 - optim.ema) / share) if optim.ema else 0.0,
    }
    if optim.schedule == "steps":
        falls = sorted({round(at * share) for at in optim.decay_at})
        changes["decay_at"] = tuple(at for at in falls if warmup < at < steps)
        changes["schedule"] = "steps" if changes["decay_at"] else "constant"
    return dataclasses.replace(
        experiment,
        optim=dataclasses.replace(optim, **changes),
        steps=steps,
        eval_every_steps=math.ceil(steps / EVALUATIONS),
    )


def _require_same_data(found: list[Cell]) -> None:
    """Raise UserError where two cells have other examples, or other splits of them."""
    first = found[0]
    for cell in found[1:]:
        if type(cell.experiment.data) is not type(first.experiment.data):
            raise _other_data(cell, "name", first)
        for field in dataclasses.fields(first.experiment.data):
            own, other = (getattr(one.experiment.data, field.name) for one in (cell, first))
            if field.name not in MAY_DIFFER and own != other:
                raise _other_data(cell, field.name, first)


def _other_data(cell: Cell, field: str, first: Cell) -> UserError:
    own, other = (getattr(one.experiment.data, field) for one in (cell, first))
    return UserError(
        f"all cells must learn from the same images: data.{field} is {own!r} in {cell.name} and {other!r} in "
        f"{first.name}"
    )
