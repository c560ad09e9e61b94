"""A small grid for the tests: two nets by three optimizers on the embedded digits."""

from pathlib import Path

from train.config import Data, Experiment, Model, Optim
from train.history.grids import Grid, Variant

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
