"""`zoo probe`: what the features of a trained network are worth, the network frozen and its hash checked."""

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from flax import linen as nn
from jax.sharding import Mesh
from rich.console import Console
from rich.table import Table

import train.data
import train.run
from train import devices, linear, neighbours
from train.arguments import parse
from train.assemble import assemble
from train.checkpoints import Checkpoints
from train.commands import restore_team
from train.config import Data
from train.data.split import Dataset, Split
from train.features import Extractor, fingerprint, frozen
from train.report import figure
from train.run import Run
from train.tasks.inputs import Inputs, images
from zoo.errors import UserError

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class ProbeOptions:
    """Judge the features of a trained network by a linear classifier and by nearest neighbours; nothing of the network
    learns. The regularization of the classifier is chosen on validation; the test split is read once.
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run; its model has features (every resnet, vit and simclr)."""
    checkpoint: Literal["best", "last"] = "best"
    """`best`: the highest score on validation; `last`: the end of the run."""
    labels: float = 1.0
    """Share of the training examples whose labels are used, each class alike (above 0 to 1)."""
    features: Literal["trained", "untrained", "pixels"] = "trained"
    """What is judged: the run's network, the same one as it began, or the normalized pixels of the images: the second
    and third say how much of the first is the training's."""


def probe_command(args: Sequence[str]) -> None:
    """`zoo probe RUN`: prints a table and writes RUN/probe_FEATURES_LABELS.json."""
    options = parse(ProbeOptions, args, prog="zoo probe")
    devices.prepare_backend()
    run = train.run.load(options.run)
    result = probe(run, options)
    part = run.path / f"probe_{options.features}_{options.labels:g}.part"
    try:
        part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        os.replace(part, part.with_suffix(".json"))
    except OSError as error:
        raise UserError(f"cannot write in {run.path}: {error.strerror}") from None
    Console().print(_table(run, result))
    for name in ("linear", "nearest neighbours", "weights"):
        Console().print(f"{name}: {result['notes'][name]}", soft_wrap=True, highlight=False)


def probe(run: Run, options: ProbeOptions) -> dict[str, Any]:
    """The figures of `zoo probe` as JSON. Raises UserError for a run without images or features, and, which would be a
    fault of this program, where the weights are not the same after as before."""
    began = time.perf_counter()
    dataset = _dataset(run, options.labels)
    variables, extract, step = _network(run, dataset, options)
    before = fingerprint(variables)
    parts = {name: _features(extract, variables, getattr(dataset, name)) for name in SPLITS}
    extracted = time.perf_counter()
    judged = linear.evaluate(*(parts[name] for name in SPLITS))
    bank = parts["train"]
    near = {
        name: neighbours.accuracy(bank.features, bank.labels, part.features, part.labels, dataset.classes)
        for name, part in parts.items()
        if name != "train"
    }
    after = fingerprint(variables)
    if after != before:
        raise UserError(f"the weights of {run.path} changed while they were judged: {before[:16]} became {after[:16]}")
    return {
        "run": str(run.path),
        "features": options.features,
        "step": step,
        "labels": options.labels,
        "dimensions": bank.features.shape[1],
        "linear": dataclasses.asdict(judged),
        "knn": near,
        "counts": {name: len(part.labels) for name, part in parts.items()},
        "sha256": before,
        "seconds": {"features": round(extracted - began, 1), "rest": round(time.perf_counter() - extracted, 1)},
        "notes": _notes(judged, before, options),
    }


def linear_each(run: Run, labels: float = 1.0, *, untrained: bool = False) -> list[linear.Result]:
    """Linear evaluation of every replica of a finished run: of its last checkpoint, or of the network as it began."""
    dataset = _dataset(run, labels)
    parts, team, state = restore_team(run)
    if untrained:
        state = jax.jit(team.init)(team.key)
    extract = _extractor(run, dataset, parts.model, devices.make_mesh(run.experiment.data.batch))
    found = []
    for one in team.each(state):
        variables = frozen(one)
        found.append(linear.evaluate(*(_features(extract, variables, getattr(dataset, name)) for name in SPLITS)))
    return found


def _dataset(run: Run, labels: float) -> Dataset:
    data = run.experiment.data
    if not isinstance(data, Data):
        raise UserError(f"{run.path} is no run on images: zoo probe judges the features of images")
    dataset = train.data.load(dataclasses.replace(data, labels=labels))
    if not len(dataset.validation):
        raise UserError(f"{run.path} held out no validation split (data.validation=0), and the probe chooses on it")
    return dataset


def _network(run: Run, dataset: Dataset, options: ProbeOptions) -> tuple[dict[str, Any], Any, int]:
    """(variables, extractor, step of the checkpoint). Pixels have no variables, and step 0."""
    data = run.experiment.data
    if options.features == "pixels":
        inputs = _inputs(data, dataset)

        def pixels(variables: dict[str, Any], split: Split) -> np.ndarray:
            del variables
            x = np.asarray(jax.jit(inputs.evaluate)({"x": split.arrays()["x"]})["x"])
            return x.reshape(len(x), -1)

        return {}, pixels, 0
    parts = assemble(run.experiment, run.path)
    mesh = devices.make_mesh(data.batch)
    extract = _extractor(run, dataset, parts.model, mesh)
    if options.features == "untrained":
        state = jax.jit(parts.task.init)(jax.random.key(run.experiment.seed))
    else:
        abstract = devices.placed(parts.abstract, mesh, run.experiment.shard)
        saved = Checkpoints(run.checkpoints, read_only=True)
        state, _ = saved.restore(abstract, options.checkpoint, parts.fingerprint)
    return frozen(state), extract, int(state.step)


def _extractor(run: Run, dataset: Dataset, model: nn.Module, mesh: Mesh | None) -> Extractor:
    if not hasattr(model, "represent"):
        raise UserError(f"{run.path}: {run.experiment.model.name} has no features before its head to judge")
    return Extractor(model, _inputs(run.experiment.data, dataset), mesh)


def _inputs(data: Data, dataset: Dataset) -> Inputs:
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    return images(dataset.shape, data.augment, *moments)


def _features(extract: Any, variables: dict[str, Any], split: Split) -> linear.Labelled:
    labels = split.arrays()["y"] if split.in_memory else split.batch(np.arange(len(split)))["y"]
    return linear.Labelled(extract(variables, split), labels)


def _notes(judged: linear.Result, weights: str, options: ProbeOptions) -> dict[str, str]:
    ended = "converged" if judged.converged else f"stopped after {linear.ITERATIONS} iterations"
    same = "no weights" if options.features == "pixels" else f"unchanged, sha256 {weights}"
    return {
        "linear": f"logistic regression, L2 strength {judged.strength:g} chosen on validation, {ended}",
        "nearest neighbours": f"{neighbours.NEIGHBOURS} by cosine, temperature {neighbours.TEMPERATURE}, fixed",
        "weights": same,
    }


def _table(run: Run, result: dict[str, Any]) -> Table:
    share = f", {100 * result['labels']:g} % of the labels" if result["labels"] < 1 else ""
    what = f"{result['features']} features ({result['dimensions']:,} numbers{share})"
    table = Table(
        "split", "examples", "linear", "nearest neighbours", title=f"{run.path}, step {result['step']:,}: {what}"
    )
    for name in SPLITS:
        near = figure("accuracy", result["knn"][name]) if name in result["knn"] else ""
        table.add_row(name, f"{result['counts'][name]:,}", figure("accuracy", result["linear"][name]), near)
    return table
