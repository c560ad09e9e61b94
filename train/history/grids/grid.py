"""Grid: each of some changes to an experiment with each of some others, such as nets by recipes of training."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from train.config import Classify, Experiment
from train.history.claims.arms import TUNING_SEED
from zoo.errors import Errors, UserError
from zoo.files import is_file_name

OF_MODEL = "model.fields."
FIXED = ("steps", "eval_every_steps", "seed", "seeds", "sweep", "folds", "patience", "budget", "task.name")
"""Fields that no row or column may change: the grid decides on them."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row or a column: changes to the base under a name. Those of a column come after those of its row.

    where_there: changes that are left out, and said so in the cell, where a model has no such field:
    {"model.fields.drop_path": 0.1}. Every other change that does not apply to a cell is an error.
    """

    name: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # overrides, nested like Experiment
    says: str = ""  # its name for readers; empty: `name`
    year: int | None = None
    where_there: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rates: tuple[float, ...] = ()  # of a column: the learning rates to try in place of the grid's
    images: int | None = None  # of a column: how many images its cells learn from, in place of the grid's
    paper: str = ""  # where the changes are from
    departs: str = ""  # in what they differ from the paper

    @property
    def title(self) -> str:
        return self.says or self.name


@dataclasses.dataclass(frozen=True)
class Grid:
    """Rows and columns, and what every cell has in common. Raises UserError for what cannot be compared.

    Every cell learns from `images` training images, whatever its batch, unless its column has its own number. With one
    row the columns are a ladder, each compared with the one before it. The learning rate of a cell has the best
    validation accuracy of `rates`, after `tune_images` images, or as large a share of its column's own, over seeds that
    are not compared; where the best is an end of the rates, they are extended. Steps of the schedule and the averaging
    of weights shrink with the number of images.
    """

    title: str
    base: Experiment
    rows: tuple[Variant, ...]
    columns: tuple[Variant, ...]
    images: int
    rates: tuple[float, ...]
    seeds: int = 5  # of each cell, from that of the base on
    tune_images: int | None = None  # None: as many as a cell learns from
    tune_seeds: int = 1
    quick_seeds: int = 2  # with --quick
    quick_images: int | None = None  # likewise; None: as many as without
    row: str = "net"  # the words for a row and a column
    column: str = "recipe"

    def __post_init__(self) -> None:
        errors = Errors()
        for check in (self._check_names, self._check_counts, self._check_base, self._check_seeds):
            with errors.kept():
                check()
        for variant in (*self.rows, *self.columns):
            with errors.kept():
                _check_changes(variant)
        for rates in (self.rates, *(column.rates for column in self.columns if column.rates)):
            with errors.kept():
                _check_rates(rates)
        for row in self.rows:
            for name in ("rates", "images"):
                with errors.kept():
                    if getattr(row, name):
                        raise UserError(f"the {self.row} {row.name} has {name}: only columns have their own")
        errors.report()

    def _check_names(self) -> None:
        for word, variants in ((self.row, self.rows), (self.column, self.columns)):
            if not variants:
                raise UserError(f"a grid needs at least one {word}")
            for name, count in Counter(variant.name for variant in variants).items():
                if count > 1:
                    raise UserError(f"the {word} {name!r} is there {'twice' if count == 2 else f'{count} times'}")
                if not is_file_name(name) or "/" in name:
                    raise UserError(f"the name of a {word} must be the name of a folder, not {name!r}")

    def _check_counts(self) -> None:
        for name in ("images", "tune_images", "tune_seeds", "quick_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        for name in ("tune_images", "quick_images"):
            value = getattr(self, name)
            if value is not None and value > self.images:
                raise UserError(f"{name} must be at most the {self.images:,} images of a cell, not {value:,}")
        for column in self.columns:
            if column.images is not None and column.images < 1:
                raise UserError(f"{column.name}: images must be at least 1, not {column.images}")

    def _check_base(self) -> None:
        base = self.base
        if not isinstance(base.task, Classify):
            raise UserError(f"a grid compares classifiers by their test accuracy, not the task {base.task.name!r}")
        for name in ("sweep", "folds", "patience", "init_from"):
            if getattr(base, name):
                raise UserError(f"the base of a grid has no {name}: every cell is trained from the start, to the end")

    def _check_seeds(self) -> None:
        for name in ("seeds", "quick_seeds"):
            if getattr(self, name) < 2:
                raise UserError(f"{name} must be at least 2, for an interval, not {getattr(self, name)}")
        last = self.base.seed + max(self.seeds, self.quick_seeds) - 1
        if last >= TUNING_SEED:
            raise UserError(
                f"the grid has no free seeds: its last one is {last:,}, and seeds from {TUNING_SEED:,} on choose the "
                "rates"
            )

    def rates_of(self, column: Variant) -> tuple[float, ...]:
        """Return the learning rates that the cells of a column try."""
        return column.rates or self.rates

    def images_of(self, column: Variant) -> int:
        """Return how many images the cells of a column learn from."""
        return column.images or self.images


def _check_changes(variant: Variant) -> None:
    """Raise UserError for a change that is the grid's own, and for an optional one of anything but a model."""
    for name in _dotted(variant.changes):
        if name in FIXED:
            raise UserError(f"{variant.name} changes {name}, which the grid decides")
        if name == "optim.lr":
            raise UserError(f"{variant.name} changes optim.lr, which is chosen for each cell among the grid's rates")
    for name in variant.where_there:
        if not name.startswith(OF_MODEL):
            raise UserError(
                f"{variant.name}: only fields of a model may be left out, such as {OF_MODEL}drop_path, not {name}"
            )


def _dotted(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of nested changes: {"optim": {"lr": 1}} -> ["optim.lr"]."""
    found = []
    for name, value in changes.items():
        found += _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [prefix + name]
    return found


def _check_rates(rates: Sequence[float]) -> None:
    if len(set(rates)) < 2 or not all(0 < rate < math.inf for rate in rates) or list(rates) != sorted(rates):
        raise UserError(f"the rates of a grid must be at least two numbers above 0 that rise, not {tuple(rates)}")
