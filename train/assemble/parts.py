"""Parts: what a run is made of, whatever its way of learning, and the checks that need no data."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import train.run
import zoo
from train import optimizers, sweep
from train.config import Data, Experiment, Text, World
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
        return None if self.tokenizer is None else tokenize.fingerprint(self.tokenizer)

    def measures(self, split: str, mesh: Mesh | None, folds: Sequence[int | None]) -> list[Evaluator] | None:
        """The evaluator of each replica, by the folds that they hold out; None where the split is empty."""
        if self.of_fold:
            return [self.of_fold(split, fold) for fold in folds]
        measure = self.evaluator(split, mesh)
        return measure and [measure] * len(folds)

    def score(self, validation: Mapping[str, float]) -> float:
        """Higher is better."""
        return -validation[self.best[1:]] if self.best.startswith("-") else validation[self.best]


LEARNS_FROM: dict[str, tuple[type, ...]] = {
    "classify": (Data, Text),
    "language": (Text,),
    "translate": (Text,),
    "masked": (Text,),
    "contrast": (Data,),
    "adversarial": (Data,),
    "q_learning": (World,),
}
"""The kinds of data that each task can be posed on."""
KINDS = {Data: "a set of images", Text: "text", World: "an environment"}


def sizes(task: Task, model: nn.Module, inputs: Mapping[str, Any]) -> tuple[State, int, int]:
    """(abstract State, trained numbers, FLOPs of one forward pass of `inputs`); allocates nothing."""
    abstract = jax.eval_shape(task.init, jax.random.key(0))
    variables = {"params": abstract.params["net"], **abstract.vars["net"]}
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), dict(inputs))
    flops = count_flops(lambda v, x: model.apply(v, **x, train=False), variables, shapes)
    return abstract, sum(leaf.size for leaf in jax.tree.leaves(abstract.params)), flops


COUNTS = (
    *(
        "steps",
        "seeds",
        "eval_every_steps",
        "patience",
        "data.batch",
        "data.vocab",
        "data.image_size",
        "data.environments",
    ),
    *("data.time_limit", "task.train_every", "task.target_every", "task.replay", "task.replay_start"),
    *("task.epsilon_steps", "task.eval_episodes", "task.critic_steps"),
)
SHARES = ("data.validation", "task.label_smoothing", "task.share")
SEEDS = ("seed", "data.split_seed", "data.workers")
NO_VALIDATION = "patience needs a validation split to judge by, and here is none (data.validation is its share)"


def check(experiment: Experiment) -> None:
    """Raise UserError for whatever can be seen to be wrong before data are read or anything is compiled."""
    if experiment.sweep:
        for setting in sweep.settings(experiment):
            check(sweep.with_setting(experiment, setting))
        return
    task, data = experiment.task.name, experiment.data
    if not isinstance(data, LEARNS_FROM[task]):
        wanted = " or ".join(KINDS[kind] for kind in LEARNS_FROM[task])
        raise UserError(f"the task {task!r} needs {wanted}, and {data.name} is {KINDS[type(data)]}")
    if isinstance(data, Text):
        _check_lengths(experiment)
    for field, value in _present(experiment, COUNTS):
        if value is not None and value < 1:
            raise UserError(f"{field} must be at least 1, not {value}")
    for field, value in _present(experiment, SHARES):
        if not 0 <= value < 1:
            raise UserError(f"{field} must be at least 0 and below 1, not {value}")
    for field, value in _present(experiment, SEEDS):
        if value < 0:
            raise UserError(f"{field} must not be negative, not {value}")
        if value >= 2**32:
            raise UserError(f"{field} must be below 2^32, not {value}")
    for field, value in _present(experiment, ("task.temperature",)):
        if not 0 < value < float("inf"):
            raise UserError(f"{field} must be a number above 0, not {value}")
    _check_folds(experiment)
    folded = experiment.folds or getattr(data, "fold", None)
    if experiment.patience and (task == "adversarial" or (getattr(data, "validation", None) == 0 and not folded)):
        raise UserError(NO_VALIDATION)
    optimizers.validate(experiment.optim, experiment.steps)
    zoo.create(experiment.model.name, **experiment.model.fields)


def _check_folds(experiment: Experiment) -> None:
    data, fold = experiment.data, getattr(experiment.data, "fold", None)
    if experiment.folds is not None:
        if not isinstance(data, Data) or experiment.task.name != "classify":
            raise UserError(
                f"folds are for classifiers of images, not for the task {experiment.task.name!r} on {data.name}"
            )
        if experiment.folds < 2:
            raise UserError(f"folds must be at least 2, not {experiment.folds}")
        if data.placement == "stream":
            raise UserError("folds need a set that lives on the device, not data.placement=stream")
        if fold is not None:
            raise UserError("folds are all of them and data.fold is one: give one of the two")
    if fold is not None and not (fold[1] > 1 and 0 <= fold[0] < fold[1]):
        raise UserError(f"data.fold must be K N with N at least 2 and K from 0 to N - 1, not {fold[0]} {fold[1]}")


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
    if not experiment.init_from or is_published(experiment.init_from):
        return None
    try:
        run = train.run.load(experiment.init_from)
        train.run.demand_single(run)
        return run.path
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


def _present(experiment: Experiment, fields: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(field, value) of those `fields` that this kind of data and of task has."""
    for field in fields:
        part, _, name = field.rpartition(".")
        holder = getattr(experiment, part) if part else experiment
        if hasattr(holder, name):
            yield field, getattr(holder, name)
