"""Give the weights of a finished run a name: python tools/weights.py RUN NAME [--half] [--root FOLDER]

Writes ROOT/pretrained/NAME/ with the weights of the best checkpoint (chosen on validation), the run's config, the
record of its data, its tokenizer and its training log, and enters the row into ROOT/pretrained.json. ROOT is
zoo/weights, so the files come inside the wheel; another package that is to bring them has the same folder. The figure
is measured on the file itself; seed and step are read from the run, hashes from the files: nothing is typed.
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
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
from train.loop.restore import assemble_run, restore, state_of
from train.loop.run import NAMED, SUMMARY, TOKENIZER, Run
from train.tasks.adversarial.task import NETWORKS as PAIR
from zoo.files import lists_in_rows, write_atomically
from zoo.weights import checkpoint, table

ROOT = Path(__file__).parents[1] / "zoo" / "weights"
LOG = "metrics.jsonl"
COPIED = {"config.json": NAMED, **{name: name for name in (record.FILE, TOKENIZER, LOG, SUMMARY)}}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name", help="card, dot, tag: lenet5.mnist")
    parser.add_argument("--half", action="store_true", help="store float16; measure the figure again afterwards")
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--module", default="zoo.weights", help="the package that brings the files")
    parser.add_argument("--licence", default="Apache-2.0")
    parser.add_argument("--data-licence", required=True, help='what may be done with the data: "CC BY 4.0"')
    options = parser.parse_args(arguments)
    run = train.loop.run.load(options.run)
    train.loop.run.require_single(run)
    folder = write(run, options.root / "pretrained" / options.name, half=options.half)
    row = row_of(run, options.name, folder, options.module, options.licence, options.data_licence)
    enter(row, options.name, options.root / "pretrained.json")
    print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()):,} bytes")


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


def row_of(run: Run, name: str, folder: Path, module: str, licence: str, data_licence: str) -> dict[str, Any]:
    """Return the row of the table for what `write` wrote."""
    card = zoo.card(name.partition(".")[0])
    config = zoo.create(run.experiment.model.name, **run.experiment.model.fields).cfg
    fields = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(card.config, field.name, None)
    }
    files = ["model.safetensors", *sorted(path.name for path in folder.iterdir() if path.suffix != ".safetensors")]
    step, _ = checkpoint.find(run.checkpoints, "best")
    metric, value = measured(run, folder / "model.safetensors", step)
    return {
        "source": f"package:{module}",
        "files": {file: facts(folder / file) for file in files},
        "fields": fields,
        "licence": licence,
        "trained_on": f"{run.experiment.data.name} ({data_licence})",
        "figure": {
            "metric": metric,
            "value": round(value, 6),
            "on": f"the test split of {run.experiment.data.name}",
            "source": f"zoo eval {name}",
            "seeds": 1,
        },
        "recipe": {
            "config": run.config or run.name,
            "seed": run.experiment.seed,
            "commit": subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip(),
            "step": step,
            "log": LOG,
        },
    }


def measured(run: Run, file: Path, step: int) -> tuple[str, float]:
    """Return (metric, value on the test split) of a file; the metric is the one that chose the checkpoint."""
    setup = assemble_run(run.experiment, run.path)
    evaluate = setup.evaluator("test", None)
    assert evaluate is not None, "every data set has a test split"
    state = state_of(setup, zoo.load_weights(setup.model, file), step)
    return setup.best, float(evaluate(state)[setup.best])


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
    content["rows"] = {**others, name: row}
    write_atomically(path, lists_in_rows(json.dumps(content, indent=2, ensure_ascii=False, default=dict)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
