"""Find and load the files of grids: those of the project, in configs/grids, by name, and a user's own by path."""

from pathlib import Path

from train.config import files as configs
from train.history.claims.files import own_name
from train.history.grids.grid import Grid
from zoo.errors import UserError

FOLDER = "grids"  # in the folder of configs


def grid_names() -> list[str]:
    """Return the names of the project's grids."""
    return sorted(path.stem for path in (configs.FOLDER / FOLDER).glob("*.py"))


def file_of(name: str) -> Path:
    """Return the file of the grid called `name`, or the Python file at that path."""
    return configs.find_file("grid", name, configs.FOLDER / FOLDER, grid_names())


def result_name(name: str) -> str:
    """Return the name under which the grid called `name`, or of the Python file at that path, keeps its results."""
    return own_name(file_of(name), configs.FOLDER / FOLDER)


def load_grid(name: str) -> Grid:
    """Run the file of the grid called `name`, or the Python file at that path, and return its GRID."""
    path = file_of(name)
    grid = getattr(configs.run_file(path), "GRID", None)
    if not isinstance(grid, Grid):
        raise UserError(f"{path} does not define GRID = Grid(...)")
    return grid
