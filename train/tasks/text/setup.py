"""What the setups of all ways of learning on text share: the model, the batches, the evaluators, the remarks."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import zoo
from train.config import Experiment, Text
from train.core import Task, devices, machine
from train.data.feed import DeviceFeed, Feed
from train.data.sources import LONGEST, LongWindows, Resident, Windows, sorted_by_length
from train.data.text import tokenizers
from train.data.text.dataset import Part, TextDataset
from train.metrics import evaluation
from train.metrics.evaluation import Evaluator
from train.tasks.setup import make_model, require_batch
from zoo.errors import UserError

EVALUATED_TOKENS = 16_384  # at a time


class Blueprint(NamedTuple):
    """A network on text and its task, built without data."""

    model: nn.Module
    task: Task
    inputs: dict[str, Any]  # arguments of the model for one example, at the size that training uses


Batches = Callable[[Text, dict[str, np.ndarray], Mesh | None, int], Resident | Windows | LongWindows]
"""(data, arrays of a split, mesh, batch) -> the source of its batches, on the device."""


def make_text_model(experiment: Experiment, tokenizer: Tokenizer, **given: Any) -> nn.Module:
    """Build the model for the tokenizer's vocabulary, with those fields of `given` that it has."""
    vocab = tokenizers.vocab_size(tokenizer)
    wanted = {"vocab": vocab, "source_vocab": vocab, **given}
    fields = {field.name for field in dataclasses.fields(zoo.card(experiment.model.name).config)}
    return make_model(experiment, **{name: value for name, value in wanted.items() if name in fields and value})


def decodes(card: zoo.Card) -> bool:
    """Whether the model writes text token by token."""
    return hasattr(card.module, "decode")


def require_enough(data: Text, dataset: TextDataset) -> None:
    """Raise UserError for a batch larger than the training set, or a split with text in which nothing is predicted."""
    running = dataset.form == "stream"  # windows are drawn with replacement, from a text that is longer than one
    if not running:
        require_batch(data.batch, len(dataset.train))
    least = 2 if running else 1  # the first token of running text is predicted from nothing
    for name in ("validation", "test"):
        split: Part = getattr(dataset, name)
        if split.nbytes_utf8 and len(split) < least:
            share = f", or change data.validation={data.validation}" * (name == "validation")
            raise UserError(
                f"{dataset.name}: its {name} split is too short to predict anything: give it more text{share}"
            )


def remarks(data: Text, dataset: TextDataset) -> tuple[str, ...]:
    """What the user should know about how the text was cut."""
    if not dataset.train.cut:
        return ()
    many = f"{dataset.train.cut:,} of {len(dataset.train):,} training examples"
    return (f"{many} are longer than data.length={data.length} and lose their end",)


def feeder(data: Text, dataset: TextDataset, batches: Batches) -> Callable[[Mesh | None, Any], Feed]:
    """`Setup.feed` of a run on text."""

    def feed(mesh: Mesh | None, reader: Any) -> Feed:
        del reader  # text lives on the device
        return DeviceFeed(batches(data, dataset.train.arrays, mesh, data.batch))

    return feed


def evaluators(
    data: Text,
    dataset: TextDataset,
    task: Task,
    batches: Batches,
    finish: Callable[[dict[str, float], Part], dict[str, float]] | None = None,
    examples_in: Callable[[Part, int], int] = lambda split, length: len(split),
) -> Callable[[str, Mesh | None], Evaluator | None]:
    """`Setup.evaluator` of a run on text: `task.evaluate` over a split.

    finish: adds the metrics that follow from the means over a split.
    examples_in: (split, data.length) -> the number of its examples.
    """

    def evaluator(name: str, mesh: Mesh | None) -> Evaluator | None:
        split: Part = getattr(dataset, name)
        if not len(split):
            return None
        at_once = max(1, EVALUATED_TOKENS // data.length)
        batch = evaluation.batch_size(examples_in(split, data.length), mesh, at_once)
        measure = evaluation.resident(task, batches(data, split.arrays, mesh, batch))
        if finish is None:
            return measure
        derive = finish
        return lambda state: derive(measure(state), split)

    return evaluator


def windows(data: Text, arrays: dict[str, np.ndarray], mesh: Mesh | None, batch: int) -> Windows | LongWindows:
    """Batches of windows cut from running text: of `data.length` tokens, or of all of a split that is shorter."""
    _require_room(data, arrays)
    length = min(data.length, len(arrays["tokens"]) - 1)  # every token of the last window needs one that follows
    tokens, sharding = arrays["tokens"], devices.batch_sharding(mesh)
    if len(tokens) > LONGEST:
        return LongWindows(devices.place(LongWindows.in_rows(tokens, length), mesh), len(tokens), batch, sharding)
    return Windows(devices.place(tokens, mesh), batch, length, sharding)


def batches(data: Text, arrays: dict[str, np.ndarray], mesh: Mesh | None, batch: int) -> Resident:
    """Batches of examples, with their like where `data.buckets` are given."""
    _require_room(data, arrays)
    buckets: tuple[tuple[int, int], ...] = ()
    if data.buckets:
        tokens = [leaf for leaf in arrays.values() if leaf.ndim > 1]
        lengths = np.max([(leaf != 0).sum(1) for leaf in tokens], axis=0)
        # A target is one token longer than data.length says: it begins with [BOS] and ends with [EOS].
        bounds = (*(bound + 1 for bound in data.buckets), max(leaf.shape[1] for leaf in tokens))
        arrays, buckets = sorted_by_length(arrays, lengths, bounds)
    return Resident(devices.place(arrays, mesh), batch, devices.batch_sharding(mesh), buckets)


def _require_room(data: Text, arrays: dict[str, np.ndarray]) -> None:
    """Raise UserError for a split that does not fit on the device."""
    size, limit = sum(leaf.nbytes for leaf in arrays.values()), machine.memory_limit()
    if size > limit:
        room = f"{limit / 2**30:.1f} GiB"
        raise UserError(f"{data.name} takes {size / 2**30:.1f} GiB as tokens, and a device here has room for {room}")
