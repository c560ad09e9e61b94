"""Set up a language model."""

import math

import jax.numpy as jnp
from tokenizers import Tokenizer

import train.data.text
import zoo
from train.config import Experiment, Language, Text
from train.core import Task
from train.data.text.dataset import Part
from train.tasks.setup import Setup, make_optimizer, narrow, require_able, sizes
from train.tasks.text import setup as text
from train.tasks.text.language import language
from train.tasks.text.perplexity import with_perplexity
from train.tasks.text.samples import with_samples


def assemble(experiment: Experiment, task: Language, data: Text, tokenizer: Tokenizer | None) -> Setup:
    """Set up a run on running text. tokenizer: None trains one on the training split."""
    del task  # it has no fields
    require_able(experiment.model.name, _writes, "do the task 'language' on text")
    dataset = train.data.text.load(data, "stream", tokenizer)
    text.require_enough(data, dataset)
    model, learning, inputs = blueprint(experiment, dataset.tokenizer)

    def build(changed: Experiment) -> Task:
        return blueprint(changed, dataset.tokenizer).task

    setup = Setup(
        dataset,
        model,
        learning,
        build,
        *sizes(learning, model, inputs),
        example=inputs,
        feed=text.feeder(data, dataset, text.windows),
        evaluator=text.evaluators(data, dataset, learning, text.windows, _finish, _windows_in),
        tokenizer=dataset.tokenizer,
        remarks=text.remarks(data, dataset),
    )
    return with_samples(setup, experiment)


def blueprint(experiment: Experiment, tokenizer: Tokenizer) -> text.Blueprint:
    """Build the model and its task without data."""
    length = narrow(experiment.data, Text).length
    model = text.make_text_model(experiment, tokenizer)
    task = language(model, make_optimizer(experiment), length=length, precision=experiment.precision)
    return text.Blueprint(model, task, {"tokens": jnp.ones((1, length), jnp.int32)})


def _writes(card: zoo.Card) -> bool:
    """Whether the model continues a text."""
    return text.decodes(card) and "source" not in card.inputs


def _windows_in(split: Part, length: int) -> int:
    """The number of windows that evaluation cuts from a split."""
    return len(split) // length + 1


def _finish(means: dict[str, float], split: Part) -> dict[str, float]:
    """Add perplexity and bits per byte."""
    means = with_perplexity(means)
    count = means.pop("count")
    return means | {"bits_per_byte": means["loss"] / math.log(2) * count / split.nbytes_utf8, "count": count}
