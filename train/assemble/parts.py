"""Parts: what a run is made of, whatever its way of learning, and the checks that need no data."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import train.run
import zoo
from train import optimizers
from train.config import Experiment, Text
from train.core import State, Task
from train.data.feed import Feed
from train.data.text import tokenize
from train.evaluation import Evaluator
from train.transfer import is_published
from zoo.errors import UserError
from zoo.measure import count_flops


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a run needs, built but not yet on any device."""

    dataset: Any  # has a `name`
    model: nn.Module
    task: Task
    abstract: State  # shapes and dtypes of the State
    params: int
    flops: int  # one forward pass of one example at the size that training sees
    feed: Callable[[Mesh | None, Any], Feed]  # (mesh, where reading goes on or None) -> batches for training
    evaluator: Callable[[str, Mesh | None], Evaluator | None]  # "validation" or "test"; None where it is empty
    best: Literal["accuracy", "loss"]  # which metric of validation says which checkpoint is the best
    counts: str = "examples"  # what the "count" of an evaluation counts
    tokenizer: Tokenizer | None = None  # of text; kept in the run folder
    show: Callable[[State, Path], None] | None = None  # writes what the trained model makes into a folder
    remarks: tuple[str, ...] = ()  # what the user should know before it begins
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # how a metric was computed

    @property
    def fingerprint(self) -> str | None:
        """Of the tokenizer, so that a checkpoint is never read with another one."""
        return None if self.tokenizer is None else tokenize.fingerprint(self.tokenizer)

    def score(self, validation: Mapping[str, float]) -> float:
        """Higher is better."""
        return validation[self.best] if self.best == "accuracy" else -validation["loss"]


def sizes(task: Task, model: nn.Module, inputs: Mapping[str, Any]) -> tuple[State, int, int]:
    """(abstract State, trained numbers, FLOPs of one forward pass of `inputs`); allocates nothing."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    variables = {"params": abstract.params["net"], **abstract.vars["net"]}
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(inputs))
    flops = count_flops(lambda v, x: model.apply(v, **x, train=False), variables, shapes)
    return abstract, sum(leaf.size for leaf in jax.tree.leaves(abstract.params)), flops


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read or anything is compiled."""
    counts = ["steps", "eval_every_steps", "data.batch"]
    shares = ["data.validation"]
    if isinstance(experiment.data, Text):
        counts += ["data.vocab"]
        _check_lengths(experiment)
    elif experiment.task.name != "classify":
        raise UserError(f"the task {experiment.task.name!r} needs text, and {experiment.data.name} is a set of images")
    else:
        counts += ["data.image_size"]
    shares += [f"task.{name}" for name in ("label_smoothing", "share") if hasattr(experiment.task, name)]
    for field in counts:
        value = _get(experiment, field)
        if value is not None and value < 1:
            raise UserError(f"{field} must be at least 1, not {value}")
    for field in shares:
        value = _get(experiment, field)
        if not 0 <= value < 1:
            raise UserError(f"{field} must be at least 0 and below 1, not {value}")
    for field in ("seed", "data.split_seed", "data.workers"):
        value = _get(experiment, field) if field != "data.workers" or hasattr(experiment.data, "workers") else 0
        if value < 0:
            raise UserError(f"{field} must not be negative, not {value}")
        if value >= 2**32:
            raise UserError(f"{field} must be below 2^32, not {value}")
    optimizers.validate(experiment.optim, experiment.steps)
    zoo.create(experiment.model.name, **experiment.model.fields)


def _check_lengths(experiment: Experiment) -> None:
    length, buckets = experiment.data.length, experiment.data.buckets
    if length < 5:
        raise UserError(f"data.length must be at least 5 tokens, not {length}")
    if list(buckets) != sorted(set(buckets)) or not all(0 < bucket < length for bucket in buckets):
        raise UserError(f"data.buckets must rise and lie between 1 and data.length {length}, not {buckets}")
    if buckets and experiment.task.name == "language":
        raise UserError("data.buckets are for sentences; a language model reads windows of one length")
    if getattr(experiment.task, "beams", 1) < 1:
        raise UserError(f"task.beams must be at least 1, not {experiment.task.beams}")


def starting_run(experiment: Experiment) -> Path | None:
    """The folder of the run that `init_from` names; None without one, or where it names published weights."""
    if experiment.init_from and is_published(experiment.init_from):
        return None
    try:
        return train.run.load(experiment.init_from).path if experiment.init_from else None
    except UserError as error:
        raise UserError(f"init_from: {error}") from None


def demand_able(model: str, able: Callable[[zoo.Card], bool], what: str) -> None:
    """Raise UserError for a model that cannot do `what`, naming some that can."""
    if not able(zoo.card(model)):
        others = [name for name, card in zoo.CARDS.items() if able(card)]
        raise UserError(f"{model} cannot {what}; models that can: {', '.join(others[:6])}")


def make_model(experiment: Experiment, **given: Any) -> nn.Module:
    """The model with the fields that the data give it; UserError where the config says otherwise."""
    fields = dict(experiment.model.fields)
    for name, value in given.items():
        if fields.setdefault(name, value) != value:
            raise UserError(f"model.{name} is {fields[name]}, but {experiment.data.name} needs {value}")
    return zoo.create(experiment.model.name, **fields)


def make_optimizer(experiment: Experiment) -> Any:
    return optimizers.make_optimizer(experiment.optim, experiment.steps)


def _get(experiment: Experiment, field: str) -> Any:
    value: Any = experiment
    for name in field.split("."):
        value = getattr(value, name)
    return value
