"""Set up contrastive learning on images: the task, and how good its features are while it trains."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

import train.data
import zoo
from train.config import Contrast, Data, Experiment
from train.core import State, Task
from train.data.inputs import images
from train.data.split import Dataset, Split, cut
from train.inference.features import Extractor, frozen
from train.metrics import nearest_neighbors
from train.metrics.evaluation import Evaluator
from train.tasks.contrast.task import contrast
from train.tasks.images import evaluators, feeder
from train.tasks.setup import Setup, make_model, make_optimizer, narrow, require_able, require_batch, sizes

BANK = 5_000  # labelled training examples at most that vote as nearest neighbours
QUERIES = 5_000  # examples of validation or test at most that are classified by that vote


def assemble(experiment: Experiment, task: Contrast, data: Data) -> Setup:
    """Set up a run on images without labels; the labels of some images are used to judge the features."""
    del task  # `build` reads the config of each replica
    require_able(experiment.model.name, _contrasts, "do the task 'contrast'")
    dataset = train.data.load(data)
    require_batch(data.batch, len(dataset.train))
    mean, std = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    inputs = images(dataset.shape, data.augment, mean, std)
    model = make_model(experiment)

    def build(changed: Experiment) -> Task:
        temperature = narrow(changed.task, Contrast).temperature
        return contrast(model, make_optimizer(changed), inputs, temperature=temperature, precision=changed.precision)

    learning = build(experiment)
    means_on = evaluators(experiment, dataset, learning, most=data.batch)  # as many negatives as in training

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        measure = means_on(name, mesh)
        if measure is None:
            return None
        return _with_neighbors(measure, _votes(Extractor(model, inputs, mesh), dataset, name))

    def watch(state: State, folder: Path, step: int) -> None:
        from train.pictures.views import write_views

        del state, step
        if not (folder / "views.png").exists():  # the views do not change with training
            write_views(images(dataset.shape, data.augment), dataset.train, folder / "views.png")

    def show(state: State, folder: Path) -> None:
        from train.pictures.views import write_map

        write_map(Extractor(model, inputs), frozen(state), dataset, folder / "features.png")

    near, bank = nearest_neighbors.NEIGHBOURS, f"{len(_some(dataset.train, BANK)):,}"
    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        example=inputs.example(),
        feed=feeder(experiment, dataset),
        evaluator=evaluator,
        watch=watch,
        show=show,
        notes={
            "knn_accuracy": f"vote of the {near} nearest of {bank} training features before the projection head; "
            "for nothing else are labels used"
        },
    )


def _contrasts(card: zoo.Card) -> bool:
    """Whether the model is an encoder with a projection head."""
    return hasattr(card.config, "encoder")


def _votes(extract: Extractor, dataset: Dataset, name: str) -> Callable[[State], float]:
    """Return the function that measures the accuracy of nearest neighbors on some of the split called `name`."""
    split: Split = getattr(dataset, name)
    bank, queries = _some(dataset.train, BANK), _some(split, QUERIES)

    def accuracy(state: State) -> float:
        variables = frozen(state)
        bank_features = extract(variables, dataset.train, bank)
        query_features = extract(variables, split, queries)
        bank_labels, query_labels = dataset.train.batch(bank)["y"], split.batch(queries)["y"]
        return nearest_neighbors.accuracy(bank_features, bank_labels, query_features, query_labels, dataset.classes)

    return accuracy


def _with_neighbors(measure: Evaluator, accuracy: Callable[[State], float]) -> Evaluator:
    """Add "knn_accuracy" to the means that `measure` returns."""

    def evaluate(state: State) -> dict[str, float]:
        knn_accuracy = accuracy(state)
        means = measure(state)
        count = means.pop("count")
        return means | {"knn_accuracy": knn_accuracy, "count": count}

    return evaluate


def _some(split: Split, most: int) -> np.ndarray:
    """Indices of at most `most` examples of a split, always the same, each class in proportion."""
    if len(split) <= most:
        return np.arange(len(split))
    _, chosen = cut(split.store, split.indices, most / len(split), seed=0)
    return np.searchsorted(split.indices, chosen)
