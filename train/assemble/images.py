"""Image classifiers."""

from typing import Any

from jax.sharding import Mesh

import train.data
import zoo
from train import devices, evaluation
from train.assemble.parts import Parts, demand_able, make_model, make_optimizer, sizes
from train.config import Experiment
from train.core import Task
from train.data.device import Resident
from train.data.feed import DeviceFeed, Feed, StreamFeed, streams
from train.data.split import Split
from train.evaluation import Evaluator
from train.tasks.classify import classify
from train.tasks.inputs import images
from zoo.errors import UserError


def assemble(experiment: Experiment) -> Parts:
    """The parts of a run on labelled images."""
    demand_able(experiment.model.name, _classifies, "classify images")
    data = experiment.data
    dataset = train.data.load(data)
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

    def resident(split: Split, batch: int, mesh: Mesh | None) -> Resident:
        return Resident(devices.place(split.arrays(), mesh), batch, devices.batch_sharding(mesh))

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        if streams(dataset.train, data):
            return StreamFeed(dataset.train, data, experiment.seed, mesh, reader)
        return DeviceFeed(resident(dataset.train, data.batch, mesh))

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        split = getattr(dataset, name)
        if not len(split):
            return None
        if streams(split, data):
            return evaluation.streamed(task, split, mesh)
        return evaluation.resident(task, resident(split, evaluation.batch_size(len(split), mesh), mesh))

    return Parts(dataset, model, task, build, *sizes(task, model, inputs.example()), feed, evaluator, best="accuracy")


def _classifies(card: zoo.Card) -> bool:
    return "x" in card.inputs and hasattr(card.config, "classes")
