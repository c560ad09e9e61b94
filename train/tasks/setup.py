"""Setup: everything that a run needs, whatever its way of learning, and what the functions that build one share."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import optax
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import zoo
from train.algorithms import optimizers
from train.config import Experiment, metrics
from train.config.replicas import Member
from train.core import State, Task
from train.data.feed import Feed
from train.data.text import tokenizers
from train.metrics.evaluation import Evaluator
from zoo.errors import UserError
from zoo.measure import count_flops

Config = TypeVar("Config")


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a run needs, built but not yet on any device."""

    dataset: Any  # has a `name`
    model: nn.Module
    task: Task
    build: Callable[[Experiment], Task]  # the same task for an experiment that differs in numbers only
    abstract: State  # shapes and dtypes of the State
    params: int
    flops: int  # one forward pass of one example, at the size that training uses
    feed: Callable[[Mesh | None, Any], Feed]  # (mesh, where reading resumes or None) -> training batches
    evaluator: Callable[[str, Mesh | None], Evaluator | None]  # "validation" or "test"; None where the split is empty
    best: str = (
        ""  # the validation metric that chooses the best checkpoint; `assemble` takes it from the way of learning
    )
    example: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # the model's arguments for one example, at
    # the size that training uses; empty where there is more than one network
    counts: str = "examples"  # what the "count" of an evaluation counts; likewise
    passes: float = 3  # cost of a step for each example of a batch, in forward passes: backward costs about two more
    longest_chunk: int | None = None  # most steps in one program, where the usual 200 would be over in no time
    tokenizer: Tokenizer | None = None  # of text; kept in the run folder
    watch: Callable[[State, Path, int], None] | None = None  # after each evaluation: draws into a folder at that step
    show: Callable[[State, Path], None] | None = None  # after the last step: writes samples of the model into a folder
    of_fold: Callable[[str, int], Evaluator] | None = None  # with folds: (split, fold) -> the evaluator of that fold
    of_seed: Callable[[str, Mesh | None, int], Evaluator | None] | None = (
        None  # where an evaluation draws: that of a seed
    )
    remarks: tuple[str, ...] = ()  # printed before training begins
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # metric -> how it was computed
    bounds_on: str | None = None  # the data whose own bounds the metrics have; set by `assemble`

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the tokenizer: a checkpoint is never read with another one."""
        return None if self.tokenizer is None else tokenizers.fingerprint(self.tokenizer)

    def measures(self, split: str, mesh: Mesh | None, replicas: Sequence[Member]) -> list[Evaluator] | None:
        """Return the evaluator of each replica, which is that of its run alone; None where the split is empty.

        Replicas differ by the fold that they hold out, and by what an evaluation draws from their seed.
        """
        if self.of_fold:
            return [self.of_fold(split, replica.fold) for replica in replicas if replica.fold is not None]
        if self.of_seed is None:
            evaluator = self.evaluator(split, mesh)
            return evaluator and [evaluator] * len(replicas)
        each = {seed: self.of_seed(split, mesh, seed) for seed in {replica.seed for replica in replicas}}
        found = [each[replica.seed] for replica in replicas]
        return [evaluator for evaluator in found if evaluator is not None] or None

    def score(self, validation: Mapping[str, float]) -> float:
        """How good a validation is: higher is better, whatever the direction of the metric."""
        return metrics.score(self.best, validation[self.best])


class Sizes(NamedTuple):
    """What a network costs; `Setup` takes the three in this order."""

    abstract: State
    params: int
    flops: int


def sizes(task: Task, model: nn.Module, inputs: Mapping[str, Any]) -> Sizes:
    """Measure a network without allocating anything: its abstract State, parameters, FLOPs of one pass of `inputs`."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    variables = {"params": abstract.params["net"], **abstract.vars["net"]}
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(inputs))
    flops = count_flops(lambda v, x: model.apply(v, **x, train=False), variables, shapes)
    return Sizes(abstract, count_params(abstract), flops)


def count_params(state: State) -> int:
    """The number of parameters in a State, of all networks together."""
    return sum(leaf.size for leaf in jax.tree.leaves(state.params))


def narrow(task: Any, config: type[Config]) -> Config:
    """`task` as an instance of `config`, which the caller knows it to be."""
    assert isinstance(task, config), f"{task!r} is no {config.__name__}"
    return task


def require_able(model: str, able: Callable[[zoo.Card], bool], what: str) -> None:
    """Raise UserError for a model that cannot do `what`, naming some that can."""
    if not able(zoo.card(model)):
        others = [name for name, card in zoo.CARDS.items() if able(card)]
        raise UserError(f"{model} cannot {what}; models that can: {', '.join(others[:6])}")


def require_batch(batch: int, examples: int, whose: str = "") -> None:
    """Raise UserError for a batch that is larger than the training set."""
    if batch > examples:
        raise UserError(f"data.batch {batch} is larger than the {examples} training examples{whose}")


def make_model(experiment: Experiment, **given: Any) -> nn.Module:
    """Build the model with the fields that the data determine; UserError where the config contradicts them."""
    fields = dict(experiment.model.fields)
    for name, value in given.items():
        if fields.setdefault(name, value) != value:
            raise UserError(f"model.{name} is {fields[name]}, but {experiment.data.name} needs {value}")
    return zoo.create(experiment.model.name, **fields)


def make_optimizer(experiment: Experiment) -> optax.GradientTransformation:
    """Build the optimizer of a run with one network."""
    return optimizers.make_optimizer(experiment.optim, experiment.steps)
