"""Image classifiers, and what every task on images shares."""

import train.data
import zoo
from train.config import Experiment
from train.core import Task
from train.data.inputs import images
from train.pictures.classifier import InsidePictures
from train.tasks.classify.task import classify
from train.tasks.images import evaluators, feeder
from train.tasks.setup import Setup, make_model, make_optimizer, require_able, sizes
from zoo.errors import UserError


def assemble(experiment: Experiment) -> Setup:
    """The parts of a run on labelled images."""
    require_able(experiment.model.name, _classifies, "classify images")
    data = experiment.data
    dataset = train.data.load(data)
    if not dataset.classes:
        raise UserError(f"{dataset.name} has no classes to tell apart: its y holds other numbers than labels 0, 1, …")
    if data.batch > len(dataset.train):
        raise UserError(f"data.batch {data.batch} is larger than the {len(dataset.train)} training examples")
    model = make_model(experiment, classes=dataset.classes)
    moments = (dataset.mean, dataset.std) if data.normalize else (0.0, 1.0)
    inputs = images(dataset.shape, data.augment, *moments)

    def build(experiment: Experiment) -> Task:
        return classify(
            model,
            make_optimizer(experiment),
            inputs,
            classes=dataset.classes,
            loss=experiment.task.loss,
            label_smoothing=experiment.task.label_smoothing,
            precision=experiment.precision,
        )

    task = build(experiment)
    return Setup(
        dataset,
        model,
        task,
        build,
        *sizes(task, model, inputs.example()),
        feeder(experiment, dataset),
        evaluators(experiment, dataset, task),
        best="accuracy",
        show=InsidePictures(model, dataset.test, inputs).show,
    )


def _classifies(card: zoo.Card) -> bool:
    return "x" in card.inputs and hasattr(card.config, "classes")
