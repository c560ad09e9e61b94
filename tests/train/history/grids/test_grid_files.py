"""Every file of a grid of the project: its cells can be trained, and it says where its numbers are from."""

import ast
import itertools
import re

import jax
import jax.numpy as jnp
import pytest
from small_grid import BASE

from train.config import files as configs
from train.config import override
from train.core.console import Console
from train.history.claims import TrainedArm
from train.history.claims.differing import differing
from train.history.grids import files
from train.history.grids.cells import Cell, cells, shortened
from train.history.grids.run import GridRun
from train.tasks.assemble import assemble

NAMES = files.grid_names()
YEARS, LADDER = (cells(files.load_grid(name)) for name in ("years", "ladder1989"))
TRAINED = [cell for cell in YEARS if cell.row.name == "mlp" or cell.column.name == "2020"]
"""A cell of each row and of each column: to compile all takes ten minutes."""
TOGETHER = ({"data.batch", "data.order"}, {"model.fields.output", "task.loss"})
"""Fields that one step of the ladder changes together: batches are shuffled, and a softmax needs its logits."""


def text_of(name: str) -> str:
    return (configs.FOLDER / "grids" / f"{name}.py").read_text(encoding="utf-8")


def images_of(cell: Cell) -> int:
    return cell.experiment.steps * cell.experiment.data.batch


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_is_sound_and_says_how_to_repeat_it(name: str) -> None:
    grid = files.load_grid(name)
    every = cells(grid)
    assert len(every) == len(grid.rows) * len(grid.columns)
    assert all(images_of(cell) == grid.images_of(cell.column) for cell in every)
    quick = cells(grid, {cell.name: cell.rates[0] for cell in every})
    share = (grid.quick_images or grid.images) / grid.images
    for cell in quick:
        assert abs(images_of(cell) - share * grid.images_of(cell.column)) <= cell.experiment.data.batch
    assert grid.seeds >= 5
    lines = ast.get_docstring(ast.parse(text_of(name))).splitlines()
    for head in (f"Run:     zoo grid {name}", "Here:    ", "Rows:    ", "Columns: ", "Departs: "):
        assert any(line.startswith(head) for line in lines), head
    for column in grid.columns:
        assert column.paper, column.name
        assert column.departs, column.name


def test_every_number_of_a_column_has_its_section_beside_it() -> None:
    body = text_of("years").partition("OF_1986 = ")[2].partition("COLUMNS = ")[0]
    before = ""
    for line in body.splitlines():
        if re.search(r'^ {8,}"\w+": .*\d', line.partition("#")[0]):
            assert "#" in line or "#" in before, line
        before = line


def test_the_years_are_those_of_the_papers_and_no_column_has_what_came_later() -> None:
    grid = files.load_grid("years")
    assert [row.year for row in grid.rows] == [1958, 1986, 1998, 2012, 2015, 2020]
    assert [int(column.name) for column in grid.columns] == [column.year for column in grid.columns]
    by = {column.year: column.changes for column in grid.columns}
    for year in (1986, 1998):
        assert by[year]["task"]["loss"] == "mse"
        assert "weight_decay" not in by[year]["optim"]
    assert "augment" not in by[1986]["data"]
    assert "schedule" not in by[1986]["optim"]
    for year, changes in by.items():
        adaptive = changes["optim"]["name"] in ("adam", "adamw")
        assert adaptive == (year >= 2017)
        assert ("label_smoothing" in changes["task"]) == (year >= 2017)
        assert all("flip" not in name for name in changes["data"].get("augment", ()))
    left_out = {year: [cell.row.name for cell in YEARS if cell.left_out and cell.column.year == year] for year in by}
    assert left_out.pop(2017) == ["perceptron", "lenet5", "alexnet", "resnet20"]  # dropout
    assert left_out.pop(2020) == ["perceptron", "mlp", "lenet5", "alexnet"]  # drop path
    assert not any(left_out.values())
    assert YEARS[-1].experiment.model.fields["drop_path"] == 0.1
    assert BASE.data.name == "digits"


def test_each_step_of_the_ladder_has_all_of_the_one_before_it_and_one_thing_more() -> None:
    first = LADDER[0].experiment
    assert (first.model.fields, first.optim.schedule, first.data.augment) == ({}, "constant", ())
    assert (first.data.batch, first.data.order, first.task.loss) == (1, "constant", "mse_signs")
    for before, after in itertools.pairwise(LADDER):
        arms = (TrainedArm("", cell.experiment) for cell in (before, after))
        names = set(differing(*arms)) - {"optim.lr", "steps", "eval_every_steps"}
        if after.column.images != before.column.images:
            names.add("images")
        assert len(names) == 1 or names in TOGETHER, (after.name, names)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [*YEARS, *LADDER], ids=[cell.name for cell in (*YEARS, *LADDER)])
def test_a_step_of_every_cell_can_be_traced(cell: Cell) -> None:
    """Its task, its data and its first step have shapes that fit; nothing is compiled. MNIST is replaced by digits."""
    experiment = cell.experiment
    if experiment.data.name == "mnist":
        experiment = override(experiment, {"data": {"name": "digits", "labels": 1.0}})
    setup = assemble(experiment)
    state = setup.abstract
    data = experiment.data
    batch = {"x": jnp.zeros((data.batch, *setup.dataset.shape), jnp.uint8), "y": jnp.zeros(data.batch, jnp.int32)}
    after, metrics = jax.eval_shape(setup.task.step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert metrics


@pytest.mark.slow
@pytest.mark.parametrize("cell", TRAINED, ids=[cell.name for cell in TRAINED])
def test_every_row_and_every_column_runs(cell: Cell, tmp_path) -> None:
    """Two steps of every cell, of two seeds, at one rate."""
    made = GridRun("years", tmp_path, Console(quiet=True))
    experiment = shortened(cell.experiment, 2 / cell.experiment.steps)
    found = made.run(cell._replace(experiment=shortened(experiment, 1), rates=(cell.rates[1],)))
    assert len(found["values"]) == 5
