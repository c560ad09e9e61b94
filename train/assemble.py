"""Joins the parts of an Experiment: checks it, loads its data, builds model, optimizer and task."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

import train.data
import zoo
from train import optimizers
from train.config import Experiment
from train.core import State, Task
from train.data.augment import output_shape, parse
from train.tasks.classify import classify
from zoo.errors import UserError
from zoo.measure import count_flops


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run needs, built but not yet on any device."""

    dataset: train.data.Dataset
    model: nn.Module
    task: Task
    abstract: State  # shapes and dtypes of the State
    params: int
    flops: int  # one forward pass of one example at the size that training sees


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read or anything is compiled."""
    for field in ("steps", "eval_every_steps", "data.batch", "data.image_size"):
        value = _get(experiment, field)
        if value is not None and value < 1:
            raise UserError(f"{field} must be at least 1, not {value}")
    for field in ("label_smoothing", "data.validation"):
        value = _get(experiment, field)
        if not 0 <= value < 1:
            raise UserError(f"{field} must be at least 0 and below 1, not {value}")
    for field in ("seed", "data.split_seed", "data.workers"):
        value = _get(experiment, field)
        if value < 0:
            raise UserError(f"{field} must not be negative, not {value}")
        if value >= 2**32:
            raise UserError(f"{field} must be below 2^32, not {value}")
    optimizers.validate(experiment.optim, experiment.steps)
    zoo.create(experiment.model.name, **experiment.model.fields)


def assemble(experiment: Experiment) -> Parts:
    """Check `experiment`, load its data, build its parts. Compiles nothing, allocates no parameters."""
    check(experiment)
    dataset = train.data.load(experiment.data)
    operations = parse(experiment.data.augment, dataset.shape)
    if experiment.data.batch > len(dataset.train):
        raise UserError(f"data.batch {experiment.data.batch} is larger than the {len(dataset.train)} training examples")
    model = _model(experiment, dataset)
    x = jax.ShapeDtypeStruct((1, *output_shape(operations, dataset.shape)), jnp.float32)
    task = classify(
        model,
        optimizers.make_optimizer(experiment.optim, experiment.steps),
        image_shape=dataset.shape,
        classes=dataset.classes,
        loss=experiment.loss,
        label_smoothing=experiment.label_smoothing,
        augmentations=experiment.data.augment,
        mean=dataset.mean if experiment.data.normalize else 0.0,
        std=dataset.std if experiment.data.normalize else 1.0,
        precision=experiment.precision,
    )
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    variables = {"params": abstract.params["net"], **abstract.vars["net"]}
    flops = count_flops(lambda v, x: model.apply(v, x, train=False), variables, x)
    params = sum(leaf.size for leaf in jax.tree.leaves(abstract.params))
    return Parts(dataset, model, task, abstract, params, flops)


def _model(experiment: Experiment, dataset: train.data.Dataset) -> nn.Module:
    fields = dict(experiment.model.fields)
    if fields.setdefault("classes", dataset.classes) != dataset.classes:
        raise UserError(f"model.classes is {fields['classes']}, but {dataset.name} has {dataset.classes} classes")
    return zoo.create(experiment.model.name, **fields)


def _get(experiment: Experiment, field: str) -> Any:
    value: Any = experiment
    for name in field.split("."):
        value = getattr(value, name)
    return value
