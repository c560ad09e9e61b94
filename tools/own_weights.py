"""Train the weights that this project has names for, and give them these names.

python tools/own_weights.py make [NAME …] [--workdir runs]          train what is not trained yet, and write the rows
python tools/own_weights.py card [NAME …]                           draw and measure the cards of rows that are there
python tools/own_weights.py repeat [NAME …] [--workdir runs/again]  train again from nothing, and compare with rows

Each is trained by a config of this project with its seeds at once. The first seed has the name; the others give mean
and spread. What stops goes on where it was: a finished run in WORKDIR is not trained again. `repeat` exits with 1 where
the figure of a first seed is further from its row than three standard deviations of the seeds and half a point.
"""

import argparse
import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from rich.console import Console

from train.commands.extract import extract
from train.config import Experiment, files
from train.config.replicas import members
from train.core import machine
from train.loop.fit import fit
from train.loop.restore import opened, restore
from train.loop.run import Run, load
from zoo.errors import UserError, unknown
from zoo.weights import table

DIGITS = "CC BY 4.0 (Alpaydin and Kaynak 1998, the digits of scikit-learn)"
MNIST = "CC BY-SA 3.0 (Yann LeCun and Corinna Cortes)"
SHAKESPEARE = "public domain (Shakespeare's plays)"
PYTHON = "PSF licence version 2 (the documentation of Python)"
CLDR = "Unicode licence version 3 (CLDR's dates by Babel)"
NO_DATA = "no data: the environment is a program"
READ_SCENES = "showing in the timeline and in lessons what nets of each year read in its scenes of digits"
READ_MNIST = "reading one handwritten digit, centred and white on black as MNIST has them, in lessons"
WRITE_PLAYS = "writing lines like Shakespeare's, letter by letter, in lessons"
FILL_DOCS = "filling [MASK] in sentences on Python, in lessons, and starting a task on such texts"
BALANCE = "balancing the pole of CartPole, in lessons"
DEVIATIONS, POINTS = 3, 0.5  # by which a repeated figure may differ


class Own(NamedTuple):
    """Weights of this project: by what config, with how many seeds, on data of what licence, and what they are for."""

    config: str
    seeds: int
    data: str
    use: str


LINE = {
    "perceptron": "perceptron",
    "mlp": "mlp",
    "lenet5": "lenet5",
    "alexnet": "alexnet_cifar",
    "resnet20": "resnet20",
}
OWN = {
    **{f"{card}.scenes": Own(f"scenes_{net}", 3, DIGITS, READ_SCENES) for net, card in LINE.items()},
    "vit_mini_patch4.scenes": Own("scenes_vit", 3, DIGITS, READ_SCENES),
    **{f"{card}.mnist": Own(f"mnist_{net}", 3, MNIST, READ_MNIST) for net, card in LINE.items()},
    "vit_mini_patch4.mnist": Own("mnist_vit_mini", 3, MNIST, READ_MNIST),
    "lstm_char.shakespeare": Own("tiny_shakespeare_lstm_char", 3, SHAKESPEARE, WRITE_PLAYS),
    "gpt_char_mini.shakespeare": Own("tiny_shakespeare_gpt_char_mini", 3, SHAKESPEARE, WRITE_PLAYS),
    "bert_tiny.python_docs": Own("python_docs_bert_tiny", 1, PYTHON, FILL_DOCS),
    "dqn_mlp.cartpole": Own("cartpole_dqn", 3, NO_DATA, BALANCE),
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=("make", "card", "repeat"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--workdir", type=Path)
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in OWN:
            raise UserError(str(unknown("weights of this project", name, OWN)))
    machine.prepare_backend()
    names = options.names or list(OWN)
    if options.verb == "make":
        for name in names:
            make(name, options.workdir or Path("runs"))
        return 0
    if options.verb == "card":
        for name in options.names or [name for name in OWN if name in table.current().rows]:
            tool().main(["card", name, "--intended-use", OWN[name].use])
        return 0
    different = [name for name in names if differs(name, options.workdir or Path("runs/again"))]
    return int(bool(different))


def make(name: str, workdir: Path) -> None:
    """Train the weights called `name`, and write their row and files."""
    own = OWN[name]
    first, *others = [str(run.path) for run in alone(trained(own, workdir))]
    also = ["--also", *others] if others else []
    tool().main(["add", first, name, *also, "--half", "--data-licence", own.data, "--intended-use", own.use])


def differs(name: str, workdir: Path) -> bool:
    """Train the weights called `name` again, print both figures, and return whether they differ."""
    row = table.require(name)
    assert row.figure is not None, "a row of this project has a figure"
    runs = alone(trained(OWN[name], workdir))
    _, value, unit = tool().measured(*restore(runs[0], "best"))
    near = max(DEVIATIONS * (row.figure.spread or 0.0), POINTS if unit else POINTS / 100)
    print(f"{name}: {row.figure.metric} {value:g} {unit}, in the table {row.figure.value:g} (within {near:.2g})")
    return abs(value - row.figure.value) > near


def trained(own: Own, workdir: Path) -> Run:
    """Return the finished run of all seeds in WORKDIR/<config>, without the folder and suffix of a file."""
    experiment: Experiment = dataclasses.replace(files.load(own.config), seeds=own.seeds)
    run, setup, resume = opened(Path(own.config).stem, experiment, workdir)
    if setup is not None:
        fit(run, setup, Console(), resume=resume)
    return load(run.path)


def alone(run: Run) -> list[Run]:
    """Return the runs of each seed alone, taken out where they are not yet."""
    count = len(members(run.experiment))
    if count == 1:
        return [run]
    place = run.path.parent.parent / "seeds" / run.path.name
    there = sorted(place.glob("*/*/config.json"))
    if len(there) < count:
        for number in range(len(there), count):
            extract(run, number, place)
        there = sorted(place.glob("*/*/config.json"))
    return [load(path.parent) for path in there]


def tool() -> ModuleType:
    """Return tools/weights.py."""
    spec = importlib.util.spec_from_file_location("weights", Path(__file__).with_name("weights.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
