"""Set up a translator."""

import jax.numpy as jnp
from tokenizers import Tokenizer

import train.data.text
import zoo
from train.config import Experiment, Text, Translate
from train.core import Task
from train.data.text.dataset import Part
from train.tasks.setup import Setup, make_optimizer, narrow, require_able, sizes
from train.tasks.text import setup as text
from train.tasks.text.perplexity import with_perplexity
from train.tasks.text.samples import with_translations
from train.tasks.text.translate import translate


def assemble(experiment: Experiment, task: Translate, data: Text, tokenizer: Tokenizer | None) -> Setup:
    """Set up a run on pairs of sentences. tokenizer: None trains one on the training split."""
    require_able(experiment.model.name, _translates, "do the task 'translate' on text")
    dataset = train.data.text.load(data, "pairs", tokenizer)
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
        feed=text.feeder(data, dataset, text.batches),
        evaluator=text.evaluators(data, dataset, learning, text.batches, _finish),
        tokenizer=dataset.tokenizer,
        remarks=text.remarks(data, dataset),
    )
    return with_translations(setup, task, data.length)


def blueprint(experiment: Experiment, tokenizer: Tokenizer) -> text.Blueprint:
    """Build the model and its task without data."""
    config, length = narrow(experiment.task, Translate), narrow(experiment.data, Text).length
    model = text.make_text_model(experiment, tokenizer)
    task = translate(
        model,
        make_optimizer(experiment),
        label_smoothing=config.label_smoothing,
        precision=experiment.precision,
    )
    one = jnp.ones((1, length), jnp.int32)
    return text.Blueprint(model, task, {"source": one, "source_mask": one != 0, "target": one})


def _translates(card: zoo.Card) -> bool:
    """Whether the model writes one text from another."""
    return text.decodes(card) and "source" in card.inputs


def _finish(means: dict[str, float], split: Part) -> dict[str, float]:
    """Add the perplexity."""
    del split
    return with_perplexity(means)
