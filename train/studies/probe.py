"""`zoo probe`: what the features of a trained network are worth, the network frozen and its hash checked."""

import dataclasses
import time
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from flax import linen as nn
from jax.sharding import Mesh

import train.data
import train.loop.run
from train.config import Data
from train.core import devices
from train.data.inputs import Inputs, images
from train.data.split import Dataset, Split
from train.inference.features import Extractor, fingerprint, frozen
from train.loop.checkpoints import Checkpoints
from train.loop.restore import assemble_run, restore_replicas
from train.loop.run import Run
from train.metrics import linear_probe, nearest_neighbors
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


def probe(run: Run, options: ProbeOptions) -> dict[str, Any]:
    """The figures of `zoo probe` as JSON. Raises UserError for a run without images or features, and, which would be a
    fault of this program, where the weights are not the same after as before."""
    began = time.perf_counter()
    dataset = _dataset(run, options.labels)
    variables, extract, step = _network(run, dataset, options)
    before = fingerprint(variables)
    parts = {name: _features(extract, variables, getattr(dataset, name)) for name in SPLITS}
    extracted = time.perf_counter()
    judged = linear_probe.evaluate(*(parts[name] for name in SPLITS))
    bank = parts["train"]
    near = {
        name: nearest_neighbors.accuracy(bank.features, bank.labels, part.features, part.labels, dataset.classes)
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


def linear_each(run: Run, labels: float = 1.0, *, untrained: bool = False) -> list[linear_probe.Result]:
    """Linear evaluation of every replica of a finished run: of its last checkpoint, or of the network as it began."""
    dataset = _dataset(run, labels)
    parts, team, state = restore_replicas(run)
    if untrained:
        state = jax.jit(team.init)(team.key)
    extract = _extractor(run, dataset, parts.model, devices.make_mesh(run.experiment.data.batch))
    found = []
    for one in team.each(state):
        variables = frozen(one)
        found.append(linear_probe.evaluate(*(_features(extract, variables, getattr(dataset, name)) for name in SPLITS)))
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
    parts = assemble_run(run.experiment, run.path)
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


def _features(extract: Any, variables: dict[str, Any], split: Split) -> linear_probe.Labelled:
    labels = split.arrays()["y"] if split.in_memory else split.batch(np.arange(len(split)))["y"]
    return linear_probe.Labelled(extract(variables, split), labels)


def _notes(judged: linear_probe.Result, weights: str, options: ProbeOptions) -> dict[str, str]:
    ended = "converged" if judged.converged else f"stopped after {linear_probe.ITERATIONS} iterations"
    same = "no weights" if options.features == "pixels" else f"unchanged, sha256 {weights}"
    return {
        "linear": f"logistic regression, L2 strength {judged.strength:g} chosen on validation, {ended}",
        "nearest neighbours": (
            f"{nearest_neighbors.NEIGHBOURS} by cosine, temperature {nearest_neighbors.TEMPERATURE}, fixed"
        ),
        "weights": same,
    }
