"""The cells of a grid: equally many images, changes in order, and what is left out of a cell is said."""

import dataclasses

import pytest
from small_grid import NETS, RULES, grid

from train.config import Optim, Scenes, override
from train.history.grids import Variant
from train.history.grids.cells import Cell, cells, choose, shortened
from zoo.errors import UserError


def of(name: str, **fields) -> Cell:
    (cell,) = choose(cells(grid(**fields)), (name,))
    return cell


def test_every_cell_sees_as_many_images_whatever_its_batch() -> None:
    other = (*RULES, Variant("tiny", {"data": {"batch": 8}}))
    found = cells(grid(columns=other))
    assert [cell.name for cell in found[:4]] == ["line/sgd", "line/momentum", "line/adam", "line/tiny"]
    assert {cell.experiment.steps * cell.experiment.data.batch for cell in found} == {64}
    assert {cell.experiment.seeds for cell in found} == {5}
    assert found[2].tune.sweep == ("optim.lr=0.001,0.01",)
    assert found[3].tune.sweep == ("optim.lr=0.01,0.1",)
    assert len({cell.design for cell in found}) == len(found)


def test_the_column_comes_after_the_row() -> None:
    rows = (Variant("row", {"optim": {"clip_norm": 1.0, "weight_decay": 0.1}}),)
    columns = (Variant("column", {"optim": {"weight_decay": 0.2}}),)
    optim = of("row/column", rows=rows, columns=columns).experiment.optim
    assert (optim.clip_norm, optim.weight_decay) == (1.0, 0.2)


def test_a_change_for_some_nets_is_left_out_of_the_others_and_said() -> None:
    drop = Variant("drop", where_there={"model.fields.dropout": 0.1})
    columns = (drop, *RULES)
    assert of("mlp/drop", columns=columns).experiment.model.fields["dropout"] == 0.1
    assert of("mlp/drop", columns=columns).left_out == ()
    left = of("line/drop", columns=columns)
    assert left.experiment.model.fields == {}
    assert left.left_out == ("dropout 0.1 is left out, as the net has none",)


def test_pixels_of_an_augmentation_grow_with_the_images() -> None:
    base = dataclasses.replace(grid().base, data=Scenes(batch=32))
    large = Variant("large", {"data": {"image_size": 32}})
    columns = (Variant("moved", {"data": {"augment": ("shift_1", "mixup_0.2")}}),)
    made = dataclasses.replace(grid(rows=(NETS[0], large), columns=columns), base=base)
    small, other = cells(made)
    assert small.experiment.data.augment == ("shift_1", "mixup_0.2")
    assert other.experiment.data.augment == ("shift_2", "mixup_0.2")
    assert other.fitted == ("images are enlarged to 32 pixels", "shift_1 is shift_2 at 32 pixels")
    unknown = dataclasses.replace(made, base=grid().base)
    with pytest.raises(UserError, match=r"^cell large/moved: shift_1 is in pixels, and the base of the grid gives no"):
        cells(unknown)


def test_a_shorter_run_keeps_the_shares_of_its_schedule() -> None:
    base = override(
        grid().base,
        {"steps": 800, "optim": {"schedule": "steps", "decay_at": (400, 600), "warmup_steps": 20, "ema": 0.99}},
    )
    half = shortened(base, 0.5)
    assert (half.steps, half.eval_every_steps) == (400, 50)
    assert half.optim == dataclasses.replace(base.optim, decay_at=(200, 300), warmup_steps=10, ema=0.98)
    two = shortened(base, 1 / 400)
    assert (two.steps, two.optim.warmup_steps, two.optim.ema) == (2, 1, 0.0)
    assert (two.optim.schedule, two.optim.decay_at) == ("constant", ())
    assert shortened(base, 1) is base
    cosine = dataclasses.replace(base, optim=Optim("adam", schedule="cosine"))
    assert shortened(cosine, 0.5).optim == cosine.optim


def test_the_quick_version_has_the_rates_that_it_is_given_and_the_cells_of_these() -> None:
    (quick,) = cells(grid(quick_images=32), {"mlp/adam": 0.02})
    assert (quick.name, quick.rates) == ("mlp/adam", (0.02,))
    assert (quick.experiment.steps, quick.experiment.seeds) == (1, 2)
    assert quick.design != of("mlp/adam", quick_images=32).design


def test_no_such_cell_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^unknown cell 'mpl/adam': did you mean mlp/adam"):
        choose(cells(grid()), ("mpl/adam",))
