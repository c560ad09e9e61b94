"""A small grid for the tests: two nets by three optimizers on the embedded digits."""

from pathlib import Path

from train.config import Data, Experiment, Model, Optim
from train.history.grids import Grid, Variant, results

NETS = (
    Variant("line", {"model": {"name": "perceptron"}}, "Perceptron", 1958),
    Variant("mlp", {"model": {"name": "mlp", "fields": {"widths": (8,)}}}, "MLP", 1986),
)
RULES = (
    Variant("sgd", {"optim": {"name": "sgd"}}),
    Variant("momentum", {"optim": {"name": "momentum", "momentum": 0.9}}),
    Variant("adam", {"optim": {"name": "adam", "warmup_steps": 1}}, rates=(0.001, 0.01)),
)
BASE = Experiment(Model("perceptron"), Data("digits", batch=32), Optim("sgd"))


def grid(**fields) -> Grid:
    """Two nets by three optimizers, 2 steps each; with other fields where they are given."""
    usual = {"rows": NETS, "columns": RULES, "images": 64, "rates": (0.01, 0.1), "seeds": 5}
    return Grid("Two nets by three rules", BASE, **(usual | fields))


FILE = '''
"""Two nets by three optimizers."""
from train.config import Data, Experiment, Model, Optim
from train.history.grids import Grid, Variant

GRID = Grid(
    title="Two nets by three rules",
    base=Experiment(Model("perceptron"), Data("digits", batch=32), Optim("sgd")),
    rows=(Variant("line"), Variant("mlp", {"model": {"name": "mlp", "fields": {"widths": (8,)}}})),
    columns=(
        Variant("sgd"),
        Variant("momentum", {"optim": {"name": "momentum", "momentum": 0.9}}),
        Variant("adam", {"optim": {"name": "adam"}}, rates=(0.001, 0.01)),
    ),
    images=64,
    rates=(0.01, 0.1),
    quick_images=32,
)
'''

TWO_BY_TWO = FILE.replace('        Variant("momentum", {"optim": {"name": "momentum", "momentum": 0.9}}),\n', "")


def write(folder: Path, text: str = FILE) -> Path:
    """Write the file of a grid, `mine.py`, into a folder."""
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


def result(values: dict[str, list[float]], missing: tuple[str, ...] = (), **fields) -> dict:
    """Return the result of a grid whose cells have these accuracies, by row/column, without those that are missing."""
    made = grid(**fields)
    cells = [
        {
            "row": row.name,
            "column": column.name,
            "values": values[f"{row.name}/{column.name}"],
            "diverged": [],
            "doubt": "",
            "left_out": ["drop_path 0.1 is left out, as the net has none"] if column.name == "adam" else [],
            "fitted": [],
            "rate": 0.1,
            "images": made.images_of(column),
            "steps": 2,
            "batch": 32,
            "examples": 100,
            "curve": {"images": [32, 64], "accuracy": [0.5, 0.9]},
            "seconds": 60.0,
            "device": "cpu, 2 cores",
            "date": "2026-11-29",
        }
        for row in made.rows
        for column in made.columns
        if f"{row.name}/{column.name}" not in missing
    ]
    return results.assemble(results.facts("mine", made), cells)
