"""Set up segmentation: images and their masks, and how well the predicted regions cover the true ones."""

from pathlib import Path

import numpy as np
from jax.sharding import Mesh

import zoo
from train.config import Data, Experiment, Segment
from train.core import State, Task
from train.data.masks import catalog
from train.data.masks.inputs import masked
from train.data.split import IGNORED, Dataset, some
from train.metrics import overlap
from train.metrics.evaluation import BATCH, Evaluator, Measure
from train.tasks.classify.weights import balanced
from train.tasks.images import evaluators, feeder
from train.tasks.segment.task import segment
from train.tasks.setup import Setup, make_model, make_optimizer, require_able, require_batch, sizes
from zoo.errors import UserError

EVALUATED = BATCH * 32 * 32
"""Pixels that are evaluated at once, at most, but for a single image."""
COUNTED = 2_000
"""Training masks from which the weights of the classes are computed, at most."""
SHOWN = 8
"""Test images in the picture of a run."""


def assemble(experiment: Experiment, task: Segment, data: Data) -> Setup:
    """Set up a run on images with masks."""
    require_able(experiment.model.name, _segments, "tell a class for each pixel")
    dataset = catalog.load(data)
    require_batch(data.batch, len(dataset.train))
    model = make_model(experiment, classes=dataset.classes)
    mean, std = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    inputs = masked(dataset.shape, data.augment, mean, std)
    weights = _weights(task, dataset)

    def build(changed: Experiment) -> Task:
        how = {"classes": dataset.classes, "weights": weights, "precision": changed.precision}
        return segment(model, make_optimizer(changed), inputs, **how)

    learning = build(experiment)
    height, width, _ = inputs.example()["x"].shape[1:]
    counted = evaluators(experiment, dataset, learning, most=max(1, EVALUATED // (height * width)))

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        measure = counted(name, mesh)
        return None if measure is None else _with_overlap(measure)

    def show(state: State, folder: Path) -> None:
        from train.pictures.segments import write_segments

        write_segments(model, state, inputs, some(dataset.test, SHOWN), dataset.classes, folder / "segments.png")

    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        example=inputs.example(),
        feed=feeder(experiment, dataset),
        evaluator=evaluator,
        show=show,
        notes={"mean_iou": "over the classes that are in the split or in the prediction; all pixels count together"},
    )


def _segments(card: zoo.Card) -> bool:
    """Whether the model takes images and gives logits of classes for each pixel."""
    return "x" in card.inputs and hasattr(card.config, "classes") and card.of_pixels


def _with_overlap(measure: Evaluator) -> Measure:
    """Add what follows from the confusion matrix to the means of a split."""
    assert isinstance(measure, Measure)
    counted = measure.confuse
    assert counted is not None  # the task has one

    def confuse(state: State) -> tuple[dict[str, float], np.ndarray]:
        means, counts = counted(state)
        found = {"mean_iou": overlap.mean_iou(counts), "pixel_accuracy": overlap.pixel_accuracy(counts)}
        return found | means, counts

    return Measure(lambda state: confuse(state)[0], confuse)


def _weights(task: Segment, dataset: Dataset) -> np.ndarray | None:
    """Return the weights of the classes in the training loss, float32 (classes,); None: all pixels count alike."""
    asked, names = task.class_weights, dataset.class_names
    if asked is None:
        return None
    if asked == "balanced":
        found = some(dataset.train, COUNTED)["y"]
        return balanced(found[found != IGNORED], names)
    if len(asked) != len(names):
        raise UserError(f"task.class_weights has {len(asked)} numbers, and there are {len(names)} classes")
    return np.array(asked, np.float32)
