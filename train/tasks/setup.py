"""Parts: what a run is made of, whatever its way of learning, and the checks that need no data."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import zoo
from train.algorithms import optimizers
from train.config import Experiment
from train.core import State, Task
from train.data.feed import Feed
from train.data.text import tokenizers
from train.metrics.evaluation import Evaluator
from zoo.errors import UserError
from zoo.measure import count_flops


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a run needs, built but not yet on any device."""

    dataset: Any  # has a `name`
    model: nn.Module
    task: Task
    build: Callable[[Experiment], Task]  # the task again, of an experiment that differs in numbers only
    abstract: State  # shapes and dtypes of the State
    params: int
    flops: int  # one forward pass of one example at the size that training sees
    feed: Callable[[Mesh | None, Any], Feed]  # (mesh, where reading goes on or None) -> batches for training
    evaluator: Callable[[str, Mesh | None], Evaluator | None]  # "validation" or "test"; None where it is empty
    best: str  # the metric of validation that says which checkpoint is the best; "-loss": the lower the better
    counts: str = "examples"  # what the "count" of an evaluation counts
    passes: float = 3  # forward passes that a step costs for each example of data.batch: backward takes about two more
    longest_chunk: int | None = None  # steps in one program at most, where 200 would be over in no time
    tokenizer: Tokenizer | None = None  # of text; kept in the run folder
    watch: Callable[[State, Path, int], None] | None = None  # at each evaluation: draws into a folder, the step given
    show: Callable[[State, Path], None] | None = None  # at the end: writes what the trained model makes into a folder
    of_fold: Callable[[str, int], Evaluator] | None = None  # with folds: (split, fold) -> the evaluator of that fold
    remarks: tuple[str, ...] = ()  # what the user should know before it begins
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # how a metric was computed

    @property
    def fingerprint(self) -> str | None:
        """Of the tokenizer, so that a checkpoint is never read with another one."""
        return None if self.tokenizer is None else tokenizers.fingerprint(self.tokenizer)

    def measures(self, split: str, mesh: Mesh | None, folds: Sequence[int | None]) -> list[Evaluator] | None:
        """The evaluator of each replica, by the folds that they hold out; None where the split is empty."""
        if self.of_fold:
            return [self.of_fold(split, fold) for fold in folds]
        measure = self.evaluator(split, mesh)
        return measure and [measure] * len(folds)

    def score(self, validation: Mapping[str, float]) -> float:
        """Higher is better."""
        return -validation[self.best[1:]] if self.best.startswith("-") else validation[self.best]


def sizes(task: Task, model: nn.Module, inputs: Mapping[str, Any]) -> tuple[State, int, int]:
    """(abstract State, trained numbers, FLOPs of one forward pass of `inputs`); allocates nothing."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    variables = {"params": abstract.params["net"], **abstract.vars["net"]}
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(inputs))
    flops = count_flops(lambda v, x: model.apply(v, **x, train=False), variables, shapes)
    return abstract, sum(leaf.size for leaf in jax.tree.leaves(abstract.params)), flops


def require_able(model: str, able: Callable[[zoo.Card], bool], what: str) -> None:
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
