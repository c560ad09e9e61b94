"""Give the weights of a finished run a name, and measure again those that have one.

python tools/weights.py add RUN NAME --data-licence "CC BY 4.0" [--also RUN …] [--half]
python tools/weights.py card NAME [--intended-use TEXT] [--fails-on TEXT]
python tools/weights.py check [NAME …]

`add` writes ROOT/pretrained/NAME/ with the weights of the best checkpoint (chosen on validation), the run's config, the
record of its data, its tokenizer and its training log, and enters the row into ROOT/pretrained.json. ROOT is
zoo/weights, so the files come inside the wheel; another package that is to bring them has the same folder. The figure
is measured on the file itself; seed and step are read from the run, hashes from the files: nothing is typed. `--also`
names runs of the same config with other seeds, for mean and spread. A classifier's confusion matrix is drawn, and its
commonest errors are written down; of other runs the picture is that of the run's samples. `--intended-use` and
`--fails-on` say in words what the card of the weights (zoo show NAME) needs beside these.

`card` says the same of weights that have a name already, and draws their picture again.

`check` compares the figure of each row with what the file gives here, and exits with 1 where they differ by more than
0.1 points, or 0.01 of a figure that is no share.
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import train.loop.run
import zoo
from train.algorithms.averages import evaluation_variables
from train.commands.published import open_weights
from train.data import record
from train.loop.named import CONFIG, load_or_named
from train.loop.restore import assemble_run, restore, state_of
from train.loop.run import SUMMARY, TOKENIZER, Run
from train.loop.weights_card import PICTURE, draw, measured
from train.tasks.adversarial.task import NETWORKS as PAIR
from zoo.files import lists_in_rows, write_atomically
from zoo.weights import checkpoint, table

ROOT = Path(__file__).parents[1] / "zoo" / "weights"
LOG = "metrics.jsonl"
COPIED = {"config.json": CONFIG, **{name: name for name in (record.FILE, TOKENIZER, LOG, SUMMARY)}}
NEAR = 0.1  # points by which a figure may differ on another machine


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    checks = verbs.add_parser("check")
    checks.add_argument("names", nargs="*")
    adds = verbs.add_parser("add")
    adds.add_argument("run", type=Path)
    adds.add_argument("name", help="card, dot, tag: lenet5.mnist")
    adds.add_argument("--also", type=Path, nargs="*", default=[], help="runs of the same config with other seeds")
    adds.add_argument("--half", action="store_true", help="store float16")
    adds.add_argument("--root", type=Path, default=ROOT)
    adds.add_argument("--module", default="zoo.weights", help="the package that brings the files")
    adds.add_argument("--licence", default="Apache-2.0")
    adds.add_argument("--data-licence", required=True, help='what may be done with the data: "CC BY 4.0"')
    cards = verbs.add_parser("card")
    cards.add_argument("name")
    cards.add_argument("--root", type=Path, default=ROOT)
    for each in (adds, cards):
        each.add_argument("--intended-use", default="", help="what the weights are for")
        each.add_argument("--fails-on", default="", help="what they get wrong, besides a classifier's commonest errors")
    options = parser.parse_args(arguments)
    if options.verb == "check":
        return check(options.names)
    return add(options) if options.verb == "add" else card(options)


def add(options: argparse.Namespace) -> int:
    runs = [train.loop.run.load(path) for path in (options.run, *options.also)]
    for run in runs:
        train.loop.run.require_single(run)
    folder = write(runs[0], options.root / "pretrained" / options.name, half=options.half)
    about = card_of(options, runs[0], folder)
    row = row_of(runs[0], options.name, folder)
    row["figure"] |= over_seeds(runs, row["figure"])
    row |= {
        "source": f"package:{options.module}",
        "licence": options.licence,
        "trained_on": f"{runs[0].experiment.data.name} ({options.data_licence})",
    }
    row |= about
    enter(row, options.name, options.root / "pretrained.json")
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()):,} bytes")
    return 0


def card(options: argparse.Namespace) -> int:
    """Measure the card of weights of this project that have a name, and draw their picture again."""
    run, folder = load_or_named(options.name), options.root / "pretrained" / options.name
    about = {key: value for key, value in card_of(options, run, folder).items() if value}
    row = json.loads((options.root / "pretrained.json").read_text(encoding="utf-8"))["rows"][options.name]
    if PICTURE in about.values():
        row["files"][PICTURE] = facts(folder / PICTURE)
    enter(row | about, options.name, options.root / "pretrained.json")
    return 0


def card_of(options: argparse.Namespace, run: Run, folder: Path) -> dict[str, Any]:
    """Return what a row says of the use and the errors of its weights, and draw the picture into their folder."""
    errors = draw(run, options.name, folder / PICTURE)
    return {
        "intended_use": options.intended_use,
        "fails_on": "; ".join(filter(None, (options.fails_on, errors))),
        "picture": PICTURE if (folder / PICTURE).is_file() else None,
    }


def check(names: list[str]) -> int:
    """Measure rows of this project again; return 1 where one differs."""
    wrong = 0
    for row in table.matching(names) if names else table.match():
        if row.recipe is None or row.figure is None:
            continue
        _, value, unit = measured(*restore(load_or_named(row.name)))
        difference = value - row.figure.value
        wrong += abs(difference) > (NEAR if unit else NEAR / 10)
        print(f"{row.name}: {row.figure.metric} {value:g} {unit}, in the table {row.figure.value:g} ({difference:+g})")
    return int(wrong > 0)


def write(run: Run, folder: Path, *, half: bool = False) -> Path:
    """Write the files of a run into a new folder."""
    folder.mkdir(parents=True)
    model, variables, about = evaluated(run)
    if half:
        variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16), variables)
    zoo.save_weights(folder / "model.safetensors", model, variables, **about)
    for source, target in COPIED.items():
        if (run.path / source).is_file():
            shutil.copyfile(run.path / source, folder / target)
    return folder


def evaluated(run: Run) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return (model, variables, what is stored with them) of the best checkpoint, as `zoo eval` would use them."""
    if run.experiment.task.name != "adversarial":
        loaded = open_weights(str(run.path), None, "auto")
        return loaded.model, loaded.variables, {"inputs": loaded.preprocessing, "labels": loaded.labels}
    setup, state = restore(run, "best")
    variables: dict[str, Any] = {}
    for name, inside in PAIR.items():
        own = evaluation_variables(state, name)
        statistics = own.get("real", own) if inside == "discriminator" else own
        for kind, tree in {**statistics, "params": own["params"]}.items():
            if tree:
                variables.setdefault(kind, {})[inside] = tree
    return setup.model, variables, {}


