"""Everything that reads or writes text: language models, translation, masked pre-training, sentence classifiers."""

import dataclasses
import math
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from tokenizers import Tokenizer

import zoo
from train.config import Experiment
from train.core import State, Task, devices, machine
from train.data.feed import DeviceFeed
from train.data.inputs import sentences
from train.data.sources import Resident, Windows, sorted_by_length
from train.data.text import catalog, tokenizers
from train.data.text.dataset import TextDataset
from train.metrics import evaluation
from train.metrics.evaluation import Evaluator
from train.tasks.classify.task import classify
from train.tasks.setup import Setup, make_model, make_optimizer, require_able, sizes
from train.tasks.text import samples
from train.tasks.text.language import language
from train.tasks.text.masked import Marks, masked
from train.tasks.text.translate import translate
from zoo.errors import UserError

FORMS = {"language": "stream", "translate": "pairs", "masked": "passages", "classify": "labelled"}
COUNTS = {"language": "tokens", "translate": "tokens", "masked": "hidden tokens", "classify": "examples"}
EVALUATED_TOKENS = 16_384  # at a time


def assemble(experiment: Experiment, tokenizer: Tokenizer | None) -> Setup:
    """The parts of a run on text. tokenizer: None trains one on the training split."""
    name = experiment.task.name
    require_able(experiment.model.name, partial(_able, name), f"do the task {name!r} on text")
    dataset = catalog.load(experiment.data, FORMS[name], tokenizer)
    model, task, inputs = blueprint(experiment, dataset.tokenizer, dataset.classes)
    parts = Setup(
        dataset,
        model,
        task,
        lambda changed: blueprint(changed, dataset.tokenizer, dataset.classes)[1],
        *sizes(task, model, inputs),
        feed=lambda mesh, _: DeviceFeed(_source(experiment, dataset.train.arrays, mesh, experiment.data.batch)),
        evaluator=lambda split, mesh: _evaluator(experiment, dataset, task, split, mesh),
        best="accuracy" if name == "classify" else "-loss",
        counts=COUNTS[name],
        tokenizer=dataset.tokenizer,
        remarks=_remarks(experiment, dataset),
    )
    if name == "translate":
        return samples.with_translations(parts, experiment)
    return samples.with_samples(parts, experiment) if name == "language" else parts


def _able(task: str, card: zoo.Card) -> bool:
    """Whether the model of `card` can do the task on text."""
    if task in ("masked", "classify"):
        return hasattr(card.config, "head")
    return hasattr(card.module, "decode") and ("source" in card.inputs) == (task == "translate")


def blueprint(experiment: Experiment, tokenizer: Tokenizer, classes: int) -> tuple[nn.Module, Task, dict[str, Any]]:
    """The model, its task, and the inputs of one example at the size that training sees. Needs no data."""
    task, data = experiment.task, experiment.data
    vocab = tokenizers.vocab_size(tokenizer)
    model = make_model(experiment, **_given(experiment, vocab, classes))
    shared = (model, make_optimizer(experiment))
    one = jnp.ones((1, data.length), jnp.int32)
    match task.name:
        case "language":
            return model, language(*shared, length=data.length, precision=experiment.precision), {"tokens": one}
        case "translate":
            how = {"label_smoothing": task.label_smoothing, "precision": experiment.precision}
            return model, translate(*shared, **how), {"source": one, "source_mask": one != 0, "target": one}
        case "masked":
            marks = Marks(*tokenizers.require(tokenizer, ("[CLS]", "[SEP]", "[MASK]"), "the task 'masked'"))
            if task.left_to_right != model.cfg.causal:
                raise UserError("task.left_to_right and the model's field `causal` go together: both or neither")
            how = {"share": task.share, "next_sentence": task.next_sentence, "left_to_right": task.left_to_right}
            made = masked(*shared, length=data.length, vocab=vocab, marks=marks, precision=experiment.precision, **how)
            return model, made, {"tokens": one, "mask": one != 0}
        case "classify":
            inputs = sentences(data.length)
            how = {"loss": task.loss, "label_smoothing": task.label_smoothing, "precision": experiment.precision}
            return model, classify(*shared, inputs, classes=classes, **how), inputs.example()


def _given(experiment: Experiment, vocab: int, classes: int) -> dict[str, Any]:
    """Fields of the model that follow from the data and the task."""
    fields = {field.name for field in dataclasses.fields(zoo.card(experiment.model.name).config)}
    head = {"masked": "pretrain", "classify": "classify"}.get(experiment.task.name)
    given = {"vocab": vocab, "source_vocab": vocab, "classes": classes, "head": head}
    return {name: value for name, value in given.items() if name in fields and value}


def _remarks(experiment: Experiment, dataset: TextDataset) -> tuple[str, ...]:
    """What the user should know of how the text was taken."""
    if not dataset.train.cut:
        return ()
    many = f"{dataset.train.cut:,} of {len(dataset.train):,} training examples"
    return (f"{many} are longer than data.length={experiment.data.length} and lose their end",)


def _source(experiment: Experiment, arrays: dict[str, np.ndarray], mesh: Mesh | None, batch: int) -> Resident | Windows:
    """The `arrays` of a split on the device."""
    data, sharding = experiment.data, devices.batch_sharding(mesh)
    size, limit = sum(leaf.nbytes for leaf in arrays.values()), machine.memory_limit()
    if size > limit:
        room = f"{limit / 2**30:.1f} GiB"
        raise UserError(f"{data.name} takes {size / 2**30:.1f} GiB as tokens, and a device here has room for {room}")
    if experiment.task.name == "language":
        return Windows(devices.place(arrays["tokens"], mesh), batch, data.length, sharding)
    buckets: tuple[tuple[int, int], ...] = ()
    if data.buckets:
        tokens = [leaf for leaf in arrays.values() if leaf.ndim > 1]
        lengths = np.max([(leaf != 0).sum(1) for leaf in tokens], axis=0)
        # A target is one token longer than data.length says: it begins with [BOS] and ends with [EOS].
        bounds = (*(bound + 1 for bound in data.buckets), max(leaf.shape[1] for leaf in tokens))
        arrays, buckets = sorted_by_length(arrays, lengths, bounds)
    return Resident(devices.place(arrays, mesh), batch, sharding, buckets)


def _evaluator(
    experiment: Experiment, dataset: TextDataset, task: Task, split: str, mesh: Mesh | None
) -> Evaluator | None:
    """Means over a split; of language models and translators also the perplexity, exp(loss)."""
    part = getattr(dataset, split)
    if not len(part):
        return None
    name, length = experiment.task.name, experiment.data.length
    examples = len(part) // length + 1 if name == "language" else len(part)
    batch = evaluation.batch_size(examples, mesh, max(1, EVALUATED_TOKENS // length))
    measure = evaluation.resident(task, _source(experiment, part.arrays, mesh, batch))
    if name not in ("language", "translate"):
        return measure

    def evaluate(state: State) -> dict[str, float]:
        means = measure(state)
        count = means.pop("count")
        means["perplexity"] = math.exp(min(means["loss"], 700))  # beyond that a float is infinite
        if name == "language":
            means["bits_per_byte"] = means["loss"] / math.log(2) * count / part.nbytes_utf8
        return means | {"count": count}

    return evaluate
