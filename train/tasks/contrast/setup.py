"""Contrastive learning on images: the task, and what its features are worth while it trains."""

from pathlib import Path

import numpy as np
from jax.sharding import Mesh

import train.data
import zoo
from train.config import Data, Experiment
from train.core import State, Task
from train.data.images.augment import MIXES, parse
from train.data.inputs import images
from train.data.split import Dataset, Split, cut
from train.inference.features import Extractor, frozen
from train.metrics import nearest_neighbors
from train.metrics.evaluation import Evaluator
from train.tasks.contrast.task import contrast
from train.tasks.images import evaluators, feeder
from train.tasks.setup import Setup, make_model, make_optimizer, require_able, sizes
from zoo.errors import UserError

BANK = 5_000  # training examples at most whose labels the nearest neighbours of validation and test vote with
QUERIES = 5_000  # examples of validation or test at most whose neighbours are looked up


def assemble(experiment: Experiment) -> Setup:
    """The parts of a run on images without labels; those of some are used to judge the features."""
    require_able(experiment.model.name, _contrasts, "do the task 'contrast'")
    data = experiment.data
    _demand_views(data)
    dataset = train.data.load(data)
    if data.batch > len(dataset.train):
        raise UserError(f"data.batch {data.batch} is larger than the {len(dataset.train)} training examples")
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    inputs = images(dataset.shape, data.augment, *moments)
    model = make_model(experiment)

    def build(experiment: Experiment) -> Task:
        return contrast(
            model,
            make_optimizer(experiment),
            inputs,
            temperature=experiment.task.temperature,
            precision=experiment.precision,
        )

    task = build(experiment)
    judged = evaluators(experiment, dataset, task, most=data.batch)  # as many others as in training

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        measure = judged(name, mesh)
        return measure and _with_neighbours(measure, Extractor(model, inputs, mesh), dataset, name)

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
        task,
        build,
        *sizes(task, model, inputs.example()),
        feeder(experiment, dataset),
        evaluator,
        best="knn_accuracy",
        watch=watch,
        show=show,
        notes={
            "knn_accuracy": f"vote of the {near} nearest of {bank} training features before the projection head; "
            "for nothing else are labels used"
        },
    )


def _contrasts(card: zoo.Card) -> bool:
    return hasattr(card.config, "encoder")


def _demand_views(data: Data) -> None:
    """Raise UserError for augmentations that make no two views of an image."""
    operations = parse(data.augment)
    if not operations:
        raise UserError("the task 'contrast' needs data.augment: without it the two views of an image are the same")
    for operation in operations:
        if operation.name in MIXES:
            raise UserError(f"data.augment: {operation.name} mixes labels, and the task 'contrast' has none")
    if data.batch < 2:
        raise UserError(f"the task 'contrast' compares images: data.batch must be at least 2, not {data.batch}")
    if data.labels != 1:
        raise UserError(f"the task 'contrast' learns without labels: data.labels must be 1, not {data.labels}")


def _with_neighbours(measure: Evaluator, extract: Extractor, dataset: Dataset, name: str) -> Evaluator:
    """`measure` and the accuracy of nearest neighbours on some of the split called `name`."""
    split = getattr(dataset, name)
    bank, queries = _some(dataset.train, BANK), _some(split, QUERIES)

    def evaluate(state: State) -> dict[str, float]:
        variables = frozen(state)
        known, asked = extract(variables, dataset.train, bank), extract(variables, split, queries)
        labels, truth = dataset.train.batch(bank)["y"], split.batch(queries)["y"]
        means = measure(state)
        count = means.pop("count")
        score = nearest_neighbors.accuracy(known, labels, asked, truth, dataset.classes)
        return means | {"knn_accuracy": score, "count": count}

    return evaluate


def _some(split: Split, most: int) -> np.ndarray:
    """Positions of at most `most` examples of a split, always the same, each class in proportion."""
    if len(split) <= most:
        return np.arange(len(split))
    _, taken = cut(split.store, split.indices, most / len(split), seed=0)
    return np.searchsorted(split.indices, taken)
