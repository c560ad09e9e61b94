"""`zoo probe`: evaluate the features of a frozen network; a hash checks that its weights do not change."""

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
from train.config.files import OwnParts
from train.core import devices
from train.data.inputs import Inputs, images
from train.data.split import Dataset, Split
from train.inference.features import Extractor, fingerprint, frozen
from train.loop.checkpoints import Checkpoints
from train.loop.known_data import normalizing_as_trained
from train.loop.replicas import make_replica_set
from train.loop.restore import assemble_run, restore_replicas
from train.loop.run import Run
from train.loop.start import initialize
from train.metrics import linear_probe, nearest_neighbors
from train.tasks.setup import narrow
from zoo.errors import UserError

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class ProbeOptions(OwnParts):
    """Evaluate the features of a frozen network with a linear classifier and with nearest neighbors. The regularization
    of the classifier is chosen on validation, and the test split is read once.
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Folder of the run, or weights of this project by name. Its model must have features (every resnet, vit and
    simclr)."""
    checkpoint: Literal["best", "last"] = "best"
    """`best`: the highest score on validation; `last`: the end of the run."""
    labels: float = 1.0
    """Share of the training examples whose labels are used, the same for each class (above 0 to 1)."""
    features: Literal["trained", "untrained", "pixels"] = "trained"
    """What to evaluate: the trained network, its initialization, or the normalized pixels. The last two are baselines:
    they show how much the training contributes."""


def probe(run: Run, options: ProbeOptions) -> dict[str, Any]:
    """Return the results of `zoo probe` as JSON.

    Raises UserError for a run without images or features, and where the weights changed, which would be a bug.
    """
    began = time.perf_counter()
    dataset = _dataset(run, options.labels)
    variables, extract, step = _network(run, dataset, options)
    before = fingerprint(variables)
    features = {name: _features(extract, variables, getattr(dataset, name)) for name in SPLITS}
    extracted = time.perf_counter()
    linear = linear_probe.evaluate(*(features[name] for name in SPLITS))
    bank = features["train"]
    knn = {
        name: nearest_neighbors.accuracy(bank.features, bank.labels, part.features, part.labels, dataset.classes)
        for name, part in features.items()
        if name != "train"
    }
    after = fingerprint(variables)
    if after != before:
        raise UserError(f"the weights of {run.path} changed during the probe: {before[:16]} became {after[:16]}")
    return {
        "run": str(run.path),
        "features": options.features,
        "step": step,
        "labels": options.labels,
        "dimensions": bank.features.shape[1],
        "linear": dataclasses.asdict(linear),
        "knn": knn,
        "counts": {name: len(part.labels) for name, part in features.items()},
        "sha256": before,
        "seconds": {"features": round(extracted - began, 1), "rest": round(time.perf_counter() - extracted, 1)},
        "notes": _notes(linear, before, options),
    }


def linear_each(run: Run, labels: float = 1.0, *, untrained: bool = False) -> list[linear_probe.Result]:
    """Return the linear evaluation of every replica of a finished run, of its last checkpoint or its initialization."""
    dataset = _dataset(run, labels)
    setup, replicas, states = restore_replicas(run)
    mesh = devices.make_mesh()
    if untrained:
        states = initialize(run.experiment, replicas, mesh).state
    extract = _extractor(run, dataset, setup.model, mesh)
    results = []
    for state in replicas.each(states):
        variables = frozen(state)
        features = [_features(extract, variables, getattr(dataset, name)) for name in SPLITS]
        results.append(linear_probe.evaluate(*features))
    return results


def _dataset(run: Run, labels: float) -> Dataset:
    data = normalizing_as_trained(run.experiment, run.path).data
    if not isinstance(data, Data):
        raise UserError(f"{run.path} is not a run on images: zoo probe evaluates the features of images")
    dataset = train.data.load(dataclasses.replace(data, labels=labels))
    if not len(dataset.validation):
        raise UserError(
            f"{run.path} has no validation split (data.validation=0), and the probe chooses its regularization on it"
        )
    return dataset


def _network(run: Run, dataset: Dataset, options: ProbeOptions) -> tuple[dict[str, Any], Any, int]:
    """Return the variables, the extractor and the step of the checkpoint. Pixels have no variables and step 0."""
    data = narrow(run.experiment.data, Data)
    if options.features == "pixels":
        inputs = _inputs(data, dataset)

        def pixels(variables: dict[str, Any], split: Split) -> np.ndarray:
            del variables
            x = np.asarray(jax.jit(inputs.evaluate)({"x": split.arrays()["x"]})["x"])
            return x.reshape(len(x), -1)

        return {}, pixels, 0
    setup = assemble_run(run.experiment, run.path)
    mesh = devices.make_mesh()
    extract = _extractor(run, dataset, setup.model, mesh)
    if options.features == "untrained":
        replicas = make_replica_set(run.experiment, setup.task, setup.build)
        state = replicas.each(initialize(run.experiment, replicas, mesh).state)[0]  # of several, the first seed
    elif run.weights:
        _, _, state = restore_replicas(run)
    else:
        abstract = devices.placed(setup.abstract, mesh, run.experiment.shard)
        saved = Checkpoints(run.checkpoints, read_only=True)
        state, _ = saved.restore(abstract, options.checkpoint, setup.fingerprint)
    return frozen(state), extract, int(state.step)


def _extractor(run: Run, dataset: Dataset, model: nn.Module, mesh: Mesh | None) -> Extractor:
    if not hasattr(model, "represent"):
        raise UserError(f"{run.path}: {run.experiment.model.name} has no features before its head")
    return Extractor(model, _inputs(narrow(run.experiment.data, Data), dataset), mesh)


def _inputs(data: Data, dataset: Dataset) -> Inputs:
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    return images(dataset.shape, data.augment, *moments)


def _features(extract: Any, variables: dict[str, Any], split: Split) -> linear_probe.Labelled:
    return linear_probe.Labelled(extract(variables, split), split.store.labels()[split.indices])


def _notes(linear: linear_probe.Result, weights: str, options: ProbeOptions) -> dict[str, str]:
    ended = "converged" if linear.converged else f"stopped after {linear_probe.ITERATIONS} iterations"
    same = "no weights" if options.features == "pixels" else f"unchanged, sha256 {weights}"
    return {
        "linear": f"logistic regression, L2 strength {linear.strength:g} chosen on validation, {ended}",
        "nearest neighbours": (
            f"{nearest_neighbors.NEIGHBOURS} by cosine, temperature {nearest_neighbors.TEMPERATURE}, fixed"
        ),
        "weights": same,
    }
