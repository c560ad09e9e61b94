"""Set up an image classifier."""

import numpy as np

import train.data
import zoo
from train.config import Classify, Data, Experiment
from train.data.inputs import images
from train.data.split import Split
from train.pictures.classifier import InsidePictures
from train.tasks.classify.build import builder
from train.tasks.classify.weights import weighting
from train.tasks.images import evaluators, feeder
from train.tasks.setup import Setup, make_model, require_able, require_batch, sizes
from zoo.errors import UserError


def assemble(experiment: Experiment, task: Classify, data: Data) -> Setup:
    """Set up a run on labelled images."""
    require_able(experiment.model.name, _classifies, "classify images")
    dataset = train.data.load(data)
    if not dataset.classes:
        raise UserError(f"{dataset.name} has no classes to tell apart: its y holds other numbers than labels 0, 1, …")
    require_batch(data.batch, len(dataset.train))
    model = make_model(experiment, classes=dataset.classes)
    mean, std = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    inputs = images(dataset.shape, data.augment, mean, std)
    weights, remarks = weighting(task, lambda: labels_of(dataset.train), dataset.class_names)
    build = builder(model, inputs, dataset.classes, weights)
    learning = build(experiment)
    return Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs.example()),
        example=inputs.example(),
        feed=feeder(experiment, dataset),
        evaluator=evaluators(experiment, dataset, learning),
        show=InsidePictures(model, dataset.test, inputs).show,
        remarks=remarks,
    )


def labels_of(split: Split) -> np.ndarray:
    """Return the labels of a split, int32 (N,), without decoding an image."""
    return split.store.labels()[split.indices]


def _classifies(card: zoo.Card) -> bool:
    """Whether the model takes images and tells classes apart."""
    return "x" in card.inputs and hasattr(card.config, "classes") and not card.of_pixels