def row_of(run: Run, name: str, folder: Path) -> dict[str, Any]:
    """Return what the row of the table says of the files that `write` wrote."""
    card = zoo.card(name.partition(".")[0])
    config = zoo.create(run.experiment.model.name, **run.experiment.model.fields).cfg
    fields = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(card.config, field.name, None)
    }
    files = ["model.safetensors", *sorted(path.name for path in folder.iterdir() if path.suffix != ".safetensors")]
    step, _ = checkpoint.find(run.checkpoints, "best")
    setup = assemble_run(run.experiment, run.path)
    state = state_of(setup, zoo.load_weights(setup.model, folder / "model.safetensors"), step)
    metric, value, unit = measured(setup, state)
    return {
        "files": {file: facts(folder / file) for file in files},
        "fields": fields,
        "figure": {
            "metric": metric,
            "value": value,
            "unit": unit,
            "on": f"the test split of {run.experiment.data.name}",
            "source": f"zoo eval {name}",
        },
        "recipe": {
            "config": run.config or run.name,
            "seed": run.experiment.seed,
            "commit": subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip(),
            "step": step,
            "log": LOG,
        },
    }


def over_seeds(runs: list[Run], figure: dict[str, Any]) -> dict[str, Any]:
    """Return how many seeds there are, with mean and spread of several. The first run's figure is measured already."""
    values = [figure["value"], *(measured(*restore(run, "best"))[1] for run in runs[1:])]
    several = {"mean": statistics.mean(values), "spread": statistics.stdev(values)} if len(values) > 1 else {}
    return {"seeds": len(values), **several}


def facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def enter(row: dict[str, Any], name: str, path: Path) -> None:
    """Enter a row into a table, in place of one of that name. The first of its card is the default."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    card = name.partition(".")[0]
    others = {other: fields for other, fields in content["rows"].items() if other != name}
    taken = any(fields.get("default") for other, fields in others.items() if other.partition(".")[0] == card)
    row = {**({} if taken else {"default": True}), **row}
    table.from_json(name, row)  # or it is refused
    content["rows"] = {**content["rows"], name: row}  # in its place, where it has one
    write_atomically(path, lists_in_rows(json.dumps(content, indent=2, ensure_ascii=False, default=dict)) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
